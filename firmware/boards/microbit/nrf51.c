/* BBC micro:bit version 1: UART on P0.24/P0.25 (the interface chip's USB serial port), TIMER0 at 16 MHz
 * (nRF51 Series Reference Manual 3.0: 13 clock, 18 timer, 28 UART). */
#include "board.h"
#include "cortex_m/cortex_m.h"
#include "semihosting/semihosting.h"

#define CLOCK_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_STARTED    REGISTER(0x40000100u)

#define UART_STARTRX  REGISTER(0x40002000u)
#define UART_STARTTX  REGISTER(0x40002008u)
#define UART_RXDRDY   REGISTER(0x40002108u)
#define UART_TXDRDY   REGISTER(0x4000211Cu)
#define UART_ENABLE   REGISTER(0x40002500u)
#define UART_PSELTXD  REGISTER(0x4000250Cu)
#define UART_PSELRXD  REGISTER(0x40002514u)
#define UART_RXD      REGISTER(0x40002518u)
#define UART_TXD      REGISTER(0x4000251Cu)
#define UART_BAUDRATE REGISTER(0x40002524u)
#define UART_ON       4u
#define BAUD_115200   0x01D7E000u
#define TX_PIN        24u
#define RX_PIN        25u

#define TIMER_START     REGISTER(0x40008000u)
#define TIMER_CAPTURE   REGISTER(0x40008040u)
#define TIMER_BITMODE   REGISTER(0x40008508u)
#define TIMER_PRESCALER REGISTER(0x40008510u)
#define TIMER_CC        REGISTER(0x40008540u)
#define TIMER_32_BITS   3u

#define READY_SPINS 100000u
#define WRITE_SPINS 1000000u

static bool console; /* emulated: talk through semihosting instead of the UART */

/* 16 MHz is the core's clock too. An emulator's timer counts virtual time: 62.5 instructions a tick. */
static stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_CYCLES, 1u, 1u, 16000000u, 0u};

void board_init(void) {
    CLOCK_HFCLKSTART = 1u;
    for (uint32_t spin = 0; CLOCK_STARTED == 0u && spin < READY_SPINS; spin++) {
    }
    UART_PSELTXD = TX_PIN;
    UART_PSELRXD = RX_PIN;
    UART_BAUDRATE = BAUD_115200;
    UART_ENABLE = UART_ON;
    UART_STARTRX = 1u;
    UART_STARTTX = 1u;
    (void)UART_RXD; /* drops what came before, and lets QEMU see that the receiver is on */
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = 0u;
    TIMER_START = 1u;
    console = semihosting_console();
    if (console) {
        info.counter = STAPES_COUNTER_INSTRUCTIONS;
        info.counter_numerator = 125u;
        info.counter_denominator = 2u;
    }
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    if (console) {
        return semihosting_read(bytes, capacity);
    }
    size_t count = 0;
    while (count < capacity && UART_RXDRDY != 0u) {
        UART_RXDRDY = 0u;
        bytes[count++] = (uint8_t)UART_RXD;
    }
    return count;
}

void board_write(const uint8_t *bytes, size_t count) {
    if (console) {
        semihosting_write(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        UART_TXDRDY = 0u;
        UART_TXD = bytes[i];
        for (uint32_t spin = 0; UART_TXDRDY == 0u && spin < WRITE_SPINS; spin++) {
        }
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud; /* the interface chip is not reliable above the boot speed */
}

uint32_t board_ticks(void) {
    TIMER_CAPTURE = 1u;
    return TIMER_CC;
}

uint32_t board_stack_high_water(void) {
    return cortex_m_stack_high_water();
}

void board_reset(void) {
    cortex_m_reset();
}

void board_exit(int status) {
    semihosting_exit(status);
    cortex_m_reset();
}
