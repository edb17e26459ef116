#include "fft.h"

#include "frontend_math.h"

/* (re + j im) (cos - j sin) / 2 */
#define ROTATE(out_re, out_im, re, im, cos, sin)                                                             \
    int32_t out_re = multiply_high_add(multiply_high((re), (cos)), (im), (sin));                             \
    int32_t out_im = multiply_high_subtract(multiply_high((im), (cos)), (re), (sin))

/* Butterflies on neighbouring bins z ... end, of four partial transforms `length` apart. Scaled by a half:
 * the products are, and `a` is shifted. */
#if STAPES_ARM_BLOCKS
static inline void butterflies(stapes_bin_t *z, const stapes_bin_t *end, uint32_t length,
                               const int32_t *twiddles, uint32_t stride) {
    uint32_t step = length * sizeof *z;
    int32_t t, u, v, x, y, c, s, d, e;
    __asm__ volatile("1: add %[t], %[z], %[step], lsl #1\n"
                     "ldrd %[u], %[v], [%[t]]\n" /* b */
                     "ldrd %[c], %[s], [%[w]]\n"
                     "smmulr %[x], %[u], %[c]\n"
                     "smmlar %[x], %[v], %[s], %[x]\n"
                     "smmulr %[v], %[v], %[c]\n"
                     "smmlsr %[v], %[u], %[s], %[v]\n"
                     "add %[t], %[step]\n"
                     "ldrd %[d], %[e], [%[t]]\n" /* d */
                     "ldrd %[c], %[s], [%[w], #16]\n"
                     "smmulr %[y], %[d], %[c]\n"
                     "smmlar %[y], %[e], %[s], %[y]\n"
                     "smmulr %[e], %[e], %[c]\n"
                     "smmlsr %[e], %[d], %[s], %[e]\n"
                     "add %[t], %[x], %[y]\n" /* side */
                     "sub %[y], %[x], %[y]\n" /* cross */
                     "add %[x], %[v], %[e]\n"
                     "sub %[e], %[v], %[e]\n"
                     "add %[c], %[z], %[step]\n"
                     "ldrd %[u], %[v], [%[c]]\n" /* c */
                     "ldrd %[c], %[s], [%[w], #8]\n"
                     "smmulr %[d], %[u], %[c]\n"
                     "smmlar %[d], %[v], %[s], %[d]\n"
                     "smmulr %[v], %[v], %[c]\n"
                     "smmlsr %[v], %[u], %[s], %[v]\n"
                     "ldrd %[c], %[s], [%[z]]\n"      /* a */
                     "add %[u], %[d], %[c], asr #1\n" /* even */
                     "rsb %[d], %[d], %[c], asr #1\n" /* odd */
                     "add %[c], %[v], %[s], asr #1\n"
                     "rsb %[v], %[v], %[s], asr #1\n"
                     "add %[s], %[u], %[t]\n"
                     "sub %[u], %[u], %[t]\n"
                     "add %[t], %[c], %[x]\n"
                     "sub %[c], %[c], %[x]\n"
                     "strd %[s], %[t], [%[z]], #8\n"
                     "add %[s], %[d], %[e]\n"
                     "sub %[d], %[d], %[e]\n"
                     "sub %[t], %[v], %[y]\n"
                     "add %[v], %[v], %[y]\n"
                     "add %[x], %[z], %[step]\n"
                     "strd %[s], %[t], [%[x], #-8]\n"
                     "add %[x], %[step]\n"
                     "strd %[u], %[c], [%[x], #-8]\n"
                     "add %[x], %[step]\n"
                     "strd %[d], %[v], [%[x], #-8]\n"
                     "add %[w], %[stride]\n"
                     "cmp %[z], %[end]\n"
                     "bcc 1b"
                     : [z] "+r"(z), [w] "+r"(twiddles), [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v),
                       [x] "=&r"(x), [y] "=&r"(y), [c] "=&r"(c), [s] "=&r"(s), [d] "=&r"(d), [e] "=&r"(e)
                     : [step] "r"(step), [end] "r"(end), [stride] "r"(stride * sizeof *twiddles)
                     : "cc", "memory");
}
#else
static inline void butterflies(stapes_bin_t *z, const stapes_bin_t *end, uint32_t length,
                               const int32_t *twiddles, uint32_t stride) {
    for (; z < end; z++, twiddles += stride) {
        const stapes_bin_t *far = z + 2 * length;
        ROTATE(b_re, b_im, far[0].z.re, far[0].z.im, twiddles[0], twiddles[1]);
        ROTATE(d_re, d_im, far[length].z.re, far[length].z.im, twiddles[4], twiddles[5]);
        ROTATE(c_re, c_im, z[length].z.re, z[length].z.im, twiddles[2], twiddles[3]);
        stapes_butterfly(z, length, z->z.re >> 1, z->z.im >> 1, b_re, b_im, c_re, c_im, d_re, d_im);
    }
}
#endif

