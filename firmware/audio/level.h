/* The last step of every source: takes the slow mean of a signal away, multiplies by a gain, saturates. */
#ifndef STAPES_LEVEL_H
#define STAPES_LEVEL_H

#include <stdint.h>

#include "stapes/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_GAIN_ONE 256u

/* The mean is that of about 2^10 values; until so many came, of those that came. */
#define STAPES_LEVEL_BITS 10

typedef struct {
    int32_t gain;      /* Q32 */
    uint32_t silent;   /* values at the start that are not to be heard */
    uint32_t starting; /* values until the mean has its full length */
    int64_t mean;      /* Q32 */
} stapes_level_t;

typedef char stapes_level_shift[((-3) >> 1 == -2) ? 1 : -1];

void stapes_level_reset(stapes_level_t *level);

/* `unit`: the gain, Q32, that makes the largest value full scale; `gain` in STAPES_GAIN_ONE. */
static inline void stapes_level_init(stapes_level_t *level, uint32_t unit, uint32_t gain, uint32_t silent) {
    level->gain = (int32_t)((uint64_t)gain * unit / STAPES_GAIN_ONE);
    level->silent = silent;
    stapes_level_reset(level);
}

/* Returns a sample. The first value, or the last silent one, is the mean; those after it move it less and
 * less. */
int16_t stapes_level_start(stapes_level_t *level, int32_t value);

static inline int16_t stapes_saturated(int32_t value) {
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

static inline int16_t stapes_level_amplify(const stapes_level_t *level, int32_t change) {
    const int64_t product = (int64_t)change * level->gain + ((int64_t)1 << 31);
    return stapes_saturated((int32_t)(product >> 32));
}

/* `value` between -2^29 and 2^29. */
static inline int16_t stapes_level_push(stapes_level_t *level, int32_t value) {
    if (level->starting != 0u) {
        return stapes_level_start(level, value);
    }
    const int32_t change = value - (int32_t)(level->mean >> 32);
    level->mean += (int64_t)change * (1 << (32 - STAPES_LEVEL_BITS));
    return stapes_level_amplify(level, change);
}

#ifdef __cplusplus
}
#endif

#endif
