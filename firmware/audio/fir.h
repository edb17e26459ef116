/* Sums of products of int16, which must not exceed int32. */
#ifndef STAPES_FIR_H
#define STAPES_FIR_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
/* Two products at once; words need no alignment. */
static inline int32_t stapes_add_products(int32_t sum, const int16_t *x, const int16_t *taps) {
    int32_t a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, taps, sizeof b);
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
#else
static inline int32_t stapes_add_products(int32_t sum, const int16_t *x, const int16_t *taps) {
    return sum + x[0] * taps[0] + x[1] * taps[1];
}
#endif

/* sum + x[0] * taps[0] + ...; `count` is a multiple of 16. */
static inline int32_t stapes_fir(int32_t sum, const int16_t *x, const int16_t *taps, uint32_t count) {
    for (const int16_t *end = x + count; x != end; x += 16, taps += 16) {
        sum = stapes_add_products(sum, x, taps);
        sum = stapes_add_products(sum, x + 2, taps + 2);
        sum = stapes_add_products(sum, x + 4, taps + 4);
        sum = stapes_add_products(sum, x + 6, taps + 6);
        sum = stapes_add_products(sum, x + 8, taps + 8);
        sum = stapes_add_products(sum, x + 10, taps + 10);
        sum = stapes_add_products(sum, x + 12, taps + 12);
        sum = stapes_add_products(sum, x + 14, taps + 14);
    }
    return sum;
}

#ifdef __cplusplus
}
#endif

#endif
