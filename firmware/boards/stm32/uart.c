/* The UART of every family: reception by interrupt into a ring, so that a slow main loop loses nothing;
 * sending waits. Two register layouts (RM0090, 30.6: F1, F4; RM0410, 34.8: F0, F7, H7, L4, L5), and LPUART's
 * divider (RM0438, 48.4.7). */
#include "board.h"
#include "common/byte_ring.h"
#include "semihosting/line.h"
#include "stm32/stm32.h"

#define UART(offset) REGISTER(stm32_board.uart + (offset))
#if UART_ISR_LAYOUT
#define UART_CR1     UART(0x00u)
#define UART_BRR     UART(0x0Cu)
#define UART_STATUS  UART(0x1Cu)
#define UART_CLEAR   UART(0x20u)
#define UART_RECEIVE UART(0x24u)
#define UART_SEND    UART(0x28u)
#define CR1_ENABLE   (1u << 0)
#else
#define UART_STATUS  UART(0x00u)
#define UART_RECEIVE UART(0x04u)
#define UART_SEND    UART(0x04u)
#define UART_BRR     UART(0x08u)
#define UART_CR1     UART(0x0Cu)
#define CR1_ENABLE   (1u << 13)
#endif
#define CR1_RECEIVE   (1u << 2)
#define CR1_SEND      (1u << 3)
#define CR1_RECEIVED  (1u << 5) /* interrupt */
#define STATUS_ERRORS 0xFu      /* overrun, noise, framing, parity */
#define STATUS_RXNE   (1u << 5)
#define STATUS_TC     (1u << 6)
#define STATUS_TXE    (1u << 7)

#define FINEST_DIVIDER 26u /* within 2 % of any speed */
#define WRITE_SPINS    1000000u

static byte_ring_t ring;
static volatile bool paused;
static uint32_t uart_hz;

uint32_t stm32_uart_max_baud(uint32_t clock_hz) {
    return clock_hz / FINEST_DIVIDER;
}

void stm32_start_uart(uint32_t clock_hz) {
    stm32_pin_uart(stm32_board.tx, true);
    stm32_pin_uart(stm32_board.rx, false);
    REGISTER(stm32_board.uart_enable) |= stm32_board.uart_enable_bit;
    (void)REGISTER(stm32_board.uart_enable); /* the clock takes two cycles to arrive */
    uart_hz = clock_hz;
    board_set_baud(STAPES_BOOT_BAUD);
    UART_CR1 = CR1_ENABLE | CR1_SEND | CR1_RECEIVE | CR1_RECEIVED;
    (void)UART_RECEIVE; /* drops what came before, and lets QEMU see that the receiver is on */
    cortex_m_enable_interrupt(stm32_board.uart_interrupt);
}

void stm32_uart_interrupt(void) {
    const uint32_t status = UART_STATUS;
    if ((status & STATUS_RXNE) != 0u) {
        if (byte_ring_full(&ring)) {
            paused = true; /* until there is room */
            cortex_m_disable_interrupt(stm32_board.uart_interrupt);
            return;
        }
        byte_ring_put(&ring, (uint8_t)UART_RECEIVE);
    }
#if UART_ISR_LAYOUT
    UART_CLEAR = status & STATUS_ERRORS;
#else
    else if ((status & STATUS_ERRORS) != 0u) {
        (void)UART_RECEIVE; /* this clears them */
    }
#endif
}

size_t uart_read(uint8_t *bytes, size_t capacity) {
    const size_t count = byte_ring_take(&ring, bytes, capacity);
    if (paused && count > 0u) {
        paused = false;
        cortex_m_enable_interrupt(stm32_board.uart_interrupt);
    }
    return count;
}

static void wait_for(uint32_t flag) {
    for (uint32_t spin = 0; (UART_STATUS & flag) == 0u && spin < WRITE_SPINS; spin++) {
    }
}

void uart_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        wait_for(STATUS_TXE);
        UART_SEND = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    const uint32_t control = UART_CR1;
    if ((control & CR1_SEND) != 0u) {
        wait_for(STATUS_TC);
    }
    UART_CR1 = control & ~CR1_ENABLE; /* the divider may only change while it is off */
    uint32_t divider = (uart_hz + baud / 2u) / baud;
    if (stm32_board.uart_low_power) {
        divider = (uint32_t)((256u * (uint64_t)uart_hz + baud / 2u) / baud);
    }
    UART_BRR = divider;
    UART_CR1 = control;
}
