/* 32F072BDISCOVERY (UM1690): no crystal, USART1 on PA9 and PA10, green LED LD5 on PC9. */
#include "stm32/stm32.h"

const stm32_board_t stm32_board = {
    .core_mhz = 48u,
    .outside = STM32_NOTHING_OUTSIDE,
    .uart = 0x40013800u,
    .uart_enable = RCC + 0x18u,
    .uart_enable_bit = 1u << 14,
    .uart_interrupt = 27u,
    .tx = {'A', 9, 1},
    .rx = {'A', 10, 1},
    .led = {'C', 9, 0},
};

CORTEX_M_HANDLER(27) {
    stm32_uart_interrupt();
}
