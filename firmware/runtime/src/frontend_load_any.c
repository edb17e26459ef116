/* For frames of any length and transforms of any size: the window, zeros, then a first stage of radix 4 or 2.
 */
#include "fft.h"
#include "frontend_load.h"

static inline int32_t sample_or_zero(const stapes_frontend_t *frontend, uint32_t n, uint32_t exponent) {
    uint32_t length = frontend->tables->frame_length;
    if (n >= length) {
        return 0;
    }
    return windowed(frontend->frame[n], frontend->tables->window[n <= length / 2 ? n : length - n], exponent);
}

uint32_t stapes_frontend_load_any(const stapes_frontend_t *frontend, uint32_t exponent) {
    uint32_t half = frontend->tables->n_fft / 2u;
    uint32_t bits = 31 - leading_zeros(half);
    for (uint32_t i = 0; i < half; i++) {
        stapes_bin_t *bin = frontend->bins + reverse_bits(i, bits);
        bin->z.re = sample_or_zero(frontend, 2 * i, exponent);
        bin->z.im = sample_or_zero(frontend, 2 * i + 1, exponent);
    }
    stapes_bin_t *end = frontend->bins + half;
    if (bits % 2 == 0) {
        for (stapes_bin_t *z = frontend->bins; z < end; z += 4) {
            stapes_butterfly(z, 1, z[0].z.re, z[0].z.im, z[2].z.re, z[2].z.im, z[1].z.re, z[1].z.im,
                             z[3].z.re, z[3].z.im);
        }
        return 4;
    }
    for (stapes_bin_t *z = frontend->bins; z < end; z += 2) {
        stapes_bin_t a = z[0];
        stapes_bin_t b = z[1];
        z[0].z.re = a.z.re + b.z.re;
        z[0].z.im = a.z.im + b.z.im;
        z[1].z.re = a.z.re - b.z.re;
        z[1].z.im = a.z.im - b.z.im;
    }
    return 2;
}
