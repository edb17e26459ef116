/* What operators with two operands do with a pair of elements, of 8 or 16 bits. Internal to the runtime. */
#ifndef STAPES_ELEMENTWISE_H
#define STAPES_ELEMENTWISE_H

#include "requantize.h"

typedef int32_t (*stapes_function_t)(const void *parameters, int32_t first, int32_t second);

static inline int32_t stapes_sum(const void *parameters, int32_t first, int32_t second) {
    const stapes_add_t *p = parameters;
    const int32_t scale = (int32_t)((uint32_t)1 << p->left_shift);
    first = stapes_multiply(first * scale, p->multiplier1, p->shift1);
    second = stapes_multiply(second * scale, p->multiplier2, p->shift2);
    /* Ties round up, so a difference is not a sum with a negative multiplier. */
    return stapes_multiply(p->subtracts ? first - second : first + second, p->multiplier, p->shift);
}

static inline int32_t stapes_product(const void *parameters, int32_t first, int32_t second) {
    const stapes_mul_t *p = parameters;
    return stapes_multiply(first * second, p->multiplier, p->shift);
}

static inline int32_t stapes_larger(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first > second ? first : second;
}

static inline int32_t stapes_smaller(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first < second ? first : second;
}

#endif
