/* MFCC and PCEN values to int8. */
#ifndef STAPES_FRONTEND_OUTPUT_H
#define STAPES_FRONTEND_OUTPUT_H

#include "frontend_math.h"
#include "stapes/frontend.h"

/* `value` has `bits` fractional bits. */
static inline int8_t quantize_value(int32_t value, uint32_t bits, const stapes_output_t *output) {
    uint32_t shift = bits + 20 - 16;
    int64_t steps = (((int64_t)value * output->gain + ((int64_t)1 << (shift - 1))) >> shift) + output->bias;
    int64_t limit = 1 << 24;
    return saturate_high((int32_t)(steps > limit ? limit : steps < -limit ? -limit : steps));
}

#endif
