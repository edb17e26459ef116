/* The inner loop of every matrix product: pairs of output channels times one, two or three output columns.
 *
 * `x` holds pairs of int16 inputs, column by column: pair p of column j is at x[2 * (p * columns + j)].
 * `w` holds the weights of two channels for the same pairs: a0 b0 a1 b1; then those of the next two channels.
 */
#ifndef STAPES_DOT_H
#define STAPES_DOT_H

#include <string.h>

#include "requantize.h"

#define STAPES_TILE 3 /* columns at most */

#if STAPES_DSP

/* Sums of channel a in r4 ..., then those of channel b; inputs in r8 ... */
#define STAPES_SMLAD(sum, weights, input) "smlad " sum ", " weights ", " input ", " sum "\n\t"
/* Weights of channel a into t, those of channel b stay in u. */
#define STAPES_UNPACK(t, u, products_a, products_b)                                                          \
    "sxtb16 " t ", " u "\n\t" products_a "sxtb16 " u ", " u ", ror #8\n\t" products_b
#define STAPES_UNPACK_1(u, x)                                                                                \
    STAPES_UNPACK("%[t]", u, STAPES_SMLAD("r4", "%[t]", x), STAPES_SMLAD("r5", u, x))
#define STAPES_UNPACK_2(u, x0, x1)                                                                           \
    STAPES_UNPACK("%[t]", u, STAPES_SMLAD("r4", "%[t]", x0) STAPES_SMLAD("r5", "%[t]", x1),                  \
                  STAPES_SMLAD("r6", u, x0) STAPES_SMLAD("r7", u, x1))
#define STAPES_UNPACK_3(u)                                                                                   \
    STAPES_UNPACK("%[t]", u,                                                                                 \
                  STAPES_SMLAD("r4", "%[t]", "r10") STAPES_SMLAD("r5", "%[t]", "r11")                        \
                      STAPES_SMLAD("r6", "%[t]", "r12"),                                                     \
                  STAPES_SMLAD("r7", u, "r10") STAPES_SMLAD("r8", u, "r11") STAPES_SMLAD("r9", u, "r12"))
/* One pair, and four pairs. */
#define STAPES_STEP_1 "ldr %[u], [%[w]], #4\n\tldr r10, [%[x]], #4\n\t" STAPES_UNPACK_1("%[u]", "r10")
#define STAPES_FOUR_1                                                                                        \
    "ldmia %[w]!, {r6, r7, r8, r9}\n\tldmia %[x]!, {r10, r11}\n\t" STAPES_UNPACK_1("r6", "r10")              \
        STAPES_UNPACK_1("r7", "r11") "ldmia %[x]!, {r10, r11}\n\t" STAPES_UNPACK_1("r8", "r10")              \
            STAPES_UNPACK_1("r9", "r11")
#define STAPES_STEP_2 "ldr %[u], [%[w]], #4\n\tldmia %[x]!, {r8, r9}\n\t" STAPES_UNPACK_2("%[u]", "r8", "r9")
#define STAPES_TWO_2                                                                                         \
    "ldrd r12, %[u], [%[w]], #8\n\tldmia %[x]!, {r8, r9, r10, r11}\n\t" STAPES_UNPACK_2("r12", "r8", "r9")   \
        STAPES_UNPACK_2("%[u]", "r10", "r11")
#define STAPES_FOUR_2 STAPES_TWO_2 STAPES_TWO_2
#define STAPES_STEP_3 "ldr %[u], [%[w]], #4\n\tldmia %[x]!, {r10, r11, r12}\n\t" STAPES_UNPACK_3("%[u]")
#define STAPES_FOUR_3 STAPES_STEP_3 STAPES_STEP_3 STAPES_STEP_3 STAPES_STEP_3
/* All pairs, four at a time. */
#define STAPES_STEPS(step, four)                                                                             \
    "subs %[n], #4\n\tblo 3f\n"                                                                              \
    "2:\n\t" four "subs %[n], #4\n\tbhs 2b\n"                                                                \
    "3:\n\tadds %[n], #4\n\tbeq 5f\n"                                                                        \
    "4:\n\t" step "subs %[n], #1\n\tbne 4b\n"                                                                \
    "5:\n\t"
/* All pairs of channels, starting from their biases. */
#define STAPES_CHANNELS(b, copies, step, four, sums)                                                         \
    "1:\n\tldr %[t], %[channel]\n\tldr r4, [%[t]]\n\tldr " b ", [%[t], #8]\n\tadds %[t], #16\n\t"            \
    "str %[t], %[channel]\n\t" copies "ldr %[x], %[first]\n\tldr %[n], %[pairs]\n\t" STAPES_STEPS(           \
        step, four) "ldr %[t], %[sums]\n\tstmia %[t]!, " sums                                                \
                    "\n\tstr %[t], %[sums]\n\tldr %[t], %[count]\n\t"                                        \
                    "subs %[t], #2\n\tstr %[t], %[count]\n\tbhi 1b\n"

/* Bias plus products of `count` channels (taken by twos), one after the other, `columns` sums each. Returns
 * the weights behind the last one used. */
STAPES_INLINE const int8_t *stapes_dot(const int8_t *w, const int16_t *first, uint32_t pairs,
                                       const stapes_channel_t *channel, int32_t count, int32_t *sums,
                                       const uint32_t columns) {
    const int16_t *x;
    uint32_t n, t, u;
#define STAPES_OPERANDS                                                                                      \
    [w] "+r"(w), [x] "=&r"(x), [n] "=&r"(n), [t] "=&r"(t), [u] "=&r"(u), [channel] "+m"(channel),            \
        [sums] "+m"(sums), [count] "+m"(count) : [first] "m"(first), [pairs] "m"(pairs)
    if (columns == 1) {
        __asm__ volatile(STAPES_CHANNELS("r5", "", STAPES_STEP_1, STAPES_FOUR_1, "{r4, r5}")
                         : STAPES_OPERANDS
                         : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
    } else if (columns == 2) {
        __asm__ volatile(STAPES_CHANNELS("r6", "mov r5, r4\n\tmov r7, r6\n\t", STAPES_STEP_2, STAPES_FOUR_2,
                                         "{r4, r5, r6, r7}")
                         : STAPES_OPERANDS
                         : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
    } else {
        __asm__ volatile(STAPES_CHANNELS("r7", "mov r5, r4\n\tmov r6, r4\n\tmov r8, r7\n\tmov r9, r7\n\t",
                                         STAPES_STEP_3, STAPES_FOUR_3, "{r4, r5, r6, r7, r8, r9}")
                         : STAPES_OPERANDS
                         : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
    }
#undef STAPES_OPERANDS
    return w;
}

/* Adds the products of one column to the sums of two channels. */
STAPES_INLINE const int8_t *stapes_dot_add(const int8_t *w, const int16_t *x, uint32_t n, int32_t *sums) {
    uint32_t t, u;
    __asm__ volatile(
        "ldrd r4, r5, [%[sums]]\n\t" STAPES_STEPS(STAPES_STEP_1, STAPES_FOUR_1) "strd r4, r5, [%[sums]]\n\t"
        : [w] "+r"(w), [x] "+r"(x), [n] "+r"(n), [t] "=&r"(t), [u] "=&r"(u)
        : [sums] "r"(sums)
        : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
    return w;
}

#else

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
