/* Stands in for the microphone of a board: raw 16-bit mono PCM from standard input, as a DMA would leave it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "microphone.h"

static uint32_t *buffer;
static size_t half; /* words */
static int is_second;

int microphone_start(uint32_t *words, size_t count, uint32_t sample_rate) {
    (void)sample_rate;
    buffer = words;
    half = count / 2u;
    return 0;
}

void microphone_wait(void) {
    uint32_t *words = buffer + (is_second ? half : 0u);
    int16_t sample;
    size_t i = 0;
    for (; i < half && fread(&sample, sizeof sample, 1, stdin) == 1u; i += 2u) {
        words[i] = (uint32_t)(sample * (int32_t)(65536u * STAPES_GAIN_ONE / MICROPHONE_GAIN));
        words[i + 1u] = 0;
    }
    if (i == 0u) {
        exit(0);
    }
    for (; i < half; i++) {
        words[i] = 0;
    }
    if (is_second) {
        microphone_complete();
    } else {
        microphone_half_complete();
    }
    is_second = !is_second;
}
