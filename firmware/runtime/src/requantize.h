/* Fixed-point steps of the int8 kernels, as in TFLite with double rounding. Internal to the runtime. */
#ifndef STAPES_REQUANTIZE_H
#define STAPES_REQUANTIZE_H

#include <stdint.h>

#include "stapes/kernels.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(STAPES_PORTABLE_KERNELS)
#define STAPES_DSP 1
#else
#define STAPES_DSP 0
#endif

/* Right shifts of negative numbers must keep the sign. */
typedef char stapes_arithmetic_shift_t[((-3) >> 1) == -2 ? 1 : -1];

static inline int32_t stapes_clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* round(a * b / 2^31), halves up: SaturatingRoundingDoublingHighMul for all but (INT32_MIN, INT32_MIN). */
static inline int32_t stapes_high_multiply(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* The same where both may be INT32_MIN. */
static inline int32_t stapes_saturating_high_multiply(int32_t a, int32_t b) {
    return a == INT32_MIN && b == INT32_MIN ? INT32_MAX : stapes_high_multiply(a, b);
}

/* round(value / 2^shift), halves away from zero; 0 <= shift <= 31. */
static inline int32_t stapes_rounding_shift(int32_t value, int32_t shift) {
    const int32_t mask = (int32_t)(((uint32_t)1 << shift) - 1U);
    const int32_t threshold = (mask >> 1) + (value < 0);
    return (value >> shift) + ((value & mask) > threshold);
}

/* value * multiplier * 2^shift, rounded twice; a left shift wraps as it does in the reference. */
static inline int32_t stapes_multiply(int32_t value, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t shifted = (int32_t)((uint32_t)value << left);
    return stapes_rounding_shift(stapes_high_multiply(shifted, multiplier), right);
}

/* The short way of stapes_multiply and adding the zero point, for right shifts and |sum| < 2^30:
 * offset = 2^(shift-1) + zero_point * 2^shift. */
static inline int32_t stapes_requantize_short(int32_t sum, int32_t multiplier, int32_t offset,
                                              int32_t shift) {
#if STAPES_DSP
    int32_t value;
    __asm__("smmulr %0, %1, %2" : "=r"(value) : "r"(sum * 2), "r"(multiplier));
    value = (value + (value >> 31) + offset) >> shift;
    __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
    return value;
#else
    const int32_t high = stapes_high_multiply(sum, multiplier);
    return stapes_clamp((high + (high >> 31) + offset) >> shift, -128, 127);
#endif
}

/* `count` sums of one channel, `step` bytes between the outputs. Bias is already in the sums. */
static inline void stapes_requantize_channel(const stapes_requantize_t *q, uint32_t channel,
                                             const int32_t *sums, uint32_t count, int8_t *output,
                                             uint32_t step) {
    const int32_t multiplier = q->channels[channel].multiplier;
    const int32_t shift = q->shifts[channel];
    if (q->is_short) {
        const int32_t right = -shift;
        const int32_t offset = (2 * q->zero_point + 1) * (int32_t)((uint32_t)1 << (right - 1));
        for (uint32_t i = 0; i < count; i++) {
            *output = (int8_t)stapes_requantize_short(sums[i], multiplier, offset, right);
            output += step;
        }
    } else {
        for (uint32_t i = 0; i < count; i++) {
            *output =
                (int8_t)stapes_clamp(stapes_multiply(sums[i], multiplier, shift) + q->zero_point, -128, 127);
            output += step;
        }
    }
}

/* The fused activation of a whole row, after the saturation to int8; most rows need none. */
void stapes_activate(const stapes_requantize_t *q, int8_t *row, uint32_t count);

#endif
