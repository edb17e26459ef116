/* The inner loop of every matrix product: two output channels times one, two or three output columns.
 *
 * `x` holds pairs of int16 inputs, column by column: pair p of column j is at x[2 * (p * columns + j)].
 * `w` holds the weights of two channels for the same pairs: a0 b0 a1 b1.
 * sums: channel a of every column, then channel b. Returns the weights behind the last one used. */
#ifndef STAPES_DOT_H
#define STAPES_DOT_H

#include "requantize.h"

#define STAPES_TILE 3 /* columns at most */

/* Columns of the next tile when `left` are left: never three and then one. */
static inline uint32_t stapes_tile(uint32_t left) {
    return left == 4 || left == 2 ? 2U : left == 1 ? 1U : 3U;
}

/* A run of an even number of inputs into its pairs, `step` apart; words in the order 0 2 1 3. Returns the
 * next pair. */
static inline int16_t *stapes_widen(const int8_t *in, uint32_t bytes, int16_t *x, uint32_t step) {
    const int8_t *const words = in + (bytes & ~3U);
    while (in != words) {
        x[0] = in[0];
        x[1] = in[2];
        x[step] = in[1];
        x[step + 1] = in[3];
        x += 2 * step;
        in += 4;
    }
    if ((bytes & 2U) != 0) {
        x[0] = in[0];
        x[1] = in[1];
        x += step;
    }
    return x;
}

static inline const int8_t *stapes_dot(const int8_t *w, const int16_t *x, uint32_t pairs,
                                       const uint32_t columns, int32_t *sums) {
    int32_t a[STAPES_TILE], b[STAPES_TILE];
    for (uint32_t j = 0; j < columns; j++) {
        a[j] = sums[j];
        b[j] = sums[columns + j];
    }
    const int8_t *const end = w + 4 * pairs;
    while (w != end) {
        const int32_t a0 = w[0], b0 = w[1], a1 = w[2], b1 = w[3];
        for (uint32_t j = 0; j < columns; j++) {
            a[j] += a0 * x[2 * j] + a1 * x[2 * j + 1];
            b[j] += b0 * x[2 * j] + b1 * x[2 * j + 1];
        }
        w += 4;
        x += 2 * columns;
    }
    for (uint32_t j = 0; j < columns; j++) {
        sums[j] = a[j];
        sums[columns + j] = b[j];
    }
    return w;
}

#endif
