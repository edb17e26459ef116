/* Depthwise convolution with the DSP instructions of Cortex-M4, M7 and M33: four channels at a time.
 *
 * The rows of a window are taken by twos. A column of one pair of rows is four words, a channel each: its two
 * inputs as int16, so that one SMLAD multiplies both. The last of an odd number of rows is two words,
 * channels 0 and 2, then 1 and 3, for SMLABB and SMLATT. Inputs of a whole row and weights are widened into
 * this order once; then every output column walks through its columns of both. */
#ifndef STAPES_DEPTHWISE_DSP_H
#define STAPES_DEPTHWISE_DSP_H

#include "requantize.h"

/* Two rows' bytes of four channels, in r8 and r9, to a word for each channel in r4 to r7. */
#define PAIR_ROWS                                                                                            \
    "sxtb16 r10, r8, ror #8\n\tsxtb16 r11, r9, ror #8\n\tsxtb16 r8, r8\n\tsxtb16 r9, r9\n\t"                 \
    "pkhbt r4, r8, r9, lsl #16\n\tpkhbt r5, r10, r11, lsl #16\n\t"                                           \
    "pkhtb r6, r9, r8, asr #16\n\tpkhtb r7, r11, r10, asr #16\n\t"                                           \
    "stmia %[x]!, {r4, r5, r6, r7}\n\t"
#define WIDEN_TWO(first, second)                                                                             \
    "ldr r8, [%[rows], #" first "]\n\tldr r9, [%[rows], #" second "]\n\t"                                    \
    "ldr r8, [r8, %[at]]\n\tldr r9, [r9, %[at]]\n\t" PAIR_ROWS
#define WIDEN_THREE                                                                                          \
    "ldr r8, [%[a], %[at]]\n\tldr r9, [%[b], %[at]]\n\t" PAIR_ROWS                                           \
    "ldr r8, [%[c], %[at]]\n\tsxtb16 r4, r8\n\tsxtb16 r5, r8, ror #8\n\tstrd r4, r5, [%[x]], #8\n\t"
#define WIDEN_ONE(row)                                                                                       \
    "ldr r8, [%[rows], #" row "]\n\tldr r8, [r8, %[at]]\n\t"                                                 \
    "sxtb16 r4, r8\n\tsxtb16 r5, r8, ror #8\n\tstrd r4, r5, [%[x]], #8\n\t"

/* Columns from byte `at` of every row up to byte `end`, `step` bytes apart. Not inlined: these need every
 * register. */
