/* A bus and a host for usb_cdc.c: the queue that TinyUSB would send from, which the host empties by packets,
 * and the chip's registers where they are on the chip. */
#include <string.h>

#include "board.h"
#include "stm32/stm32.h"
#include "tusb.h"

#define QUEUE CFG_TUD_CDC_TX_BUFSIZE

bool bus_is_ready = true;
uint32_t bus_takes; /* bytes that the host reads at each turn */
uint32_t bus_turns, bus_starts, bus_interrupts, bus_pins;
uint32_t bus_ready_turns = UINT32_MAX; /* then the cable is pulled out */
size_t bus_received;
uint8_t bus_data[4096];

const stm32_board_t stm32_board = {.core_mhz = 168u};
static const stapes_board_info_t info = {"bus", STAPES_COUNTER_CYCLES, 1u, 1u, 1000u, 0u};
static uint8_t queue[QUEUE];
static size_t queued, sent_by_host;
static uint8_t from_host[64];

volatile uint32_t *fake_register(uint32_t address) {
    static volatile uint32_t words[(RCC - GPIO) / 4u + 64u];
    return &words[(address - GPIO) / 4u];
}

uint32_t bus_register(uint32_t address) {
    return REGISTER(address);
}

void bus_set_register(uint32_t address, uint32_t value) {
    REGISTER(address) = value;
}

void bus_send(const uint8_t *bytes, size_t count) {
    memcpy(from_host, bytes, count);
    sent_by_host = count;
}

bool tusb_init(uint8_t port, const tusb_rhport_init_t *start) {
    bus_starts += port == 0u && start->role == TUSB_ROLE_DEVICE && start->speed == TUSB_SPEED_FULL;
    return true;
}

void tusb_int_handler(uint8_t port, bool in_interrupt) {
    bus_interrupts += port == 0u && in_interrupt;
}

void tud_task(void) {
    const size_t count = queued < bus_takes ? queued : bus_takes;
    memcpy(bus_data + bus_received, queue, count);
    memmove(queue, queue + count, queued - count);
    queued -= count;
    bus_received += count;
    if (++bus_turns >= bus_ready_turns) {
        bus_is_ready = false;
    }
}

bool tud_ready(void) {
    return bus_is_ready;
}

uint32_t tud_cdc_read(void *bytes, uint32_t capacity) {
    const size_t count = sent_by_host < capacity ? sent_by_host : capacity;
    memcpy(bytes, from_host, count);
    memmove(from_host, from_host + count, sent_by_host - count);
    sent_by_host -= count;
    return (uint32_t)count;
}

uint32_t tud_cdc_write(const void *bytes, uint32_t count) {
    const size_t room = QUEUE - queued;
    const size_t taken = count < room ? count : room;
    memcpy(queue + queued, bytes, taken);
    queued += taken;
    return (uint32_t)taken;
}

uint32_t tud_cdc_write_flush(void) {
    return 0u;
}

bool tud_cdc_write_clear(void) {
    queued = 0u;
    return true;
}

void stm32_pin_uart(stm32_pin_t pin, bool output) {
    bus_pins += pin.port == 'A' && pin.function == 10u && output ? pin.number : 100u;
}

uint32_t board_ticks(void) {
    return bus_turns; /* a millisecond each */
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_unique_id(uint8_t *id, size_t capacity) {
    for (size_t i = 0; i < 12u && capacity >= 12u; i++) {
        id[i] = (uint8_t)(0xA0u + i);
    }
    return 12u;
}
