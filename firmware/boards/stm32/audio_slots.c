/* An I2S microphone of 24 bits, e.g. INMP441. */
#include "i2s.h"
#include "stapes/error.h"
#include "stm32/microphone.h"

#ifndef STAPES_AUDIO_GAIN
#define STAPES_AUDIO_GAIN (8u * STAPES_GAIN_ONE)
#endif

#define SLOTS          2u
#define WORDS          (2u * SLOTS) /* of 16 bits in a frame */
#define BITS           64u
#define SLOWEST_BIT_HZ 500000u /* INMP441: 0.5 to 3.2 MHz */
#define FASTEST_BIT_HZ 3200000u

static stapes_i2s_t i2s;

typedef char stapes_frames_fit[STM32_AUDIO_HALF / WORDS <= STM32_AUDIO_SAMPLES ? 1 : -1];

int stm32_microphone_start(uint32_t sample_rate) {
    if (sample_rate < SLOWEST_BIT_HZ / BITS || sample_rate > FASTEST_BIT_HZ / BITS) {
        return STAPES_E_ARGUMENT;
    }
    /* The SPI's data register gives the more significant half of a slot first. */
    const int error = stapes_i2s_init(&i2s, SLOTS, stm32_i2s_board.slot, 1u, STAPES_AUDIO_GAIN);
    return error != STAPES_OK ? error : stm32_i2s_start(BITS * sample_rate, STM32_I2S_SLOTS);
}

size_t stm32_microphone_convert(const uint16_t *words, int16_t *pcm) {
    const void *frames = words; /* the buffer is aligned */
    stapes_i2s_push(&i2s, frames, STM32_AUDIO_HALF / WORDS, pcm);
    return STM32_AUDIO_HALF / WORDS;
}

uint32_t stm32_microphone_words(void) {
    return WORDS;
}

uint32_t stm32_microphone_gain(void) {
    return STAPES_AUDIO_GAIN;
}
