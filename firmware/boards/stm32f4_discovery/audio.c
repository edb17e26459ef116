/* MP45DT02 on the STM32F4 Discovery (UM1472, 6.4): clock PB10, data PC3. */
#include "stm32/microphone.h"

const stm32_i2s_board_t stm32_i2s_board = {
    .clock = {'B', 10, 5},
    .data = {'C', 3, 5},
};
