/* Products and counts that the front end is made of; the definitions are docs/front-end.md's. */
#ifndef STAPES_FRONTEND_MATH_H
#define STAPES_FRONTEND_MATH_H

#include <stdint.h>

/* Right shifts of negative values are arithmetic everywhere in the runtime. */
typedef char stapes_arithmetic_shift[((-3) >> 1 == -2) ? 1 : -1];

/* round(x * y / 2^32), halves upwards: SMMULR. */
static inline int32_t multiply_high(int32_t x, int32_t y) {
    return (int32_t)(((int64_t)x * y + INT64_C(0x80000000)) >> 32);
}

/* sum + round(x * y / 2^32): SMMLAR. */
static inline int32_t multiply_high_add(int32_t sum, int32_t x, int32_t y) {
    return sum + multiply_high(x, y);
}

/* sum + round(-x * y / 2^32): SMMLSR. */
static inline int32_t multiply_high_subtract(int32_t sum, int32_t x, int32_t y) {
    return sum + (int32_t)((INT64_C(0x80000000) - (int64_t)x * y) >> 32);
}

/* Number of bits in front of the highest set bit; `x` is not 0. */
static inline uint32_t leading_zeros(uint32_t x) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_clz((unsigned int)x);
#else
    uint32_t count = 0;
    while ((x & 0x80000000u) == 0) {
        x <<= 1;
        count++;
    }
    return count;
#endif
}

#endif
