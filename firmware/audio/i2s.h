/* What an I2S microphone sends (INMP441 and its like: 24 bits, the most significant first, in slots of 32) to
 * PCM. */
#ifndef STAPES_I2S_H
#define STAPES_I2S_H

#include <stddef.h>
#include <stdint.h>

#include "level.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A slot as a DMA left it: its buffer may be of any type. */
typedef uint32_t __attribute__((__may_alias__)) stapes_slot_t;

typedef struct {
    stapes_level_t level;
    uint32_t slots;   /* in a frame: 1, or 2 for left and right */
    uint32_t slot;    /* the microphone's: 0 is left, where its L/R pin is low */
    uint32_t swapped; /* 1: the more significant half of a slot came first into memory (16-bit DMA) */
} stapes_i2s_t;

/* `gain`: in STAPES_GAIN_ONE, at most STAPES_LIMIT_GAIN; at one the microphone's full scale is PCM's. Returns
 * STAPES_OK, or STAPES_E_ARGUMENT for NULL or numbers out of range; no other function looks. */
int stapes_i2s_init(stapes_i2s_t *i2s, uint32_t slots, uint32_t slot, uint32_t swapped, uint32_t gain);

/* Forgets the mean. */
void stapes_i2s_reset(stapes_i2s_t *i2s);

/* Turns `frames` frames of `slots` words into as many samples. The eight bits of a slot behind the 24 are
 * ignored: nobody drives the line then. */
void stapes_i2s_push(stapes_i2s_t *i2s, const stapes_slot_t *words, size_t frames, int16_t *pcm);

#ifdef __cplusplus
}
#endif

#endif
