/* Arm MPS2 and MPS3 FPGA images with a Cortex-M: CMSDK UART0 and TIMER0 (Cortex-M System Design Kit, DDI
 * 0479, 4.3, 4.4 and 4.6; addresses in the image's application note), SysTick where the image has no CMSDK
 * timer. Made for QEMU, which advances time by instructions under `-icount shift=0`: one is a nanosecond.
 * board.cmake defines MPS2_UART, MPS2_TIMER (0: SysTick), MPS2_WATCHDOG (0: none) and MPS2_MHZ. */
#include "board.h"
#include "cortex_m/cortex_m.h"
#include "semihosting/line.h"
#include "semihosting/semihosting.h"

#define UART_DATA         REGISTER(MPS2_UART + 0x00u)
#define UART_STATE        REGISTER(MPS2_UART + 0x04u)
#define UART_CTRL         REGISTER(MPS2_UART + 0x08u)
#define UART_BAUDDIV      REGISTER(MPS2_UART + 0x10u)
#define UART_TX_FULL      1u
#define UART_RX_FULL      2u
#define UART_TX_RX_ENABLE 3u

#define TIMER_CTRL   REGISTER(MPS2_TIMER + 0x0u)
#define TIMER_VALUE  REGISTER(MPS2_TIMER + 0x4u)
#define TIMER_RELOAD REGISTER(MPS2_TIMER + 0x8u)
#define TIMER_ENABLE 1u

#define WATCHDOG_LOAD    REGISTER(MPS2_WATCHDOG + 0x000u)
#define WATCHDOG_CONTROL REGISTER(MPS2_WATCHDOG + 0x008u)
#define WATCHDOG_CLEAR   REGISTER(MPS2_WATCHDOG + 0x00Cu)
#define WATCHDOG_LOCK    REGISTER(MPS2_WATCHDOG + 0xC00u)
#define WATCHDOG_KEY     0x1ACCE551u
#define WATCHDOG_ENABLE  3u /* first the interrupt, which is the NMI; then the reset */

#define BAUD         921600u
#define BAUD_DIVIDER ((MPS2_MHZ * 1000000u + BAUD / 2u) / BAUD)
#define WRITE_SPINS  1000000u

static const stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_INSTRUCTIONS, 1000u,
                                         MPS2_MHZ,          MPS2_MHZ * 1000000u,         0u};

#if MPS2_TIMER != 0u
static void start_ticks(void) {
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_VALUE = 0xFFFFFFFFu;
    TIMER_CTRL = TIMER_ENABLE;
}

uint32_t board_ticks(void) {
    return ~TIMER_VALUE; /* counts down */
}
#else
static void start_ticks(void) {
    cortex_m_start_systick();
}

uint32_t board_ticks(void) {
    return cortex_m_systick();
}
#endif

void board_init(void) {
    UART_BAUDDIV = BAUD_DIVIDER;
    UART_CTRL = UART_TX_RX_ENABLE;
    (void)UART_DATA; /* drops what came before, and lets QEMU see that the receiver is on */
    start_ticks();
    (void)line_use_console();
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t uart_read(uint8_t *bytes, size_t capacity) {
    size_t count = 0;
    while (count < capacity && (UART_STATE & UART_RX_FULL) != 0u) {
        bytes[count++] = (uint8_t)UART_DATA;
    }
    return count;
}

void uart_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (uint32_t spin = 0; (UART_STATE & UART_TX_FULL) != 0u && spin < WRITE_SPINS; spin++) {
        }
        UART_DATA = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

#if MPS2_WATCHDOG != 0u
void board_watchdog_start(uint32_t timeout_ms) {
    const uint32_t per_ms = MPS2_MHZ * 1000u;
    const uint32_t most = 0xFFFFFFFFu / per_ms;
    WATCHDOG_LOCK = WATCHDOG_KEY;
    WATCHDOG_LOAD = (timeout_ms < most ? timeout_ms : most) * per_ms;
    WATCHDOG_CONTROL = WATCHDOG_ENABLE;
}

void board_watchdog_feed(void) {
    WATCHDOG_LOCK = WATCHDOG_KEY;
    WATCHDOG_CLEAR = 1u;
}
#endif

void board_exit(int status) {
    semihosting_exit(status);
    cortex_m_reset();
}
