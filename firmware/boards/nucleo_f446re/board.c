/* NUCLEO-F446RE (UM1724, 6.7 and 6.8): 8 MHz from the ST-LINK, USART2 on PA2 and PA3 to the ST-LINK, LED LD2
 * on PA5. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 180u,
    .outside = STM32_CLOCK_INPUT,
    .uart = 0x40004400u,
    .uart_enable = RCC + 0x40u,
    .uart_enable_bit = 1u << 17,
    .uart_interrupt = 38u,
    .tx = {'A', 2, 7},
    .rx = {'A', 3, 7},
    .led = {'A', 5, 0},
};

CORTEX_M_HANDLER(38) {
    stm32_uart_interrupt();
}
