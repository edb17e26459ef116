/* An INMP441 on the NUCLEO-F446RE: SCK to PB13, WS to PB12, SD to PB15 (all on CN10), L/R to ground. */
#include "stm32/microphone.h"

const stm32_i2s_board_t stm32_i2s_board = {
    .clock = {'B', 13, 5},
    .select = {'B', 12, 5},
    .data = {'B', 15, 5},
    .own_divider = true,
};
