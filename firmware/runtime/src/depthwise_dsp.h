/* Depthwise convolution with the DSP instructions of Cortex-M4, M7 and M33: four channels at a time.
 *
 * The rows of a window are taken by twos. A column of one pair of rows is four words, a channel each: its two inputs as
 * int16, so that one SMLAD multiplies both. The last of an odd number of rows is two words, channels 0 and 2, then 1 and
 * 3, for SMLABB and SMLATT. Inputs of a whole row and weights are widened into this order once; then every output column
 * walks through its columns of both. */
#ifndef STAPES_DEPTHWISE_DSP_H
#define STAPES_DEPTHWISE_DSP_H

#include "requantize.h"

/* Constants of four channels in the order in which they are taken. */
typedef struct {
    int32_t biases[4];
    struct {
        int32_t multiplier, offset, shift;
    } channels[4];
} quad_t;

/* Two rows' bytes of four channels, in r8 and r9, to a word for each channel in r4 to r7. */
#define PAIR_ROWS                                                                                            \
    "sxtb16 r10, r8, ror #8\n\tsxtb16 r11, r9, ror #8\n\tsxtb16 r8, r8\n\tsxtb16 r9, r9\n\t"                 \
    "pkhbt r4, r8, r9, lsl #16\n\tpkhbt r5, r10, r11, lsl #16\n\t"                                           \
    "pkhtb r6, r9, r8, asr #16\n\tpkhtb r7, r11, r10, asr #16\n\t"                                           \
    "stmia %[x]!, {r4, r5, r6, r7}\n\t"
#define WIDEN_TWO(first, second)                                                                             \
    "ldr r8, [%[rows], #" first "]\n\tldr r9, [%[rows], #" second "]\n\t"                                    \
    "ldr r8, [r8, %[at]]\n\tldr r9, [r9, %[at]]\n\t" PAIR_ROWS
#define WIDEN_ONE(row)                                                                                       \
    "ldr r8, [%[rows], #" row "]\n\tldr r8, [r8, %[at]]\n\t"                                                 \
    "sxtb16 r4, r8\n\tsxtb16 r5, r8, ror #8\n\tstrd r4, r5, [%[x]], #8\n\t"
