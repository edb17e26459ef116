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

/* Words of inputs in the order of the weights, bytes 0 2 1 3 of each. */
STAPES_INLINE uint8x16_t stapes_words(void) {
    static const uint8_t order[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    return vldrbq_u8(order);
}

/* `bytes`, not 0, of whole words in that order: the loop leaves out of the last vector what does not exist.
 */
STAPES_INLINE void stapes_gather_words(const uint8x16_t order, uint32_t bytes, const int8_t *in, int8_t *x) {
    uint8x16_t inputs;
    __asm__ volatile("dlstp.8 lr, %[bytes]\n"
                     "1:\n\t"
                     "vldrb.u8 %q[inputs], [%[in], %q[order]]\n\t"
                     "vstrb.8 %q[inputs], [%[x]], #16\n\t"
                     "add %[in], #16\n\t"
                     "letp lr, 1b\n\t"
                     : [in] "+r"(in), [x] "+r"(x), [inputs] "=&w"(inputs)
                     : [order] "w"(order), [bytes] "r"(bytes)
                     : "lr", "memory");
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
/* All pairs of channels, starting from their biases, until the sums are full. */
#define STAPES_CHANNELS(b, copies, columns, products, sums)                                                  \
    "1:\n\tldr " b ", [%[channel], #8]\n\tldr r0, [%[channel]], #16\n\t" copies                              \
    "ldr %[x0], %[first]\n\t" columns products                                                               \
    "ldr %[x0], %[sums]\n\tldr %[n], %[end]\n\tstmia %[x0]!, " sums "\n\t"                                   \
    "str %[x0], %[sums]\n\tcmp %[x0], %[n]\n\tblo 1b\n"

/* Pairs of channels times three columns of patches of less than 32 inputs, which stay in registers: x0 x1 x2
 * and the rest behind 16 inputs in y0 y1 y2. Weights of one channel in q0, from every second byte; the second
 * channel's follow after `on_b`, or are those of `twos_b`. */
#define STAPES_SMALL_BLOCK(first, second, third)                                                             \
    "vldrb.u8 q0, [%[w], %q[twos]]\n\t" STAPES_MULTIPLY(first, "q0", "%q[x0]")                               \
        STAPES_MULTIPLY(second, "q0", "%q[x1]") STAPES_MULTIPLY(third, "q0", "%q[x2]")
#define STAPES_SMALL_REST(twos, first, second, third)                                                        \
    "vpst\n\tvldrbt.u8 q0, [%[rest], %q[" twos "]]\n\t" STAPES_MULTIPLY(first, "q0", "%q[y0]")               \
        STAPES_MULTIPLY(second, "q0", "%q[y1]") STAPES_MULTIPLY(third, "q0", "%q[y2]")
#define STAPES_SMALL(block_a, on_b, block_b, on)                                                             \
    __asm__ volatile(                                                                                        \
        "ldr lr, %[left]\n\tvctp.8 lr\n\tldr lr, %[count]\n\tdls lr, lr\n"                                   \
        "1:\n\t"                                                                                             \
        "ldr r0, [%[channel]]\n\tldr r6, [%[channel], #8]\n\tadd %[channel], #16\n\t"                        \
        "mov r2, r0\n\tmov r4, r0\n\tmov r8, r6\n\tmov r10, r6\n\t" block_a STAPES_SMALL_REST(               \
            "twos", "r0", "r2", "r4") on_b block_b STAPES_SMALL_REST("twos_b", "r6", "r8", "r10") on         \
        "add %[rest], %[next]\n\t"                                                                           \
        "stmia %[sums]!, {r0, r2, r4, r6, r8, r10}\n\t"                                                      \
        "le lr, 1b\n\t"                                                                                      \
        : [w] "+r"(w), [rest] "+r"(rest), [channel] "+r"(channel), [sums] "+r"(sums)                         \
        : [x0] "w"(x0), [x1] "w"(x1), [x2] "w"(x2), [y0] "w"(y0), [y1] "w"(y1), [y2] "w"(y2),                \
          [twos] "w"(twos), [twos_b] "w"(twos_b), [left] "m"(left), [count] "m"(twice), [next] "r"(next)     \
        : "r0", "r2", "r4", "r6", "r8", "r10", "lr", "q0", "p0", "cc", "memory")

/* `twice` two channels. */
STAPES_INLINE const int8_t *stapes_dot_small(const int8_t *w, const int8_t *x, uint32_t pairs,
                                             const stapes_channel_t *channel, uint32_t twice, int32_t *sums) {
    const uint8x16_t twos = vidupq_n_u8(0, 2);
    const uint32_t inputs = 2u * pairs, left = inputs % 16u;
    const mve_pred16_t exist = vctp8q(left);
    const int8_t *y = x + (inputs - left);
    const int8_t *rest = w + 2u * (inputs - left);
    const int8x16_t y0 = vldrbq_z_s8(y, exist), y1 = vldrbq_z_s8(y + inputs, exist);
    const int8x16_t y2 = vldrbq_z_s8(y + 2u * inputs, exist);
    int8x16_t x0 = y0, x1 = y1, x2 = y2;
    uint8x16_t twos_b = twos;
    uint32_t next = 4u * pairs;
    if (inputs < 16u) {
        twos_b = vaddq_n_u8(twos, 1);
        STAPES_SMALL("", "", "", "");
        return rest;
    }
    next--;
    x0 = vldrbq_s8(x);
    x1 = vldrbq_s8(x + inputs);
    x2 = vldrbq_s8(x + 2u * inputs);
    STAPES_SMALL(STAPES_SMALL_BLOCK("r0", "r2", "r4"), "add %[w], #1\n\tadd %[rest], #1\n\t",
                 STAPES_SMALL_BLOCK("r6", "r8", "r10"), "add %[w], %[next]\n\t");
    return w;
}

/* Bias plus products of `count` channels (taken by twos), one after the other, `columns` sums each. Returns
 * the weights behind the last one used. */
STAPES_INLINE const int8_t *stapes_dot(const int8_t *w, const int8_t *first, uint32_t pairs,
                                       const stapes_channel_t *channel, int32_t count, int32_t *sums,
                                       const uint32_t columns) {
    if (columns == 3 && pairs < 16u) {
        return stapes_dot_small(w, first, pairs, channel, ((uint32_t)count + 1u) / 2u, sums);
    }
    const uint8x16_t a = vidupq_n_u8(0, 2), b = vaddq_n_u8(a, 1);
    const uint32_t blocks = pairs / 8u, left = 2u * (pairs % 8u), bytes = 2u * pairs;
    const int32_t *const end = sums + ((uint32_t)count + 1u) / 2u * (2u * columns);
    const int8_t *x0, *x1, *x2;
    uint32_t n;
#define STAPES_OPERANDS                                                                                      \
    [w] "+r"(w), [channel] "+r"(channel), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [n] "=&l"(n),      \
        [sums] "+m"(sums)                                                                                    \
        : [first] "m"(first), [blocks] "m"(blocks), [left] "m"(left), [bytes] "m"(bytes), [end] "m"(end),    \
          [a] "w"(a), [b] "w"(b)
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

/* Enough for twelve sums, four weights, three inputs and what leads to them. */
#if defined(__riscv) && !defined(__riscv_32e) && defined(__GNUC__)
#define STAPES_MANY_REGISTERS 1
#else
#define STAPES_MANY_REGISTERS 0
#endif

/* No load is moved over this: there are not registers for more than one pair's, but on 64-bit hosts. */
#if defined(__GNUC__) && UINTPTR_MAX <= 0xFFFFFFFFu
#define STAPES_NO_EARLIER __asm__ volatile("" : : : "memory")
#else
#define STAPES_NO_EARLIER (void)0
#endif

/* One pair of inputs times two channels, their sums in a0 ... and b0 ..., and one, two or three columns. */
#define STAPES_PAIR(w, x)                                                                                    \
    do {                                                                                                     \
        int32_t a = (w)[0], b = (w)[1];                                                                      \
        a0 += a * (x)[0];                                                                                    \
        b0 += b * (x)[0];                                                                                    \
        if (columns > 1) {                                                                                   \
            a1 += a * (x)[2];                                                                                \
            b1 += b * (x)[2];                                                                                \
        }                                                                                                    \
        if (columns > 2) {                                                                                   \
            a2 += a * (x)[4];                                                                                \
            b2 += b * (x)[4];                                                                                \
        }                                                                                                    \
        a = (w)[2];                                                                                          \
        b = (w)[3];                                                                                          \
        a0 += a * (x)[1];                                                                                    \
        b0 += b * (x)[1];                                                                                    \
        if (columns > 1) {                                                                                   \
            a1 += a * (x)[3];                                                                                \
            b1 += b * (x)[3];                                                                                \
        }                                                                                                    \
        if (columns > 2) {                                                                                   \
            a2 += a * (x)[5];                                                                                \
            b2 += b * (x)[5];                                                                                \
        }                                                                                                    \
        STAPES_NO_EARLIER;                                                                                   \
    } while (0)

/* The products of `pairs` pairs and the biases of two channels: one, two or three sums of each. */
STAPES_INLINE const int8_t *stapes_dot_two(const int8_t *w, const int16_t *x, uint32_t pairs, int32_t bias_a,
                                           int32_t bias_b, int32_t *sums, const uint32_t columns) {
    const uint32_t step = 2 * columns; /* elements from one pair to the next */
    const int8_t *end = w + 4u * (pairs & 3u);
    int32_t a0 = bias_a, a1 = a0, a2 = a0;
    int32_t b0 = bias_b, b1 = b0, b2 = b0;
    for (; w != end; w += 4) {
        STAPES_PAIR(w, x);
        x += step;
    }
    for (end += 4u * (pairs & ~3u); w != end; w += 16) {
        STAPES_PAIR(w, x);
        STAPES_PAIR(w + 4, x + step);
        STAPES_PAIR(w + 8, x + 2 * step);
        STAPES_PAIR(w + 12, x + 3 * step);
        x += 4 * step;
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
    return w;
}

#if STAPES_MANY_REGISTERS
/* One input of each column times four channels: two of w, two of v. */
#define STAPES_FOUR(i, j)                                                                                    \
    do {                                                                                                     \
        const int32_t a = w[i], b = w[(i) + 1], c = v[i], d = v[(i) + 1];                                    \
        int32_t input = x[j];                                                                                \
        a0 += a * input;                                                                                     \
        b0 += b * input;                                                                                     \
        c0 += c * input;                                                                                     \
        d0 += d * input;                                                                                     \
        if (columns > 1) {                                                                                   \
            input = x[(j) + 2];                                                                              \
            a1 += a * input;                                                                                 \
            b1 += b * input;                                                                                 \
            c1 += c * input;                                                                                 \
            d1 += d * input;                                                                                 \
        }                                                                                                    \
        if (columns > 2) {                                                                                   \
            input = x[(j) + 4];                                                                              \
            a2 += a * input;                                                                                 \
            b2 += b * input;                                                                                 \
            c2 += c * input;                                                                                 \
            d2 += d * input;                                                                                 \
        }                                                                                                    \
        STAPES_NO_EARLIER;                                                                                   \
    } while (0)
#define STAPES_FOUR_PAIR(i, j)                                                                               \
    STAPES_FOUR(i, j);                                                                                       \
    STAPES_FOUR((i) + 2, (j) + 1)

/* As stapes_dot_two with two pairs of channels: each input is loaded once for four products. */
STAPES_INLINE const int8_t *stapes_dot_four(const int8_t *w, const int16_t *x, uint32_t pairs, int32_t bias_a,
                                            int32_t bias_b, int32_t bias_c, int32_t bias_d, int32_t *sums,
                                            const uint32_t columns) {
    const int8_t *v = w + 4u * pairs, *const end = v;
    int32_t a0 = bias_a, a1 = a0, a2 = a0;
    int32_t b0 = bias_b, b1 = b0, b2 = b0;
    int32_t c0 = bias_c, c1 = c0, c2 = c0;
    int32_t d0 = bias_d, d1 = d0, d2 = d0;
    if ((pairs & 1u) != 0) {
        STAPES_FOUR_PAIR(0, 0);
        w += 4;
        v += 4;
        x += 2 * columns;
    }
    while (w != end) {
        STAPES_FOUR_PAIR(0, 0);
        STAPES_FOUR_PAIR(4, 2 * columns);
        w += 8;
        v += 8;
        x += 4 * columns;
    }
    sums[0] = a0;
    sums[columns] = b0;
    sums[2 * columns] = c0;
    sums[3 * columns] = d0;
    if (columns > 1) {
        sums[1] = a1;
        sums[columns + 1] = b1;
        sums[2 * columns + 1] = c1;
        sums[3 * columns + 1] = d1;
    }
    if (columns > 2) {
        sums[2] = a2;
        sums[5] = b2;
        sums[8] = c2;
        sums[11] = d2;
    }
    return v;
}
#endif

STAPES_INLINE const int8_t *stapes_dot_add(const int8_t *w, const int16_t *x, uint32_t pairs, int32_t *sums) {
    return stapes_dot_two(w, x, pairs, sums[0], sums[1], sums, 1);
}

#if STAPES_MANY_REGISTERS
STAPES_INLINE const int8_t *stapes_dot_add_four(const int8_t *w, const int16_t *x, uint32_t pairs,
                                                int32_t *sums) {
    return stapes_dot_four(w, x, pairs, sums[0], sums[1], sums[2], sums[3], sums, 1);
}
#endif

STAPES_INLINE const int8_t *stapes_dot(const int8_t *w, const int16_t *x, uint32_t pairs,
                                       const stapes_channel_t *channel, int32_t count, int32_t *sums,
                                       const uint32_t columns) {
#if STAPES_MANY_REGISTERS
    for (; count > 3; count -= 4) {
        w = stapes_dot_four(w, x, pairs, channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias,
                            sums, columns);
        sums += 4 * columns;
        channel += 4;
    }
#endif
    for (; count > 0; count -= 2) {
        w = stapes_dot_two(w, x, pairs, channel[0].bias, channel[1].bias, sums, columns);
        sums += 2 * columns;
        channel += 2;
    }
    return w;
}

#endif

#endif
