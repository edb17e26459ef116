/* For frames as long as the transform whose half is a power of four: the window and the first radix-4 stage
 * in one pass over the samples. */
#include "fft.h"
#include "frontend_load.h"

/* Where the pass is: the next two samples, their window values, and those of the samples half a frame later,
 * which the symmetric window has in reverse. */
typedef struct {
    const int16_t *x;
    const int32_t *rise;
    const int32_t *fall;
} walk_t;

/* One butterfly of two samples and those one, two and three quarters of the frame later. */
#if STAPES_ARM_BLOCKS
static inline void load_butterfly(stapes_bin_t *z, walk_t *walk, uint32_t quarter, uint32_t exponent) {
    uint32_t step = quarter * sizeof(int16_t);
    int32_t t, u, v, w, y, c, s, d;
    __asm__ volatile(
        "add %[t], %[x], %[step], lsl #1\n"
        "ldrsh %[u], [%[t]]\n" /* c */
        "ldrsh %[v], [%[t], #2]\n"
        "ldrd %[s], %[c], [%[fall]], #-8\n"
        "lsls %[u], %[u], %[e]\n"
        "lsls %[v], %[v], %[e]\n"
        "smmulr %[u], %[u], %[c]\n"
        "smmulr %[v], %[v], %[s]\n"
        "ldrsh %[y], [%[x], #2]\n" /* a */
        "ldrsh %[w], [%[x]], #4\n"
        "ldrd %[c], %[s], [%[rise]], #8\n"
        "lsls %[w], %[w], %[e]\n"
        "lsls %[y], %[y], %[e]\n"
        "smmulr %[w], %[w], %[c]\n"
        "smmulr %[y], %[y], %[s]\n"
        "add %[c], %[w], %[u]\n" /* even */
        "add %[s], %[y], %[v]\n"
        "strd %[c], %[s], [%[z]]\n"
        "sub %[c], %[w], %[u]\n" /* odd */
        "sub %[s], %[y], %[v]\n"
        "strd %[c], %[s], [%[z], #8]\n"
        "add %[t], %[step]\n"
        "ldrsh %[u], [%[t]]\n" /* d */
        "ldrsh %[v], [%[t], #2]\n"
        "add %[t], %[x], %[step]\n"
        "ldrsh %[w], [%[t], #-4]\n" /* b */
        "ldrsh %[y], [%[t], #-2]\n"
        "lsls %[u], %[u], %[e]\n"
        "lsls %[v], %[v], %[e]\n"
        "sub %[t], %[fall], %[step], lsl #1\n"
        "ldrd %[s], %[c], [%[t], #8]\n"
        "smmulr %[u], %[u], %[c]\n"
        "smmulr %[v], %[v], %[s]\n"
        "add %[t], %[rise], %[step], lsl #1\n"
        "ldrd %[c], %[s], [%[t], #-8]\n"
        "lsls %[w], %[w], %[e]\n"
        "lsls %[y], %[y], %[e]\n"
        "smmulr %[w], %[w], %[c]\n"
        "smmulr %[y], %[y], %[s]\n"
        "add %[t], %[w], %[u]\n" /* side */
        "sub %[u], %[w], %[u]\n" /* cross */
        "add %[w], %[y], %[v]\n"
        "sub %[v], %[y], %[v]\n"
        "ldrd %[c], %[s], [%[z]]\n"
        "add %[d], %[c], %[t]\n"
        "sub %[c], %[c], %[t]\n"
        "add %[t], %[s], %[w]\n"
        "sub %[s], %[s], %[w]\n"
        "strd %[d], %[t], [%[z]]\n"
        "ldrd %[d], %[t], [%[z], #8]\n"
        "strd %[c], %[s], [%[z], #16]\n"
        "add %[c], %[d], %[v]\n"
        "sub %[d], %[d], %[v]\n"
        "sub %[s], %[t], %[u]\n"
        "add %[t], %[t], %[u]\n"
        "strd %[c], %[s], [%[z], #8]\n"
        "strd %[d], %[t], [%[z], #24]"
        : [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v), [w] "=&r"(w), [y] "=&r"(y), [c] "=&r"(c), [s] "=&r"(s),
          [d] "=&r"(d), [x] "+r"(walk->x), [rise] "+r"(walk->rise), [fall] "+r"(walk->fall)
        : [z] "r"(z), [step] "r"(step), [e] "r"(exponent)
        : "cc", "memory");
}
#else
static inline void load_butterfly(stapes_bin_t *z, walk_t *walk, uint32_t quarter, uint32_t exponent) {
    const int16_t *x = walk->x;
    const int32_t *rise = walk->rise;
    const int32_t *fall = walk->fall;
    int32_t a_re = windowed(x[0], rise[0], exponent);
    int32_t a_im = windowed(x[1], rise[1], exponent);
    int32_t c_re = windowed(x[2 * quarter], fall[1], exponent);
    int32_t c_im = windowed(x[2 * quarter + 1], fall[0], exponent);
    rise += quarter;
    fall -= quarter;
    int32_t b_re = windowed(x[quarter], rise[0], exponent);
    int32_t b_im = windowed(x[quarter + 1], rise[1], exponent);
    int32_t d_re = windowed(x[3 * quarter], fall[1], exponent);
    int32_t d_im = windowed(x[3 * quarter + 1], fall[0], exponent);
    walk->x += 2;
    walk->rise += 2;
    walk->fall -= 2;
    stapes_butterfly(z, 1, a_re, a_im, b_re, b_im, c_re, c_im, d_re, d_im);
}
#endif

uint32_t stapes_frontend_load_full(const stapes_frontend_t *frontend, uint32_t exponent) {
    stapes_bin_t *bins = frontend->bins;
    uint32_t quarter = frontend->tables->n_fft / 4u;
    uint32_t bits = 31 - leading_zeros(quarter / 2);
    const int32_t *window = frontend->tables->window;
    walk_t walk = {frontend->frame, window, window + 2 * quarter - 1};
    for (uint32_t i = 0; i < quarter / 2; i++) {
        load_butterfly(bins + 4 * reverse_bits(i, bits), &walk, quarter, exponent);
    }
    return 4;
}
