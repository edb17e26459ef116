/* Integer arithmetic that the front end's neighbours share: the decision rule, the live loop, the forest. */
#ifndef STAPES_INTEGER_H
#define STAPES_INTEGER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the quotient rounded down, whatever the numerator's sign; the divisor is positive. */
static inline int64_t stapes_floor_divide(int64_t numerator, int64_t divisor) {
    const int64_t quotient = numerator / divisor;
    return numerator % divisor < 0 ? quotient - 1 : quotient;
}

/* Returns the first of `count` (at least 1) places that no other is above; `is_above` says whether place `a`
 * of `values` is above place `b`. */
static inline uint16_t stapes_argmax(const void *values, uint16_t count,
                                     int (*is_above)(const void *values, uint16_t a, uint16_t b)) {
    uint16_t best = 0;
    for (uint16_t i = 1; i < count; i++) {
        if (is_above(values, i, best)) {
            best = i;
        }
    }
    return best;
}

/* Returns the largest root with root * root <= value. */
uint32_t stapes_integer_sqrt(uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
