/* An INMP441 on the NUCLEO-F767ZI: SCK to PB13 (D18; jumper JP7 off), WS to PB12 (D19), SD to PB15 (D17), L/R
 * to ground. */
#include "stm32/microphone.h"

const stm32_i2s_board_t stm32_i2s_board = {
    .clock = {'B', 13, 5},
    .select = {'B', 12, 5},
    .data = {'B', 15, 5},
};
