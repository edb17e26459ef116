/* From two values a PCM sample to one: level, then a half-band filter. */
#ifndef STAPES_HALF_BAND_H
#define STAPES_HALF_BAND_H

#include <stddef.h>
#include <stdint.h>

#include "level.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_HALF_BAND_BLOCK   16u /* PCM samples computed together */
#define STAPES_HALF_BAND_HISTORY 48u

/* Even sizes: words are faster to move. */
typedef struct {
    stapes_level_t level;
    int16_t odd[STAPES_HALF_BAND_HISTORY / 2u + STAPES_HALF_BAND_BLOCK]; /* one value of each pair */
    int16_t even[STAPES_HALF_BAND_HISTORY + STAPES_HALF_BAND_BLOCK];     /* and the other */
} stapes_half_band_t;

void stapes_half_band_reset(stapes_half_band_t *filter);

/* Takes the next pair of values, the `place`th since the last finish. */
static inline void stapes_half_band_push(stapes_half_band_t *filter, uint32_t place, int32_t first,
                                         int32_t second) {
    filter->odd[STAPES_HALF_BAND_HISTORY / 2u + place] = stapes_level_push(&filter->level, first);
    filter->even[STAPES_HALF_BAND_HISTORY + place] = stapes_level_push(&filter->level, second);
}

/* Turns the `count` pairs since the last finish, at most STAPES_HALF_BAND_BLOCK, into PCM. */
void stapes_half_band_finish(stapes_half_band_t *filter, uint32_t count, int16_t *pcm);

#ifdef __cplusplus
}
#endif

#endif