/* Bins `low` counting upwards and `high` counting downwards, until they meet, from the transform Z of half
 * the size to powers: X[k] = (S - j W^k D) / 2 and X[half - k] = conj(S + j W^k D) / 2, with S and D the sum
 * and the difference of Z[k] and conj Z[half - k]. */
#if STAPES_ARM_BLOCKS
static inline void split(stapes_bin_t *low, stapes_bin_t *high, const int32_t *twiddles) {
    int32_t t, u, v, x, y, c, s;
    __asm__ volatile("1: ldrd %[u], %[v], [%[low]]\n"
                     "ldrd %[x], %[y], [%[high]]\n"
                     "ldrd %[c], %[s], [%[w]], #8\n"
                     "add %[t], %[u], %[x]\n" /* S */
                     "sub %[u], %[u], %[x]\n" /* D */
                     "sub %[x], %[v], %[y]\n"
                     "add %[v], %[v], %[y]\n"
                     "smmulr %[y], %[u], %[c]\n"
                     "smmlar %[y], %[v], %[s], %[y]\n"
                     "smmulr %[v], %[v], %[c]\n"
                     "smmlsr %[v], %[u], %[s], %[v]\n"
                     "add %[c], %[v], %[t], asr #1\n"
                     "rsb %[s], %[y], %[x], asr #1\n"
                     "rsb %[v], %[v], %[t], asr #1\n"
                     "add %[y], %[y], %[x], asr #1\n"
                     "smull %[t], %[u], %[c], %[c]\n"
                     "smlal %[t], %[u], %[s], %[s]\n"
                     "smull %[c], %[s], %[v], %[v]\n"
                     "smlal %[c], %[s], %[y], %[y]\n"
                     "strd %[t], %[u], [%[low]], #8\n"
                     "strd %[c], %[s], [%[high]], #-8\n"
                     "cmp %[low], %[high]\n"
                     "bcc 1b"
                     : [low] "+r"(low), [high] "+r"(high), [w] "+r"(twiddles), [t] "=&r"(t), [u] "=&r"(u),
                       [v] "=&r"(v), [x] "=&r"(x), [y] "=&r"(y), [c] "=&r"(c), [s] "=&r"(s)
                     :
                     : "cc", "memory");
}
#else
static inline void split(stapes_bin_t *low, stapes_bin_t *high, const int32_t *twiddles) {
    for (; low < high; low++, high--, twiddles += 2) {
        int32_t sum_re = (low->z.re + high->z.re) >> 1;
        int32_t sum_im = (low->z.im - high->z.im) >> 1;
        int32_t difference_re = low->z.re - high->z.re;
        int32_t difference_im = low->z.im + high->z.im;
        ROTATE(turned_re, turned_im, difference_re, difference_im, twiddles[0], twiddles[1]);
        low->power = square_sum(sum_re + turned_im, sum_im - turned_re);
        high->power = square_sum(sum_re - turned_im, sum_im + turned_re);
    }
}
#endif

void stapes_fft_power(stapes_bin_t *bins, uint32_t length, const stapes_frontend_tables_t *tables) {
    uint32_t half = tables->n_fft / 2u;
    stapes_bin_t *end = bins + half;
    stapes_bin_t *middle = bins + half / 2;
    for (; length < half; length *= 4) {
        uint32_t stride = 6 * (half / 4 / length);
        for (stapes_bin_t *z = bins; z < end; z += 4 * length) {
            butterflies(z, z + length, length, tables->twiddles, stride);
        }
    }
    split(bins + 1, end - 1, tables->split_twiddles);
    middle->power = square_sum(middle->z.re, middle->z.im);
}
