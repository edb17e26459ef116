/* The real transform of the front end, by a complex one of half the length. */
#ifndef STAPES_FFT_H
#define STAPES_FFT_H

#include <stdint.h>

#include "stapes/frontend.h"

/* Four partial transforms a, b, c, d (of the samples 0, 1, 2, 3 modulo 4) become one of four times the
 * length. They lie in the order a, c, b, d, `length` apart, as bit reversal leaves them. */
static inline void stapes_butterfly(stapes_bin_t *z, uint32_t length, int32_t a_re, int32_t a_im,
                                    int32_t b_re, int32_t b_im, int32_t c_re, int32_t c_im, int32_t d_re,
                                    int32_t d_im) {
    stapes_bin_t *far = z + 2 * length;
    int32_t side_re = b_re + d_re;
    int32_t side_im = b_im + d_im;
    int32_t cross_re = b_re - d_re;
    int32_t cross_im = b_im - d_im;
    int32_t even_re = a_re + c_re;
    int32_t even_im = a_im + c_im;
    int32_t odd_re = a_re - c_re;
    int32_t odd_im = a_im - c_im;
    z[0].z.re = even_re + side_re;
    z[0].z.im = even_im + side_im;
    far[0].z.re = even_re - side_re;
    far[0].z.im = even_im - side_im;
    z[length].z.re = odd_re + cross_im;
    z[length].z.im = odd_im - cross_re;
    far[length].z.re = odd_re - cross_im;
    far[length].z.im = odd_im + cross_re;
}

/* In place: `bins` holds partial transforms of `length` windowed samples (even ones in re, odd ones in im) in
 * bit-reversed order, and afterwards the power of bins 1 ... n_fft / 2 - 1. */
void stapes_fft_power(stapes_bin_t *bins, uint32_t length, const stapes_frontend_tables_t *tables);

#endif
