/* The inner loop of every matrix product: pairs of output channels times one, two or three output columns.
 *
 * `x` holds pairs of int16 inputs, column by column: pair p of column j is at x[2 * (p * columns + j)]. With
 * MVE it holds int8 inputs: input i of column j is at x[2 * pairs * j + i].
 * `w` holds the weights of two channels for the same pairs: a0 b0 a1 b1; then those of the next two channels.
 */
#ifndef STAPES_DOT_H
#define STAPES_DOT_H

#include <string.h>

#include "requantize.h"

#if STAPES_MVE

typedef int8_t stapes_element_t;

/* How the even part of a run is gathered: blocks of 16 inputs, then the others. */
typedef struct {
    uint8x16_t block, rest; /* offsets in the order of the weights: words as 0 2 1 3, then a pair */
    mve_pred16_t exists;    /* of the others */
    uint32_t block_bytes, bytes;
} stapes_run_t;

STAPES_INLINE stapes_run_t stapes_run(uint32_t bytes) {
    static const uint8_t order[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    stapes_run_t run;
    run.bytes = bytes & ~1u;
    run.block_bytes = bytes & ~15u;
    run.exists = vctp8q(run.bytes - run.block_bytes);
    run.block = vldrbq_u8(order);
    /* A last pair has no byte 2: the minimum makes it byte 1. */
    run.rest = vminq_u8(run.block, vdupq_n_u8((uint8_t)(run.bytes - run.block_bytes - 1u)));
    return run;
}

STAPES_INLINE void stapes_gather_run(const stapes_run_t run, const int8_t *in, int8_t *x) {
    const int8_t *const end = in + run.block_bytes;
    for (; in != end; in += 16) {
        vstrbq_s8(x, vldrbq_gather_offset_s8(in, run.block));
        x += 16;
    }
    vstrbq_p_s8(x, vldrbq_gather_offset_z_s8(in, run.rest, run.exists), run.exists);
}

/* Sums of channel a in r0 ..., then those of channel b: VMLADAVA wants even registers. Weights of a in q0 and
 * of b in q1, inputs in q2 ... */
#define STAPES_MULTIPLY(sum, weights, input) "vmladava.s8 " sum ", " weights ", " input "\n\t"
#define STAPES_MULTIPLY_1                    STAPES_MULTIPLY("r0", "q0", "q2") STAPES_MULTIPLY("r2", "q1", "q2")
#define STAPES_MULTIPLY_2                                                                                    \
    STAPES_MULTIPLY("r0", "q0", "q2")                                                                        \
    STAPES_MULTIPLY("r2", "q0", "q3") STAPES_MULTIPLY("r4", "q1", "q2") STAPES_MULTIPLY("r6", "q1", "q3")
#define STAPES_MULTIPLY_3                                                                                    \
    STAPES_MULTIPLY("r0", "q0", "q2")                                                                        \
    STAPES_MULTIPLY("r2", "q0", "q3")                                                                        \
    STAPES_MULTIPLY("r4", "q0", "q4")                                                                        \
    STAPES_MULTIPLY("r6", "q1", "q2") STAPES_MULTIPLY("r8", "q1", "q3") STAPES_MULTIPLY("r10", "q1", "q4")
#define STAPES_INPUTS_1 "vldrb.8 q2, [%[x0]], #16\n\t"
#define STAPES_INPUTS_2 STAPES_INPUTS_1 "vldrb.8 q3, [%[x1]], #16\n\t"
#define STAPES_INPUTS_3 STAPES_INPUTS_2 "vldrb.8 q4, [%[x2]], #16\n\t"
/* The loads of the rest are predicated: nothing behind it is read, the other products are zero. */
#define STAPES_WEIGHTS_REST "vldrbt.u8 q0, [%[w], %q[a]]\n\tvldrbt.u8 q1, [%[w], %q[b]]\n\t"
#define STAPES_REST_1       "vpsttt\n\t" STAPES_WEIGHTS_REST "vldrbt.8 q2, [%[x0]]\n\t"
#define STAPES_REST_2       "vpstttt\n\t" STAPES_WEIGHTS_REST "vldrbt.8 q2, [%[x0]]\n\tvldrbt.8 q3, [%[x1]]\n\t"
#define STAPES_REST_3       STAPES_REST_2 "vpst\n\tvldrbt.8 q4, [%[x2]]\n\t"
/* All inputs: blocks of 16, then the rest. */
#define STAPES_PRODUCTS(inputs, rest, multiply)                                                              \
    "ldr %[n], %[blocks]\n\twls lr, %[n], 3f\n"                                                              \
    "2:\n\tvld20.8 {q0, q1}, [%[w]]\n\tvld21.8 {q0, q1}, [%[w]]!\n\t" inputs multiply "le lr, 2b\n"          \
    "3:\n\tldr %[n], %[left]\n\tcbz %[n], 4f\n\tvctp.8 %[n]\n\t" rest                                        \
    "add %[w], %[w], %[n], lsl #1\n\t" multiply "4:\n\t"
/* All pairs of channels, starting from their biases. */
#define STAPES_CHANNELS(b, copies, columns, products, sums)                                                  \
    "1:\n\tldr %[t], %[channel]\n\tldr r0, [%[t]]\n\tldr " b ", [%[t], #8]\n\tadd %[t], #16\n\t"             \
    "str %[t], %[channel]\n\t" copies "ldr %[x0], %[first]\n\t" columns products                             \
    "ldr %[t], %[sums]\n\tstmia %[t]!, " sums "\n\tstr %[t], %[sums]\n\tldr %[t], %[count]\n\t"              \
    "subs %[t], #2\n\tstr %[t], %[count]\n\tbhi 1b\n"

/* Bias plus products of `count` channels (taken by twos), one after the other, `columns` sums each. Returns
 * the weights behind the last one used. */
STAPES_INLINE const int8_t *stapes_dot(const int8_t *w, const int8_t *first, uint32_t pairs,
                                       const stapes_channel_t *channel, int32_t count, int32_t *sums,
                                       const uint32_t columns) {
    const uint8x16_t a = vidupq_n_u8(0, 2), b = vaddq_n_u8(a, 1);
    const uint32_t blocks = pairs / 8u, left = 2u * (pairs % 8u), bytes = 2u * pairs;
    const int8_t *x0, *x1, *x2;
    uint32_t n, t;
#define STAPES_OPERANDS                                                                                      \
    [w] "+r"(w), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [n] "=&l"(n), [t] "=&r"(t),                 \
        [channel] "+m"(channel), [sums] "+m"(sums),                                                          \
        [count] "+m"(count)                                                                                  \
        : [first] "m"(first), [blocks] "m"(blocks), [left] "m"(left), [bytes] "m"(bytes), [a] "w"(a),        \
          [b] "w"(b)
    if (columns == 1) {
        __asm__ volatile(STAPES_CHANNELS("r2", "", "",
                                         STAPES_PRODUCTS(STAPES_INPUTS_1, STAPES_REST_1, STAPES_MULTIPLY_1),
                                         "{r0, r2}")
                         : STAPES_OPERANDS
                         : "r0", "r2", "lr", "q0", "q1", "q2", "p0", "cc", "memory");
    } else if (columns == 2) {
        __asm__ volatile(STAPES_CHANNELS("r4", "mov r2, r0\n\tmov r6, r4\n\t",
                                         "ldr %[n], %[bytes]\n\tadd %[x1], %[x0], %[n]\n\t",
                                         STAPES_PRODUCTS(STAPES_INPUTS_2, STAPES_REST_2, STAPES_MULTIPLY_2),
                                         "{r0, r2, r4, r6}")
                         : STAPES_OPERANDS
                         : "r0", "r2", "r4", "r6", "lr", "q0", "q1", "q2", "q3", "p0", "cc", "memory");
    } else {
        __asm__ volatile(
            STAPES_CHANNELS("r6", "mov r2, r0\n\tmov r4, r0\n\tmov r8, r6\n\tmov r10, r6\n\t",
                            "ldr %[n], %[bytes]\n\tadd %[x1], %[x0], %[n]\n\tadd %[x2], %[x1], %[n]\n\t",
                            STAPES_PRODUCTS(STAPES_INPUTS_3, STAPES_REST_3, STAPES_MULTIPLY_3),
                            "{r0, r2, r4, r6, r8, r10}")
            : STAPES_OPERANDS
            : "r0", "r2", "r4", "r6", "r8", "r10", "lr", "q0", "q1", "q2", "q3", "q4", "p0", "cc", "memory");
    }
#undef STAPES_OPERANDS
    return w;
}

/* Adds the products of one column to the sums of two channels. */
STAPES_INLINE const int8_t *stapes_dot_add(const int8_t *w, const int8_t *x0, uint32_t pairs, int32_t *sums) {
    const uint8x16_t a = vidupq_n_u8(0, 2), b = vaddq_n_u8(a, 1);
    const uint32_t blocks = pairs / 8u, left = 2u * (pairs % 8u);
    uint32_t n;
    __asm__ volatile("ldrd r0, r2, [%[sums]]\n\t" STAPES_PRODUCTS(STAPES_INPUTS_1, STAPES_REST_1,
                                                                  STAPES_MULTIPLY_1) "strd r0, r2, [%[sums]]"
                     : [w] "+r"(w), [x0] "+r"(x0), [n] "=&l"(n)
                     : [sums] "r"(sums), [blocks] "m"(blocks), [left] "m"(left), [a] "w"(a), [b] "w"(b)
                     : "r0", "r2", "lr", "q0", "q1", "q2", "p0", "cc", "memory");
    return w;
}

#else

typedef int16_t stapes_element_t;

STAPES_INLINE const int8_t *stapes_dot_add(const int8_t *w, const int16_t *x, uint32_t n, int32_t *sums) {
    int32_t a0 = sums[0], b0 = sums[1];
    for (const int8_t *const end = w + 4 * n; w != end; w += 4) {
        const int32_t x0 = x[0], y0 = x[1];
        a0 += w[0] * x0 + w[2] * y0;
        b0 += w[1] * x0 + w[3] * y0;
        x += 2;
    }
    sums[0] = a0;
    sums[1] = b0;
    return w;
}

STAPES_INLINE const int8_t *stapes_dot(const int8_t *w, const int16_t *first, uint32_t pairs,
                                       const stapes_channel_t *channel, int32_t count, int32_t *sums,
                                       const uint32_t columns) {
    for (; count > 0; count -= 2) {
        const int16_t *x = first;
        const int8_t *const end = w + 4 * pairs;
        int32_t a0 = channel[0].bias, a1 = a0, a2 = a0;
        int32_t b0 = channel[1].bias, b1 = b0, b2 = b0;
        for (; w != end; w += 4) {
            int32_t a = w[0], b = w[1];
            a0 += a * x[0];
            b0 += b * x[0];
            if (columns > 1) {
                a1 += a * x[2];
                b1 += b * x[2];
            }
            if (columns > 2) {
                a2 += a * x[4];
                b2 += b * x[4];
            }
            a = w[2];
            b = w[3];
            a0 += a * x[1];
            b0 += b * x[1];
            if (columns > 1) {
                a1 += a * x[3];
                b1 += b * x[3];
            }
            if (columns > 2) {
                a2 += a * x[5];
                b2 += b * x[5];
            }
            x += 2 * columns;
        }
        sums[0] = a0;
        sums[columns] = b0;
        if (columns > 1) {
            sums[1] = a1;
            sums[columns + 1] = b1;
        }
        if (columns > 2) {
            sums[2] = a2;
            sums[5] = b2;
        }
        sums += 2 * columns;
        channel += 2;
    }
    return w;
}

#endif

#endif
