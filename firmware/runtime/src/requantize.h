/* Fixed-point steps of the int8 kernels, as in TFLite with double rounding. Internal to the runtime. */
#ifndef STAPES_REQUANTIZE_H
#define STAPES_REQUANTIZE_H

#include <stdint.h>
#include <string.h>

#include "stapes/kernels.h"

/* ARMv6-M: no long multiplication. */
#ifndef STAPES_THUMB1
#if defined(__thumb__) && !defined(__thumb2__)
#define STAPES_THUMB1 1
#else
#define STAPES_THUMB1 0
#endif
#endif

#if STAPES_DSP

/* Words need no alignment. */
static inline uint32_t stapes_load(const int8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint32_t stapes_load_halves(const int16_t *halves) {
    uint32_t word;
    memcpy(&word, halves, sizeof word);
    return word;
}

static inline void stapes_store(int16_t *halves, uint32_t word) {
    memcpy(halves, &word, sizeof word);
}

/* Bytes 0 and 2 as two int16. */
static inline uint32_t stapes_sxtb16(uint32_t word) {
    uint32_t halves;
    __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(word));
    return halves;
}

/* Bytes 1 and 3. */
static inline uint32_t stapes_sxtb16_8(uint32_t word) {
    uint32_t halves;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
    return halves;
}

/* The low halves of both, and their high halves; `first` is the low one. */
static inline uint32_t stapes_low_halves(uint32_t first, uint32_t second) {
    uint32_t halves;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(first), "r"(second));
    return halves;
}

static inline uint32_t stapes_high_halves(uint32_t first, uint32_t second) {
    uint32_t halves;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(second), "r"(first));
    return halves;
}

/* The larger and the smaller of four int8 each. */
static inline uint32_t stapes_max8(uint32_t a, uint32_t b) {
    uint32_t larger;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b));
    return larger;
}

static inline uint32_t stapes_min8(uint32_t a, uint32_t b) {
    uint32_t smaller;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(smaller) : "r"(a), "r"(b));
    return smaller;
}

