/* STM32VLDISCOVERY (UM0919): 8 MHz crystal, USART1 on PA9 and PA10, green LED LD3 on PC9. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 24u,
    .outside = STM32_CRYSTAL,
    .uart = 0x40013800u,
    .uart_enable = RCC + 0x18u,
    .uart_enable_bit = 1u << 14,
    .uart_interrupt = 37u,
    .tx = {'A', 9, 0},
    .rx = {'A', 10, 0},
    .led = {'C', 9, 0},
};

CORTEX_M_HANDLER(37) {
    stm32_uart_interrupt();
}