#define WIDEN(body)                                                                                          \
    __asm__ volatile("1:\n\t" body "add %[at], %[at], %[step]\n\t"                                           \
                     "cmp %[at], %[end]\n\t"                                                                 \
                     "bne 1b\n\t"                                                                            \
                     : [at] "+r"(at), [x] "+r"(x)                                                            \
                     : [rows] "r"(rows), [end] "r"(end), [step] "r"(step)                                    \
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory")

/* Columns from byte `at` of every row up to byte `end`, `step` bytes apart. */
static void widen(const int8_t *const *rows, uint32_t at, uint32_t end, uint32_t step, uint32_t height,
                  uint32_t *x) {
    if (height == 3) {
        WIDEN(WIDEN_TWO("0", "4") WIDEN_ONE("8"));
    } else if (height == 5) {
        WIDEN(WIDEN_TWO("0", "4") WIDEN_TWO("8", "12") WIDEN_ONE("16"));
    } else {
        for (; at != end; at += step) {
            for (uint32_t row = 0; row < height; row += 2) {
                const uint32_t first = stapes_load(rows[row] + at);
                const uint32_t even = stapes_sxtb16(first), odd = stapes_sxtb16_8(first);
                if (row + 1U == height) {
                    x[0] = even;
                    x[1] = odd;
                    x += 2;
                    break;
                }
                const uint32_t second = stapes_load(rows[row + 1U] + at);
                const uint32_t even2 = stapes_sxtb16(second), odd2 = stapes_sxtb16_8(second);
                x[0] = stapes_low_halves(even, even2);
                x[1] = stapes_low_halves(odd, odd2);
                x[2] = stapes_high_halves(even, even2);
                x[3] = stapes_high_halves(odd, odd2);
                x += 4;
            }
        }
    }
}

/* Weights: the rows of a column lie one after the other. */
static const int8_t *widen_weights(const int8_t *w, uint32_t width, uint32_t height, uint32_t *x) {
    for (; width != 0; width--) {
        uint32_t twos = height / 2U;
        for (; twos != 0; twos--) {
            __asm__ volatile("ldrd r8, r9, [%[w]], #8\n\t" PAIR_ROWS
                             : [w] "+r"(w), [x] "+r"(x)
                             :
                             : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "memory");
        }
        if ((height & 1U) != 0) {
            const uint32_t row = stapes_load(w);
            x[0] = stapes_sxtb16(row);
            x[1] = stapes_sxtb16_8(row);
            x += 2;
            w += 4;
        }
    }
    return w;
}

/*     r0       inputs                r4 r5 r6 r7     sums of channels 0 1 2 3
 *     r1       weights               r8 r9 r10 r11   four words of inputs
 *     r2 r3 r12 lr  four words of weights
 *
 * and, when the sums are complete, r2 the outputs, r3 the constants, r8 to r10 a channel's, r12 its output. */
#define TWO_ROWS                                                                                             \
    "ldmia r0!, {r8, r9, r10, r11}\n\t"                                                                      \
    "ldmia r1!, {r2, r3, r12, lr}\n\t"                                                                       \
    "smlad r4, r2, r8, r4\n\tsmlad r5, r3, r9, r5\n\tsmlad r6, r12, r10, r6\n\tsmlad r7, lr, r11, r7\n\t"
#define ONE_ROW                                                                                              \
    "ldmia r0!, {r8, r9}\n\t"                                                                                \
    "ldmia r1!, {r2, r3}\n\t"                                                                                \
    "smlabb r4, r2, r8, r4\n\tsmlatt r6, r2, r8, r6\n\tsmlabb r5, r3, r9, r5\n\tsmlatt r7, r3, r9, r7\n\t"
#define OUTPUT(sum)                                                                                          \
    "ldmia r3!, {r8, r9, r10}\n\t"                                                                           \
    "lsls r12, " sum ", #1\n\t"                                                                              \
    "smmlar r12, r12, r8, r9\n\t"                                                                            \
    "add r12, r12, " sum ", asr #31\n\t"                                                                     \
    "asr r12, r12, r10\n\t"                                                                                  \
    "ssat r12, #8, r12\n\t"                                                                                  \
    "strb r12, [r2], #1\n\t"

/* All output columns of windows of `body`s: from one to the next the inputs go on by `on` bytes. */
#define COLUMNS(body)                                                                                        \
    __asm__ volatile("ldr r0, %[x]\n"                                                                        \
                     "1:\n\t"                                                                                \
                     "ldr r3, %[quad]\n\t"                                                                   \
                     "ldr r1, %[w]\n\t"                                                                      \
                     "ldmia r3, {r4, r5, r6, r7}\n\t" body "ldr r1, %[on]\n\t"                               \
                     "ldr r3, %[quad]\n\t"                                                                   \
                     "ldr r2, %[output]\n\t"                                                                 \
                     "adds r3, r3, #16\n\t"                                                                  \
                     "add r0, r0, r1\n\t" OUTPUT("r4") OUTPUT("r5") OUTPUT("r6") OUTPUT("r7")                \
                     "ldr r8, %[step]\n\t"                                                                   \
                     "ldr r9, %[end]\n\t"                                                                    \
                     "add r2, r2, r8\n\t"                                                                    \
                     "str r2, %[output]\n\t"                                                                 \
                     "cmp r2, r9\n\t"                                                                        \
                     "bne 1b\n\t"                                                                            \
                     : [output] "+m"(output)                                                                 \
                     : [x] "m"(x), [w] "m"(w), [quad] "m"(quad), [on] "m"(on), [step] "m"(step),             \
                       [end] "m"(end)                                                                        \
                     : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12",      \
                       "lr", "cc", "memory")

/* The sums of one output column for any kernel. */
static void sum_column(const uint32_t *x, const uint32_t *w, uint32_t width, uint32_t height, int32_t *sums) {
    for (; width != 0; width--) {
        for (uint32_t row = height; row > 1U; row -= 2) {
            sums[0] = stapes_smlad(w[0], x[0], sums[0]);
            sums[1] = stapes_smlad(w[1], x[1], sums[1]);
            sums[2] = stapes_smlad(w[2], x[2], sums[2]);
            sums[3] = stapes_smlad(w[3], x[3], sums[3]);
            x += 4;
            w += 4;
        }
        if ((height & 1U) != 0) {
            sums[0] = stapes_smlabb(w[0], x[0], sums[0]);
            sums[1] = stapes_smlabb(w[1], x[1], sums[1]);
            sums[2] = stapes_smlatt(w[0], x[0], sums[2]);
            sums[3] = stapes_smlatt(w[1], x[1], sums[3]);
            x += 2;
            w += 2;
        }
    }
}

static void multiply(const stapes_depthwise_conv_2d_t *p, const quad_t *quad, const uint32_t *x,
                     const uint32_t *w, int8_t *output) {
    const uint32_t height = p->kernel_height, width = p->kernel_width;
    const uint32_t words = 2U * height; /* of a column */
    const int32_t columns_on = (int32_t)(p->column_step / p->tap_step) - (int32_t)width;
    const uint32_t on = (uint32_t)(columns_on * 4) * words; /* may be negative */
    const uint32_t step = p->channels - 4U;
    int8_t *const end = output + (uint32_t)p->columns * p->channels;
    if (height == 3 && width == 3) {
        COLUMNS(".rept 3\n\t" TWO_ROWS ONE_ROW ".endr\n\t");
    } else if (height == 5 && width == 5) {
        COLUMNS(".rept 5\n\t" TWO_ROWS TWO_ROWS ONE_ROW ".endr\n\t");
    } else {
        for (; output != end; output += p->channels) {
            int32_t sums[4] = {quad->biases[0], quad->biases[1], quad->biases[2], quad->biases[3]};
            sum_column(x, w, width, height, sums);
            for (uint32_t i = 0; i < 4; i++) {
                output[i] = (int8_t)stapes_requantize_short(2 * sums[i], quad->channels[i].multiplier,
                                                            quad->channels[i].offset, quad->channels[i].shift);
            }
            x += (p->column_step / p->tap_step) * words;
        }
    }
}

STAPES_INLINE void prepare(const stapes_requantize_t *q, uint32_t channel, uint32_t i, quad_t *quad) {
    const stapes_channel_t *constants = q->channels + channel + i;
    const int32_t shift = q->shifts[channel + i];
    quad->biases[i] = constants->bias;
    quad->channels[i].multiplier = constants->multiplier;
    quad->channels[i].offset = (int32_t)((uint32_t)(int32_t)q->rounding << (shift - 1));
    quad->channels[i].shift = shift;
}

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t height = p->kernel_height, width = p->kernel_width;
    const uint32_t bytes = (p->columns - 1U) * p->column_step + width * p->tap_step;
    const uint32_t end = 4U * p->quads;
    const int8_t *w = p->weights;
    uint32_t *wide = call->scratch;
    uint32_t *x = wide + 2U * height * width;
    for (uint32_t channel = 0; channel < end; channel += 4) {
        quad_t quad;
        prepare(q, channel, 0, &quad);
        prepare(q, channel, 1, &quad);
        prepare(q, channel, 2, &quad);
        prepare(q, channel, 3, &quad);
        w = widen_weights(w, width, height, wide);
        widen(call->rows, channel, channel + bytes, p->tap_step, height, x);
        multiply(p, &quad, x, wide, call->output + channel);
    }
}

#endif
