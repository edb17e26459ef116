#include "level.h"

#define LENGTH (1u << STAPES_LEVEL_BITS)

void stapes_level_reset(stapes_level_t *level) {
    level->mean = 0;
    level->starting = level->silent + LENGTH;
}

int16_t stapes_level_start(stapes_level_t *level, int32_t value) {
    level->starting--;
    if (level->starting + 1u >= LENGTH) {
        level->mean = (int64_t)value * ((int64_t)1 << 32);
        return 0;
    }
    int32_t shift = 32; /* 2^32 over the number of values, rounded to a power of two */
    for (uint32_t heard = LENGTH - level->starting; heard > 1u; heard >>= 1) {
        shift--;
    }
    const int32_t change = value - (int32_t)(level->mean >> 32);
    level->mean += change * ((int64_t)1 << shift);
    return stapes_level_amplify(level, change);
}
