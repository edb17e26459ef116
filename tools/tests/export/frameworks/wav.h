/* Stands in for a microphone: the samples of the file $WAV, raw 16-bit PCM. The program ends with them. */
#ifndef WAV_H
#define WAV_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Returns how many samples it wrote; ends the program where there are none left. */
static inline size_t wav_read(int16_t *pcm, size_t count) {
    static FILE *file;
    if (file == NULL) {
        file = fopen(getenv("WAV"), "rb");
        if (file == NULL) {
            abort();
        }
    }
    const size_t done = fread(pcm, sizeof *pcm, count, file);
    if (done == 0u) {
        exit(0);
    }
    return done;
}

/* The number of the read, from 1, at which $LOSE wants samples to be lost; 0: none. */
static inline int wav_loses_at(void) {
    const char *at = getenv("LOSE");
    return at == NULL ? 0 : atoi(at);
}

/* What an I2S microphone sends: 24 bits in a slot of 32, as quiet as an INMP441; nothing in the other slot. */
static inline size_t wav_read_slots(uint32_t *words, size_t frames) {
    static int16_t pcm[4096];
    const size_t done = wav_read(pcm, frames);
    for (size_t i = 0; i < done; i++) {
        words[2u * i] = (uint32_t)(pcm[i] * 4096);
        words[2u * i + 1u] = 0;
    }
    return done;
}

#endif
