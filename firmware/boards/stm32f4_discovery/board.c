/* STM32F4 Discovery (UM1472): 8 MHz crystal, USART2 on PA2 and PA3, green LED LD4 on PD12. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 168u,
    .outside = STM32_CRYSTAL,
    .uart = 0x40004400u,
    .uart_enable = RCC + 0x40u,
    .uart_enable_bit = 1u << 17,
    .uart_interrupt = 38u,
    .tx = {'A', 2, 7},
    .rx = {'A', 3, 7},
    .led = {'D', 12, 0},
};

CORTEX_M_HANDLER(38) {
    stm32_uart_interrupt();
}
