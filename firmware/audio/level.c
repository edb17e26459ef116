#include "level.h"

int16_t stapes_level_start(stapes_level_t *level, int32_t value) {
    level->age++;
    if (level->age <= level->silent + 1u) {
        level->mean = (int64_t)value * (1 << STAPES_LEVEL_BITS);
        return 0;
    }
    int32_t shift = STAPES_LEVEL_BITS; /* 2^10 over the number of values, rounded to a power of two */
    for (uint32_t heard = level->age - level->silent; heard > 1u; heard >>= 1) {
        shift--;
    }
    const int32_t change = value - (int32_t)(level->mean >> STAPES_LEVEL_BITS);
    level->mean += (int64_t)change * (1 << shift);
    return stapes_level_amplify(level, change);
}
