/* Products and bit counts that the front end is made of, defined in docs/front-end.md. Where the core has the
 * DSP extension each is one instruction; the C beside it is the definition. */
#ifndef STAPES_FRONTEND_MATH_H
#define STAPES_FRONTEND_MATH_H

#include <stddef.h>
#include <stdint.h>

#include "stapes/frontend.h"

/* Right shifts of negative values are arithmetic everywhere in the runtime. */
typedef char stapes_arithmetic_shift[((-3) >> 1 == -2) ? 1 : -1];

/* Single instructions; and blocks of them that need every register, which only GCC hands out. */
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
#define STAPES_ARM_DSP 1
#else
#define STAPES_ARM_DSP 0
#endif
#if STAPES_ARM_DSP && defined(__OPTIMIZE__) && !defined(__clang__)
#define STAPES_ARM_BLOCKS 1
#else
#define STAPES_ARM_BLOCKS 0
#endif

/* Armv6-M and Armv8-M Baseline multiply 32 by 32 bits to 32 only. */
#ifndef STAPES_LONG_MULTIPLY
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define STAPES_LONG_MULTIPLY 0
#else
#define STAPES_LONG_MULTIPLY 1
#endif
#endif

/* x * y */
static inline uint64_t multiply(uint32_t x, uint32_t y) {
#if STAPES_LONG_MULTIPLY
    return (uint64_t)x * y;
#else
    uint32_t low = (x & 0xFFFFu) * (y & 0xFFFFu);
    uint32_t left = (x >> 16) * (y & 0xFFFFu) + (low >> 16);
    uint32_t right = (x & 0xFFFFu) * (y >> 16) + (left & 0xFFFFu);
    return (uint64_t)((x >> 16) * (y >> 16) + (left >> 16) + (right >> 16)) << 32 |
           (right << 16 | (low & 0xFFFFu));
#endif
}

/* re^2 + im^2 */
static inline uint64_t square_sum(int32_t re, int32_t im) {
#if STAPES_LONG_MULTIPLY
    return (uint64_t)((int64_t)re * re + (int64_t)im * im);
#else
    uint32_t x = (uint32_t)(re < 0 ? -re : re);
    uint32_t y = (uint32_t)(im < 0 ? -im : im);
    return multiply(x, x) + multiply(y, y);
#endif
}

/* round(x * y / 2^32), halves upwards. */
static inline int32_t multiply_high(int32_t x, int32_t y) {
#if STAPES_ARM_DSP
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(x), "r"(y));
    return result;
#elif STAPES_LONG_MULTIPLY
    return (int32_t)(((int64_t)x * y + 0x80000000ll) >> 32);
#else
    int32_t x_low = x & 0xFFFF;
    int32_t y_low = y & 0xFFFF;
    int32_t left = (x >> 16) * y_low + (int32_t)((uint32_t)x_low * (uint32_t)y_low >> 16);
    int32_t right = x_low * (y >> 16) + (left & 0xFFFF);
    return (x >> 16) * (y >> 16) + (left >> 16) + (((right >> 15) + 1) >> 1);
#endif
}

/* sum + round(x * y / 2^32) */
static inline int32_t multiply_high_add(int32_t sum, int32_t x, int32_t y) {
#if STAPES_ARM_DSP
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
#else
    return sum + multiply_high(x, y);
#endif
}

/* sum + round(-x * y / 2^32); x is not INT32_MIN. */
static inline int32_t multiply_high_subtract(int32_t sum, int32_t x, int32_t y) {
#if STAPES_ARM_DSP
    int32_t result;
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
#elif STAPES_LONG_MULTIPLY
    return sum + (int32_t)((0x80000000ll - (int64_t)x * y) >> 32);
#else
    return sum + multiply_high(-x, y);
#endif
}

