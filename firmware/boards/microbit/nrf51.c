/* BBC micro:bit version 1: UART on P0.24/P0.25 (the interface chip's USB serial port), TIMER0 at 16 MHz, the
 * top left LED of the matrix (nRF51 Series Reference Manual 3.0: 8 FICR, 12 power, 13 clock, 14 GPIO, 18
 * timer, 24 watchdog, 28 UART). */
#include <string.h>

#include "board.h"
#include "common/fault.h"
#include "cortex_m/cortex_m.h"
#include "semihosting/line.h"
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

#define GPIO_OUTSET REGISTER(0x50000508u)
#define GPIO_OUTCLR REGISTER(0x5000050Cu)
#define GPIO_DIRSET REGISTER(0x50000518u)
#define LED_COLUMN  (1u << 4)  /* low */
#define LED_ROW     (1u << 13) /* high */

#define POWER_RESETREAS REGISTER(0x40000400u)
#define RESETREAS_DOG   (1u << 1)
#define WDT_START       REGISTER(0x40010000u)
#define WDT_CRV         REGISTER(0x40010504u)
#define WDT_RR0         REGISTER(0x40010600u)
#define WDT_FEED        0x6E524635u
#define WDT_HZ          32768u

#define FICR_DEVICEID  REGISTERS(0x10000060u)
#define DEVICEID_BYTES 8u

#define READY_SPINS 100000u
#define WRITE_SPINS 1000000u

/* 16 MHz is the core's clock too. An emulator's timer counts virtual time: 62.5 instructions a tick. */
static stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_CYCLES, 1u, 1u, 16000000u, 0u};

void board_init(void) {
    if ((POWER_RESETREAS & RESETREAS_DOG) != 0u) {
        fault_keep_watchdog();
        POWER_RESETREAS = RESETREAS_DOG;
    }
    GPIO_DIRSET = LED_COLUMN | LED_ROW;
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
    if (line_use_console()) {
        info.counter = STAPES_COUNTER_INSTRUCTIONS;
        info.counter_numerator = 125u;
        info.counter_denominator = 2u;
    }
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t uart_read(uint8_t *bytes, size_t capacity) {
    size_t count = 0;
    while (count < capacity && UART_RXDRDY != 0u) {
        UART_RXDRDY = 0u;
        bytes[count++] = (uint8_t)UART_RXD;
    }
    return count;
}

void uart_write(const uint8_t *bytes, size_t count) {
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

void board_led(int on) {
    if (on != 0) {
        GPIO_OUTSET = LED_ROW;
    } else {
        GPIO_OUTCLR = LED_ROW;
    }
}

size_t board_unique_id(uint8_t *id, size_t capacity) {
    if (capacity < DEVICEID_BYTES) {
        return 0;
    }
    const uint32_t words[2] = {FICR_DEVICEID[0], FICR_DEVICEID[1]};
    memcpy(id, words, sizeof words);
    return sizeof words;
}

void board_watchdog_start(uint32_t timeout_ms) {
    const uint32_t most = 0xFFFFFFFFu / WDT_HZ;
    WDT_CRV = (timeout_ms < most ? timeout_ms : most) * WDT_HZ / 1000u;
    WDT_START = 1u;
}

void board_watchdog_feed(void) {
    WDT_RR0 = WDT_FEED;
}

void board_exit(int status) {
    semihosting_exit(status);
    cortex_m_reset();
}
