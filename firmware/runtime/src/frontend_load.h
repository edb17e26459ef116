/* Windowing and the first, unscaled stage of the transform. */
#ifndef STAPES_FRONTEND_LOAD_H
#define STAPES_FRONTEND_LOAD_H

#include "frontend_math.h"
#include "stapes/frontend.h"

/* Sample times 2^exponent times window, halved. Neither the shift nor later sums can overflow, because the
 * exponent was chosen by the frame's energy. */
static inline int32_t windowed(int16_t sample, int32_t window, uint32_t exponent) {
    return multiply_high((int32_t)((uint32_t)(int32_t)sample << exponent), window);
}

#endif