/* sum plus the products of the low and of the high halves. */
static inline int32_t stapes_smlad(uint32_t a, uint32_t b, int32_t sum) {
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t stapes_smlabb(uint32_t a, uint32_t b, int32_t sum) {
    __asm__("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t stapes_smlatt(uint32_t a, uint32_t b, int32_t sum) {
    __asm__("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
#endif

/* Loops that are only fast when their constant arguments are folded in. */
#define STAPES_INLINE static inline __attribute__((always_inline))

/* Code that runs seldom, or briefly: small rather than fast. */
#define STAPES_COLD __attribute__((cold))

/* Right shifts of negative numbers must keep the sign. */
typedef char stapes_arithmetic_shift_t[((-3) >> 1) == -2 ? 1 : -1];

static inline int32_t stapes_clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* An int16 in a row of bytes, which need no alignment. */
static inline int32_t stapes_half(const int8_t *bytes) {
    int16_t half;
    memcpy(&half, bytes, sizeof half);
    return half;
}

static inline void stapes_set_half(int8_t *bytes, int32_t value) {
    const int16_t half = (int16_t)value;
    memcpy(bytes, &half, sizeof half);
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
    const int32_t mask = (int32_t)(((uint32_t)1 << shift) - 1u);
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

/* round(a * b / 2^32), halves up, for b >= 0. */
static inline int32_t stapes_high_word(int32_t a, int32_t b) {
#if STAPES_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#elif STAPES_THUMB1
    /* Without a long multiplication: by halves, none of which leaves 32 bits. */
    const int32_t a_high = a >> 16, b_high = b >> 16;
    const uint32_t a_low = (uint32_t)a & 0xffffu, b_low = (uint32_t)b & 0xffffu;
    const int32_t middle = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    const uint32_t rest = a_low * (uint32_t)b_high + ((uint32_t)middle & 0xffffu);
    return a_high * b_high + (middle >> 16) + (int32_t)((rest + 0x8000u) >> 16);
#else
    const int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

/* The same plus c. */
static inline int32_t stapes_high_word_plus(int32_t a, int32_t b, int32_t c) {
#if STAPES_DSP
    int32_t high;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(a), "r"(b), "r"(c));
    return high;
#else
    return stapes_high_word(a, b) + c;
#endif
}

/* The same for |a| < 2^30. */
static inline int32_t stapes_high_word_short(int32_t a, int32_t b) {
#if STAPES_THUMB1
    /* The low half of a with its sign, so that the products in the middle, and half a unit, add up in 32
     * bits. */
    const int32_t a_low = (int16_t)a, a_high = (a - a_low) >> 16, b_high = b >> 16;
    const uint32_t b_low = (uint32_t)b & 0xffffu;
    const int32_t low = (int32_t)((uint32_t)a_low * b_low) >> 16;
    return a_high * b_high + ((a_high * (int32_t)b_low + a_low * b_high + low + 0x8000) >> 16);
#else
    return stapes_high_word(a, b);
#endif
}

/* Half of the value as int8. */
static inline int32_t stapes_saturate_half(int32_t value) {
#if defined(__ARM_FEATURE_SAT) && defined(__thumb2__)
    /* GCC 12 makes SSAT of a clamp in a function, none of one that is inlined into a loop. */
    int32_t saturated;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(saturated) : "r"(value));
    return saturated;
#else
    return stapes_clamp(value >> 1, -128, 127);
#endif
}

/* The short way of stapes_multiply, adding the zero point and saturating to int8, for right shifts and |sum|
 * < 2^29. Takes twice the sum and the shift less one; offset = 2^shift + zero_point * 2^(shift + 1) =
 * (2 * zero_point + 1) << shift. */
static inline int32_t stapes_requantize_short(int32_t twice_sum, int32_t multiplier, int32_t offset,
                                              int32_t shift) {
    const int32_t high = stapes_high_word_short(twice_sum, multiplier);
    return stapes_saturate_half((high + (high >> 31) + offset) >> shift);
}

#if STAPES_MVE
#include "requantize_mve.h"
#endif

/* stapes_requantize_columns where a channel may be long. */
void stapes_requantize_long(const stapes_requantize_t *q, uint32_t channel, uint32_t count,
                            const int32_t *sums, uint32_t columns, int8_t *output, uint32_t step);

/* `count` channels, the sums of `columns` output columns each; `step` bytes from one column to the next. */
STAPES_INLINE void stapes_requantize_columns(const stapes_requantize_t *q, uint32_t channel, uint32_t count,
                                             const int32_t *sums, const uint32_t columns, int8_t *output,
                                             uint32_t step) {
    if (q->is_short) {
#if STAPES_MVE
        stapes_requantize_vectors(q, channel, count, sums, columns, output, step);
#else
        const stapes_channel_t *constants = q->channels + channel;
        const stapes_channel_t *const end = constants + count;
        const int8_t *shifts = q->shifts + channel;
        const uint32_t rounding = (uint32_t)(int32_t)q->rounding;
        for (; constants != end; constants++) {
            const int32_t multiplier = constants->multiplier;
            const int32_t shift = *shifts++;
            const int32_t offset = (int32_t)(rounding << shift);
            output[0] = (int8_t)stapes_requantize_short(2 * sums[0], multiplier, offset, shift);
            if (columns > 1) {
                output[step] = (int8_t)stapes_requantize_short(2 * sums[1], multiplier, offset, shift);
            }
            if (columns > 2) {
                output[2 * step] = (int8_t)stapes_requantize_short(2 * sums[2], multiplier, offset, shift);
            }
            sums += columns;
            output++;
        }
#endif
    } else {
        stapes_requantize_long(q, channel, count, sums, columns, output, step);
    }
}

/* Keeps `count` values between `minimum` and `maximum`. */
void stapes_limit(int8_t *row, uint32_t count, int32_t minimum, int32_t maximum);

/* The fused activation of a whole row, after the saturation to int8; most rows need none. */
void stapes_activate(const stapes_requantize_t *q, int8_t *row, uint32_t count);

#endif