/* The squares of `count` samples, summed. */
static inline uint64_t square_samples(const int16_t *x, uint32_t count) {
    uint64_t sum = 0;
#if STAPES_ARM_BLOCKS
    if ((uintptr_t)x % 4 != 0 && count != 0) { /* LDRD wants words */
        sum = (uint32_t)((int32_t)*x * *x);
        x++;
        count--;
    }
    for (; count >= 8; count -= 8) {
        uint32_t low, high;
        __asm__("ldrd %[low], %[high], [%[x]], #8\n"
                "smlald %Q[sum], %R[sum], %[low], %[low]\n"
                "smlald %Q[sum], %R[sum], %[high], %[high]\n"
                "ldrd %[low], %[high], [%[x]], #8\n"
                "smlald %Q[sum], %R[sum], %[low], %[low]\n"
                "smlald %Q[sum], %R[sum], %[high], %[high]"
                : [sum] "+r"(sum), [x] "+r"(x), [low] "=&r"(low), [high] "=&r"(high)
                :
                : "memory");
    }
#endif
    for (; count != 0; count--, x++) {
        sum += (uint32_t)((int32_t)*x * *x);
    }
    return sum;
}

typedef struct {
    uint64_t total;  /* of powers */
    uint64_t rising; /* of powers times weights / 2^32, each product rounded down */
    const stapes_bin_t *bin;
    const uint32_t *weight;
} stapes_sums_t;

/* Adds `count` bins. */
static inline void add_bins(stapes_sums_t *sums, uint32_t count) {
    if (count == 0) {
        return;
    }
#if STAPES_ARM_BLOCKS
    uint32_t low, high, weight, carry;
    __asm__("1: ldrd %[low], %[high], [%[bin]], #8\n"
            "ldr %[weight], [%[next]], #4\n"
            "adds %Q[total], %Q[total], %[low]\n"
            "adc %R[total], %R[total], %[high]\n"
            "umull %[low], %[carry], %[low], %[weight]\n"
            "umaal %Q[rising], %[carry], %[high], %[weight]\n"
            "add %R[rising], %R[rising], %[carry]\n"
            "subs %[count], #1\n"
            "bne 1b"
            : [total] "+r"(sums->total), [rising] "+r"(sums->rising), [bin] "+r"(sums->bin),
              [next] "+r"(sums->weight), [count] "+r"(count), [low] "=&r"(low), [high] "=&r"(high),
              [weight] "=&r"(weight), [carry] "=&r"(carry)
            :
            : "cc", "memory");
#else
    for (; count != 0; count--) {
        uint64_t power = sums->bin++->power;
        uint32_t weight = *sums->weight++;
        sums->total += power;
        sums->rising += multiply((uint32_t)(power >> 32), weight) + (multiply((uint32_t)power, weight) >> 32);
    }
#endif
}

/* value / 2^16, rounded down and clipped to 8 bits. */
static inline int8_t saturate_high(int32_t value) {
#if STAPES_ARM_DSP
    __asm__("ssat %0, #8, %1, asr #16" : "=r"(value) : "r"(value));
    return (int8_t)value;
#else
    value >>= 16;
    return (int8_t)(value > 127 ? 127 : value < -128 ? -128 : value);
#endif
}

/* The lowest `count` bits of `x` in reverse; 1 <= count <= 32. */
static inline uint32_t reverse_bits(uint32_t x, uint32_t count) {
#if defined(__GNUC__) && defined(__thumb2__)
    __asm__("rbit %0, %1" : "=r"(x) : "r"(x));
#else
    x = (x & 0x55555555u) << 1 | (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) << 2 | (x >> 2 & 0x33333333u);
    x = (x & 0x0F0F0F0Fu) << 4 | (x >> 4 & 0x0F0F0F0Fu);
    x = (x & 0x00FF00FFu) << 8 | (x >> 8 & 0x00FF00FFu);
    x = x << 16 | x >> 16;
#endif
    return x >> (32 - count);
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

/* The largest integer whose square is not larger. */
static inline uint32_t integer_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

#endif
