/* tools/stapes/reference/sound_level.py is the same, line by line. */
#include "stapes/sound_level.h"

#include "frontend_math.h"

#define FULL_SCALE_LOG2 30
#define CENTIBELS       19728302 /* 100 * 10 * log10(2), Q16 */

/* log2 of a positive number, Q16: bit by bit from squares of the mantissa. */
static int32_t log2_q16(uint64_t value) {
    const uint32_t high = (uint32_t)(value >> 32);
    const uint32_t zeros = high != 0 ? leading_zeros(high) : 32u + leading_zeros((uint32_t)value);
    const int32_t exponent = 63 - (int32_t)zeros;
    uint64_t mantissa = value << zeros >> 32; /* Q31, in [1, 2) */
    uint32_t fraction = 0;
    for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
        mantissa = (mantissa * mantissa) >> 31;
        if ((mantissa >> 32) != 0) {
            mantissa >>= 1;
            fraction |= bit;
        }
    }
    return exponent * 65536 + (int32_t)fraction;
}

int32_t stapes_sound_level(uint64_t square_sum, uint32_t samples) {
    if (square_sum == 0 || samples == 0) {
        return STAPES_LEVEL_SILENT;
    }
    const int64_t ratio = log2_q16(square_sum) - log2_q16(samples) - FULL_SCALE_LOG2 * 65536;
    return (int32_t)((ratio * CENTIBELS) >> 32);
}
