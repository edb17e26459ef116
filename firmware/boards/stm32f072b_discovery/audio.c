/* An analogue microphone on the 32F072BDISCOVERY: PC1, channel 11. */
#include "stm32/microphone.h"

const stm32_adc_board_t stm32_adc_board = {
    .pin = {'C', 1, 0},
    .channel = 11u,
    .conversions = 4u,
};
