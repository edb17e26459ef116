/* NUCLEO-H753ZI (UM2407, 6.4 to 6.9): 8 MHz from the ST-LINK, USART3 on PD8 and PD9 to the ST-LINK, green LED
 * LD1 on PB0. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 480u,
    .outside = STM32_CLOCK_INPUT,
    .uart = 0x40004800u,
    .uart_enable = RCC + 0xE8u,
    .uart_enable_bit = 1u << 18,
    .uart_interrupt = 39u,
    .tx = {'D', 8, 7},
    .rx = {'D', 9, 7},
    .led = {'B', 0, 0},
};

CORTEX_M_HANDLER(39) {
    stm32_uart_interrupt();
}
