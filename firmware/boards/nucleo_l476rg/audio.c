/* An analogue microphone on the NUCLEO-L476RG: PA0 (A0), channel 5. */
#include "stm32/microphone.h"

const stm32_adc_board_t stm32_adc_board = {
    .pin = {'A', 0, 0},
    .channel = 5u,
    .conversions = 8u,
};
