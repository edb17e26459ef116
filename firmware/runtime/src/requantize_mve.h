/* Requantisation with vectors (MVE). Part of requantize.h. */
#ifndef STAPES_REQUANTIZE_MVE_H
#define STAPES_REQUANTIZE_MVE_H

#include <arm_mve.h>

/* stapes_requantize_short of four sums (not doubled); `shifts` as in stapes_requantize_t. VQRDMULH rounds
 * halves up, as does VRSHL once negative values are one less. The low bytes of the words are the outputs. */
static inline int32x4_t stapes_requantize_four(int32x4_t sums, int32x4_t multipliers, int32x4_t shifts,
                                               int32_t zero_point) {
    int32x4_t value = vqrdmulhq_s32(sums, multipliers);
    value = vrshlq_s32(vaddq_s32(value, vshrq_n_s32(value, 31)), vmvnq_s32(shifts));
    value = vaddq_n_s32(value, zero_point);
    __asm__("vqmovnb.s32 %q0, %q0\n\tvqmovnb.s16 %q0, %q0" : "+w"(value));
    return value;
}

/* Negative values are one less in t, with u for what comes between. */
#define STAPES_AWAY "vshr.s32 %q[u], %q[t], #31\n\tvadd.i32 %q[t], %q[t], %q[u]\n\t"
/* The sums of four channels of one column: t. */
#define STAPES_REQUANTIZE(sums, away, output)                                                                \
    "vldrw.u32 %q[t], [%q[at], #" sums "]\n\t"                                                               \
    "vqrdmulh.s32 %q[t], %q[t], %q[m]\n\t" away "vrshl.s32 %q[t], %q[t], %q[s]\n\t"                          \
    "vadd.i32 %q[t], %q[t], %[zero_point]\n\t"                                                               \
    "vqmovnb.s32 %q[t], %q[t]\n\tvqmovnb.s16 %q[t], %q[t]\n\t"                                               \
    "vstrb.32 %q[t], [%[" output "]], #4\n\t"
/* All channels by fours, of which the loop leaves out those that do not exist: multipliers in m, shifts in s.
 */
#define STAPES_REQUANTIZE_ALL(columns)                                                                       \
    __asm__ volatile(                                                                                        \
        "dlstp.32 lr, %[count]\n"                                                                            \
        "1:\n\t"                                                                                             \
        "vldrw.u32 %q[m], [%[multipliers], %q[words], uxtw #2]\n\t"                                          \
        "vldrb.s32 %q[s], [%[shifts]], #4\n\t"                                                               \
        "vmvn %q[s], %q[s]\n\t" columns "add %[multipliers], #32\n\t"                                        \
        "vadd.i32 %q[at], %q[at], %[on]\n\t"                                                                 \
        "letp lr, 1b\n\t"                                                                                    \
        : [multipliers] "+r"(multipliers), [shifts] "+l"(shifts), [at] "+w"(at), [first] "+l"(output),       \
          [second] "+l"(second), [third] "+l"(third), [t] "=&w"(t), [u] "=&w"(u), [m] "=&w"(m), [s] "=&w"(s) \
        : [words] "w"(words), [count] "r"(count), [on] "r"(on), [zero_point] "r"(zero_point)                 \
        : "lr", "memory")

/* stapes_requantize_columns where no channel is long. */
STAPES_INLINE void stapes_requantize_vectors(const stapes_requantize_t *q, uint32_t channel, uint32_t count,
                                             const int32_t *sums, const uint32_t columns, int8_t *output,
                                             uint32_t step) {
    const uint32x4_t words = vidupq_n_u32(0, 2); /* from one multiplier to the next */
    const int32_t *multipliers = &q->channels[channel].multiplier;
    const int8_t *shifts = q->shifts + channel;
    const int32_t zero_point = q->zero_point;
    const uint32_t on = 16u * columns;
    int8_t *second = output + step, *third = second + step;
    uint32x4_t at = vaddq_n_u32(vmulq_n_u32(vidupq_n_u32(0, 4), columns), (uint32_t)sums);
    int32x4_t t, u, m, s;
    if (columns == 1) {
        STAPES_REQUANTIZE_ALL(STAPES_REQUANTIZE("0", STAPES_AWAY, "first"));
    } else if (columns == 2) {
        STAPES_REQUANTIZE_ALL(STAPES_REQUANTIZE("0", STAPES_AWAY, "first")
                                  STAPES_REQUANTIZE("4", STAPES_AWAY, "second"));
    } else if (zero_point == INT8_MIN) {
        /* Whatever is negative becomes this, whichever way it is rounded. */
        STAPES_REQUANTIZE_ALL(STAPES_REQUANTIZE("0", "", "first") STAPES_REQUANTIZE("4", "", "second")
                                  STAPES_REQUANTIZE("8", "", "third"));
    } else {
        STAPES_REQUANTIZE_ALL(STAPES_REQUANTIZE("0", STAPES_AWAY, "first") STAPES_REQUANTIZE(
            "4", STAPES_AWAY, "second") STAPES_REQUANTIZE("8", STAPES_AWAY, "third"));
    }
}

#endif
