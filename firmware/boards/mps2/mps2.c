/* Arm MPS2 and MPS3 FPGA images with a Cortex-M: CMSDK UART0 and TIMER0 (Cortex-M System Design Kit, DDI
 * 0479, 4.3 and 4.4; addresses in the image's application note), SysTick where the image has no CMSDK timer.
 * Made for QEMU, which advances time by instructions under `-icount shift=0`: one is a nanosecond.
 * board.cmake defines MPS2_UART, MPS2_TIMER (0: SysTick) and MPS2_MHZ. */
#include "board.h"
#include "cortex_m/cortex_m.h"
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

#define BAUD         921600u
#define BAUD_DIVIDER ((MPS2_MHZ * 1000000u + BAUD / 2u) / BAUD)
#define WRITE_SPINS  1000000u

static bool console; /* talk through semihosting instead of the UART */

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
    console = semihosting_console();
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    if (console) {
        return semihosting_read(bytes, capacity);
    }
    size_t count = 0;
    while (count < capacity && (UART_STATE & UART_RX_FULL) != 0u) {
        bytes[count++] = (uint8_t)UART_DATA;
    }
    return count;
}

void board_write(const uint8_t *bytes, size_t count) {
    if (console) {
        semihosting_write(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t spin = 0; (UART_STATE & UART_TX_FULL) != 0u && spin < WRITE_SPINS; spin++) {
        }
        UART_DATA = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
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
