/* Arm MPS2 FPGA images AN385, AN386, AN500: CMSDK UART0 and TIMER0 on a 25 MHz bus (AN385, table 4-1;
   Cortex-M System Design Kit, DDI 0479, 4.3 and 4.4). Made for QEMU, which advances time by instructions
   under `-icount shift=0`. */
#include "board.h"
#include "cortex_m/cortex_m.h"
#include "cortex_m/semihosting.h"

#define UART_DATA         REGISTER(0x40004000u)
#define UART_STATE        REGISTER(0x40004004u)
#define UART_CTRL         REGISTER(0x40004008u)
#define UART_BAUDDIV      REGISTER(0x40004010u)
#define UART_TX_FULL      1u
#define UART_RX_FULL      2u
#define UART_TX_RX_ENABLE 3u

#define TIMER_CTRL   REGISTER(0x40000000u)
#define TIMER_VALUE  REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define TIMER_ENABLE 1u

#define BUS_HZ      25000000u
#define BAUD        921600u
#define WRITE_SPINS 1000000u

static bool console; /* talk through semihosting instead of the UART */

static const stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_INSTRUCTIONS, 1000000000u / BUS_HZ,
                                         1u};

void board_init(void) {
    UART_BAUDDIV = (BUS_HZ + BAUD / 2u) / BAUD;
    UART_CTRL = UART_TX_RX_ENABLE;
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_VALUE = 0xFFFFFFFFu;
    TIMER_CTRL = TIMER_ENABLE;
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

uint32_t board_ticks(void) {
    return ~TIMER_VALUE; /* counts down */
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
