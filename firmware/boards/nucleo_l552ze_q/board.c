/* NUCLEO-L552ZE-Q (UM2581, 6.6 to 6.9): no crystal, LPUART1 on PG7 and PG8 to the ST-LINK, green LED LD1 on
 * PC7. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 110u,
    .outside = STM32_NOTHING_OUTSIDE,
    .uart = 0x40008000u,
    .uart_enable = RCC + 0x5Cu,
    .uart_enable_bit = 1u << 0,
    .uart_interrupt = 66u,
    .uart_low_power = true,
    .tx = {'G', 7, 8},
    .rx = {'G', 8, 8},
    .led = {'C', 7, 0},
};

CORTEX_M_HANDLER(66) {
    stm32_uart_interrupt();
}