__attribute__((noinline)) static void widen_3(const int8_t *const *rows, uint32_t at, uint32_t end,
                                              uint32_t step, uint32_t *x) {
    __asm__ volatile("1:\n\t" WIDEN_THREE "ldr r8, %[end]\n\t"
                     "add %[at], %[at], %[step]\n\t"
                     "cmp %[at], r8\n\t"
                     "bne 1b\n\t"
                     : [at] "+r"(at), [x] "+r"(x)
                     : [a] "r"(rows[0]), [b] "r"(rows[1]), [c] "r"(rows[2]), [step] "r"(step), [end] "m"(end)
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
}

__attribute__((noinline)) static void widen_5(const int8_t *const *rows, uint32_t at, uint32_t end,
                                              uint32_t step, uint32_t *x) {
    __asm__ volatile("1:\n\t" WIDEN_TWO("0", "4") WIDEN_TWO("8", "12") WIDEN_ONE("16") /**/
                     "add %[at], %[at], %[step]\n\t"
                     "cmp %[at], %[end]\n\t"
                     "bne 1b\n\t"
                     : [at] "+r"(at), [x] "+r"(x)
                     : [rows] "r"(rows), [end] "r"(end), [step] "r"(step)
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
}

static void widen_any(const int8_t *const *rows, uint32_t at, uint32_t end, uint32_t step, uint32_t height,
                      uint32_t *x) {
    for (; at != end; at += step) {
        for (uint32_t row = 0; row < height; row += 2) {
            const uint32_t first = stapes_load(rows[row] + at);
            const uint32_t even = stapes_sxtb16(first), odd = stapes_sxtb16_8(first);
            if (row + 1u == height) {
                x[0] = even;
                x[1] = odd;
                x += 2;
                break;
            }
            const uint32_t second = stapes_load(rows[row + 1u] + at);
            const uint32_t even2 = stapes_sxtb16(second), odd2 = stapes_sxtb16_8(second);
            x[0] = stapes_low_halves(even, even2);
            x[1] = stapes_low_halves(odd, odd2);
            x[2] = stapes_high_halves(even, even2);
            x[3] = stapes_high_halves(odd, odd2);
            x += 4;
        }
    }
}

STAPES_INLINE void widen(const int8_t *const *rows, uint32_t at, uint32_t end, uint32_t step,
                         const uint32_t height, uint32_t *x) {
    if (height == 3) {
        widen_3(rows, at, end, step, x);
    } else if (height == 5) {
        widen_5(rows, at, end, step, x);
    } else {
        widen_any(rows, at, end, step, height, x);
    }
}

/* Weights, in the order of STAPES_ROWS: the rows of a column lie one after the other. */
static void widen_weights(const int8_t *w, uint32_t width, uint32_t height, uint32_t *x) {
    if (height == 3) {
        __asm__ volatile("1:\n\t"
                         "ldmia %[w]!, {r8, r9, r10}\n\t"
                         "sxtb16 r4, r8\n\tsxtb16 r5, r8, ror #8\n\t"
                         "sxtb16 r6, r9\n\tsxtb16 r8, r9, ror #8\n\t"
                         "sxtb16 r9, r10\n\tsxtb16 r10, r10, ror #8\n\t"
                         "stmia %[x]!, {r4, r5, r6, r8, r9, r10}\n\t"
                         "subs %[width], #1\n\t"
                         "bne 1b\n\t"
                         : [w] "+r"(w), [x] "+r"(x), [width] "+r"(width)
                         :
                         : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
        return;
    }
    /* A pair of rows and a single row alike: bytes 0 and 2, then 1 and 3. */
    for (uint32_t words = width * height; words != 0; words--) {
        const uint32_t word = stapes_load(w);
        x[0] = stapes_sxtb16(word);
        x[1] = stapes_sxtb16_8(word);
        x += 2;
        w += 4;
    }
}

/* What a column of outputs needs in the order in which it is taken: four biases, the weights, then these. */
typedef struct {
    int32_t on;    /* bytes from the inputs behind one window to the next window */
    uint32_t step; /* from one column's last output to the next one's first */
    int8_t *end;   /* of the outputs */
    struct {
        int32_t shift, multiplier, offset;
    } channels[4];
} tail_t;
typedef char quad_bytes[4u * sizeof(int32_t) + sizeof(tail_t) == STAPES_QUAD_BYTES ? 1 : -1];
#define TAIL_WORDS (sizeof(tail_t) / sizeof(uint32_t))

/*     r0       inputs                r4 r5 r6 r7     sums of channels 0 1 2 3
 *     r1       biases, weights, tail r8 r9 r10 r11   four words of inputs
 *     r2 r3 r12 lr  four words of weights
 *
 * and, when the sums are complete, r2 the outputs, r8 to r10 a channel's constants, r12 its output. */
#define TWO_ROWS                                                                                             \
    "ldmia r0!, {r8, r9, r10, r11}\n\t"                                                                      \
    "ldmia r1!, {r2, r3, r12, lr}\n\t"                                                                       \
    "smlad r4, r2, r8, r4\n\tsmlad r5, r3, r9, r5\n\tsmlad r6, r12, r10, r6\n\tsmlad r7, lr, r11, r7\n\t"
#define ONE_ROW                                                                                              \
    "ldmia r0!, {r8, r9}\n\t"                                                                                \
    "ldmia r1!, {r2, r3}\n\t"                                                                                \
    "smlabb r4, r2, r8, r4\n\tsmlatt r6, r2, r8, r6\n\tsmlabb r5, r3, r9, r5\n\tsmlatt r7, r3, r9, r7\n\t"
#define OUTPUT(sum)                                                                                          \
    "ldmia r1!, {r8, r9, r10}\n\t"                                                                           \
    "lsls r12, " sum ", #1\n\t"                                                                              \
    "smmlar r12, r12, r9, r10\n\t"                                                                           \
    "add r12, r12, " sum ", asr #31\n\t"                                                                     \
    "asr r12, r12, r8\n\t"                                                                                   \
    "ssat r12, #8, r12, asr #1\n\t"                                                                          \
    "strb r12, [r2], #1\n\t"
#define RECTIFIED(sum)                                                                                       \
    "ldmia r1!, {r8, r9, r10}\n\t"                                                                           \
    "lsls r12, " sum ", #1\n\t"                                                                              \
    "smmlar r12, r12, r9, r10\n\t"                                                                           \
    "asr r12, r12, r8\n\t"                                                                                   \
    "ssat r12, #8, r12, asr #1\n\t"                                                                          \
    "strb r12, [r2], #1\n\t"

/* What the loop over the columns finds on the stack. */
typedef struct {
    const uint32_t *x, *w;
    int8_t *output;
    uint32_t requantize; /* an address of code */
    uint32_t rectified;  /* 1: the activation's minimum is the zero point or above */
} columns_t;

/* All output columns of windows of `body`. Negative sums that end as the zero point anyway are requantised
 * at 2. */
#define COLUMNS(body)                                                                                        \
    __asm__ volatile("adr.w r2, 3f + 1\n\t"                                                                  \
                     "ldr r0, %[rectified]\n\t"                                                              \
                     "cbz r0, 4f\n\t"                                                                        \
                     "adr.w r2, 2f + 1\n"                                                                    \
                     "4:\n\t"                                                                                \
                     "str r2, %[requantize]\n\t"                                                             \
                     "ldr r0, %[x]\n"                                                                        \
                     "1:\n\t"                                                                                \
                     "ldr r1, %[w]\n\t"                                                                      \
                     "ldmia r1!, {r4, r5, r6, r7}\n\t" body "ldmia r1!, {r3, r11, lr}\n\t"                   \
                     "ldr r2, %[output]\n\t"                                                                 \
                     "add r0, r0, r3\n\t"                                                                    \
                     "ldr pc, %[requantize]\n"                                                               \
                     "3:\n\t" OUTPUT("r4") OUTPUT("r5") OUTPUT("r6")                                         \
                         OUTPUT("r7") "b 4f\n"                                                               \
                                      "2:\n\t" RECTIFIED("r4") RECTIFIED("r5") RECTIFIED("r6")               \
                                          RECTIFIED("r7") "4:\n\t"                                           \
                                                          "add r2, r2, r11\n\t"                              \
                                                          "str r2, %[output]\n\t"                            \
                                                          "cmp r2, lr\n\t"                                   \
                                                          "bne 1b\n\t"                                       \
                     : [output] "+m"(columns->output), [requantize] "=m"(columns->requantize)                \
                     : [x] "m"(columns->x), [w] "m"(columns->w), [rectified] "m"(columns->rectified)         \
                     : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12",      \
                       "lr", "cc", "memory")

/* The sums of one output column for any kernel. */
static void sum_column(const uint32_t *x, const uint32_t *w, uint32_t width, uint32_t height, int32_t *sums) {
    for (; width != 0; width--) {
        for (uint32_t row = height; row > 1u; row -= 2) {
            sums[0] = stapes_smlad(w[0], x[0], sums[0]);
            sums[1] = stapes_smlad(w[1], x[1], sums[1]);
            sums[2] = stapes_smlad(w[2], x[2], sums[2]);
            sums[3] = stapes_smlad(w[3], x[3], sums[3]);
            x += 4;
            w += 4;
        }
        if ((height & 1u) != 0) {
            sums[0] = stapes_smlabb(w[0], x[0], sums[0]);
            sums[1] = stapes_smlabb(w[1], x[1], sums[1]);
            sums[2] = stapes_smlatt(w[0], x[0], sums[2]);
            sums[3] = stapes_smlatt(w[1], x[1], sums[3]);
            x += 2;
            w += 2;
        }
    }
}

/* All output columns of four channels. */
STAPES_INLINE void multiply(columns_t *columns, const tail_t *tail, const uint32_t height,
                            const uint32_t width) {
    if (height == 3 && width == 3) {
        COLUMNS(".rept 3\n\t" TWO_ROWS ONE_ROW ".endr\n\t");
    } else if (height == 5 && width == 5) {
        COLUMNS(".rept 5\n\t" TWO_ROWS TWO_ROWS ONE_ROW ".endr\n\t");
    } else {
        const uint32_t *x = columns->x, *const w = columns->w;
        int8_t *output = columns->output;
        const int32_t on = tail->on / (int32_t)sizeof *x + (int32_t)(2u * height * width);
        for (; output != tail->end; output += tail->step + 4u) {
            int32_t sums[4];
            memcpy(sums, w, sizeof sums);
            sum_column(x, w + 4, width, height, sums);
            for (uint32_t i = 0; i < 4; i++) {
                output[i] =
                    (int8_t)stapes_requantize_short(2 * sums[i], tail->channels[i].multiplier,
                                                    tail->channels[i].offset, tail->channels[i].shift);
            }
            x += on;
        }
    }
}

/* Biases and tail of four channels. r4 to r11: biases and multipliers in turn;
 * shift, multiplier, offset of a channel come to stand beside each other. */
#define CHANNEL(rotated, shift, multiplier, offset)                                                          \
    "uxtb " shift ", r12" rotated "\n\tlsl " offset ", %[rounding], " shift "\n\tstmia %[tail]!, {" shift    \
    ", " multiplier ", " offset "}\n\t"
STAPES_INLINE void prepare(const stapes_channel_t *channels, const int8_t *shifts, int32_t rounding,
                           uint32_t *biases, void *tail) {
    register uint32_t word __asm__("r12") = stapes_load(shifts);
    __asm__ volatile("ldmia %[channels], {r4, r5, r6, r7, r8, r9, r10, r11}\n\t"
                     "stmia %[biases], {r4, r6, r8, r10}\n\t" /**/
                     CHANNEL("", "r4", "r5", "r6") CHANNEL(", ror #8", "r6", "r7", "r8") CHANNEL(
                         ", ror #16", "r8", "r9", "r10") "lsr r10, r12, #24\n\tlsl r12, %[rounding], r10\n\t"
                                                         "stmia %[tail], {r10, r11, r12}\n\t"
                     : [tail] "+r"(tail), "+r"(word)
                     : [channels] "r"(channels), [biases] "r"(biases), [rounding] "r"(rounding)
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "memory");
}

/* All quads of a kernel of `height` x `width`; where these are constants, the rest is left out. Unless
 * `is_any` there are several columns and no channel is long. */
STAPES_INLINE void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p,
                         const uint32_t height, const uint32_t width, const int is_any) {
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t taps = height * width, step = p->tap_step;
    const uint32_t bytes = (p->columns - 1u) * p->column_step + width * step;
    const uint32_t end = 4u * p->quads;
    const int32_t rounding = q->rounding;
    const int8_t *const *rows = call->rows;
    uint32_t *const biases = call->scratch; /* then weights, tail, inputs */
    uint32_t *const wide = biases + 4;
    tail_t *const tail = (tail_t *)(void *)(wide + 2u * taps);
    uint32_t *const x = wide + 2u * taps + TAIL_WORDS;
    /* Padding is the same for all channels: widened once. */
    const uint32_t first = p->pad_left * step, last = bytes - p->pad_right * step;
    uint32_t *const inner = x + 2u * height * p->pad_left;
    columns_t columns = {x, biases, call->output, 0, q->minimum >= q->zero_point};
    tail->on = ((int32_t)(p->column_step / step) - (int32_t)width) * (int32_t)(8u * height);
    tail->step = p->channels - 4u;
    tail->end = call->output + p->columns * p->channels;
    if (first != 0) {
        widen(rows, 0, first, step, height, x);
    }
    if (last != bytes) {
        widen(rows, last, bytes, step, height, x + 2u * height * (last / step));
    }
    for (uint32_t channel = 0; channel < end; channel += 4) {
        /* A single column is not worth the widening. */
        if (is_any && (p->columns == 1u || is_long(q, channel))) {
            plain_quad(call, p, channel);
        } else {
            prepare(q->channels + channel, q->shifts + channel, rounding, biases, tail->channels);
            widen_weights(p->weights + channel * taps, width, height, wide);
            widen(rows, first + channel, last + channel, step, height, inner);
            columns.output = call->output + channel;
            multiply(&columns, tail, height, width);
        }
        tail->end += 4;
    }
}

#endif
