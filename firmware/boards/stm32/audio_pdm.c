/* A PDM microphone on an I2S bus that takes every bit. */
#include "pdm.h"
#include "stapes/error.h"
#include "stm32/microphone.h"

#ifndef STAPES_AUDIO_GAIN
#define STAPES_AUDIO_GAIN (8u * STAPES_GAIN_ONE)
#endif

/* MP45DT02: 1 to 3.25 MHz. */
#define SLOWEST_HZ 1000000u
#define FASTEST_HZ 3250000u
#define MOST_BITS  128u

static stapes_pdm_t pdm;
static int16_t table[STAPES_PDM_TABLE(MOST_BITS)];
static uint32_t bits;

typedef char stapes_pdm_fits[STAPES_PDM_SAMPLES(STM32_AUDIO_HALF, 64u) <= STM32_AUDIO_SAMPLES ? 1 : -1];

int stm32_microphone_start(uint32_t sample_rate) {
    bits = sample_rate < SLOWEST_HZ / 64u ? 128u : 64u;
    if (sample_rate > FASTEST_HZ / bits || sample_rate < SLOWEST_HZ / bits) {
        return STAPES_E_ARGUMENT;
    }
    const int error = stapes_pdm_init(&pdm, bits, STAPES_AUDIO_GAIN, table);
    return error != STAPES_OK ? error : stm32_i2s_start(bits * sample_rate, STM32_I2S_BITS);
}

size_t stm32_microphone_convert(const uint16_t *words, int16_t *pcm) {
    return stapes_pdm_push(&pdm, words, STM32_AUDIO_HALF, pcm);
}

uint32_t stm32_microphone_words(void) {
    return bits / 16u;
}

uint32_t stm32_microphone_gain(void) {
    return STAPES_AUDIO_GAIN;
}
