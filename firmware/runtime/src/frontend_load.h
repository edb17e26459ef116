/* Windowing and the first, unscaled stage of the transform. */
#ifndef STAPES_FRONTEND_LOAD_H
#define STAPES_FRONTEND_LOAD_H

#include "fft.h"
#include "frontend_math.h"
#include "stapes/frontend.h"

/* Sample times 2^exponent times window, halved. Neither the shift nor later sums can overflow, because the
 * exponent was chosen by the frame's energy. */
static inline int32_t windowed(int16_t sample, int32_t window, uint32_t exponent) {
    return multiply_high((int32_t)((uint32_t)(int32_t)sample << exponent), window);
}

/* Half of the window is stored: it is symmetric. */
static inline int32_t window_at(const stapes_frontend_tables_t *tables, uint32_t n) {
    uint32_t length = tables->frame_length;
    return tables->window[n <= length / 2 ? n : length - n];
}

/* Transforms of 4 neighbours, or of 2 where that leaves a power of four; returns which. */
static inline uint32_t first_stage(stapes_bin_t *bins, uint32_t half) {
    const stapes_bin_t *end = bins + half;
    if (leading_zeros(half) % 2 == 1) {
        for (stapes_bin_t *z = bins; z < end; z += 4) {
            stapes_butterfly(z, 1, z[0].z.re, z[0].z.im, z[2].z.re, z[2].z.im, z[1].z.re, z[1].z.im,
                             z[3].z.re, z[3].z.im);
        }
        return 4;
    }
    for (stapes_bin_t *z = bins; z < end; z += 2) {
        stapes_bin_t a = z[0];
        stapes_bin_t b = z[1];
        z[0].z.re = a.z.re + b.z.re;
        z[0].z.im = a.z.im + b.z.im;
        z[1].z.re = a.z.re - b.z.re;
        z[1].z.im = a.z.im - b.z.im;
    }
    return 2;
}

#endif
