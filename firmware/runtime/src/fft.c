#include "fft.h"

#include "frontend_math.h"

/* (re + j im) (cos - j sin) / 2 */
#define ROTATE(out_re, out_im, in, c, s)                                                                     \
    int32_t out_re = multiply_high_add(multiply_high((in).z.re, (c)), (in).z.im, (s));                       \
    int32_t out_im = multiply_high_subtract(multiply_high((in).z.im, (c)), (in).z.re, (s))

/* Transforms of length 2 of neighbours; nothing is scaled. */
static void first_radix2(stapes_bin_t *z, size_t half) {
    for (size_t i = 0; i < half; i += 2) {
        stapes_bin_t a = z[i];
        stapes_bin_t b = z[i + 1];
        z[i].z.re = a.z.re + b.z.re;
        z[i].z.im = a.z.im + b.z.im;
        z[i + 1].z.re = a.z.re - b.z.re;
        z[i + 1].z.im = a.z.im - b.z.im;
    }
}

/* The four partial transforms a, b, c, d (of samples 0, 1, 2, 3 modulo 4) become one of four times the
 * length. They lie in the order a, c, b, d, as bit reversal leaves them. */
static inline void butterfly(stapes_bin_t *z, size_t length, int32_t a_re, int32_t a_im, int32_t b_re,
                             int32_t b_im, int32_t c_re, int32_t c_im, int32_t d_re, int32_t d_im) {
    int32_t even_re = a_re + c_re;
    int32_t even_im = a_im + c_im;
    int32_t odd_re = a_re - c_re;
    int32_t odd_im = a_im - c_im;
    int32_t side_re = b_re + d_re;
    int32_t side_im = b_im + d_im;
    int32_t cross_re = b_re - d_re;
    int32_t cross_im = b_im - d_im;
    z[0].z.re = even_re + side_re;
    z[0].z.im = even_im + side_im;
    z[length].z.re = odd_re + cross_im;
    z[length].z.im = odd_im - cross_re;
    z[2 * length].z.re = even_re - side_re;
    z[2 * length].z.im = even_im - side_im;
    z[3 * length].z.re = odd_re - cross_im;
    z[3 * length].z.im = odd_im + cross_re;
}

/* Transforms of length 4 of neighbours; nothing is scaled. */
static void first_radix4(stapes_bin_t *z, size_t half) {
    for (stapes_bin_t *end = z + half; z < end; z += 4) {
        butterfly(z, 1, z[0].z.re, z[0].z.im, z[2].z.re, z[2].z.im, z[1].z.re, z[1].z.im, z[3].z.re,
                  z[3].z.im);
    }
}

/* One later stage, scaled by a half: the products are, and `a` is shifted. */
static void radix4(stapes_bin_t *bins, size_t half, size_t length, const int32_t *twiddles) {
    size_t stride = 6 * (half / 4 / length);
    for (size_t i = 0; i < length; i++) {
        const int32_t *w = twiddles + i * stride;
        for (stapes_bin_t *z = bins + i; z < bins + half; z += 4 * length) {
            ROTATE(b_re, b_im, z[2 * length], w[0], w[1]);
            ROTATE(c_re, c_im, z[length], w[2], w[3]);
            ROTATE(d_re, d_im, z[3 * length], w[4], w[5]);
            butterfly(z, length, z[0].z.re >> 1, z[0].z.im >> 1, b_re, b_im, c_re, c_im, d_re, d_im);
        }
    }
}

static inline uint64_t square_sum(int32_t re, int32_t im) {
    return (uint64_t)((int64_t)re * re + (int64_t)im * im);
}

/* X[k] = (S - j W^k D) / 2 and X[half - k] = conj(S + j W^k D) / 2, with S and D the sum and the difference
 * of Z[k] and conj Z[half - k]. */
static void split(stapes_bin_t *bins, size_t half, const int32_t *w) {
    stapes_bin_t *low = bins + 1;
    stapes_bin_t *high = bins + half - 1;
    for (; low < high; low++, high--, w += 2) {
        int32_t sum_re = (low->z.re + high->z.re) >> 1;
        int32_t sum_im = (low->z.im - high->z.im) >> 1;
        stapes_bin_t difference;
        difference.z.re = low->z.re - high->z.re;
        difference.z.im = low->z.im + high->z.im;
        ROTATE(turned_re, turned_im, difference, w[0], w[1]);
        low->power = square_sum(sum_re + turned_im, sum_im - turned_re);
        high->power = square_sum(sum_re - turned_im, sum_im + turned_re);
    }
    low->power = square_sum(low->z.re, low->z.im);
}

void stapes_fft_power(stapes_bin_t *bins, const stapes_frontend_tables_t *tables) {
    size_t half = tables->n_fft / 2u;
    size_t length = 4;
    if (tables->radix2_first) {
        first_radix2(bins, half);
        length = 2;
    } else {
        first_radix4(bins, half);
    }
    for (; length < half; length *= 4) {
        radix4(bins, half, length, tables->twiddles);
    }
    split(bins, half, tables->split_twiddles);
}
