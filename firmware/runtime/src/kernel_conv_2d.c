/* CONV_2D: gather the patches of up to three output columns as int16 pairs, then multiply two channels at a
 * time. */
#include "dot.h"
#if STAPES_DSP && !STAPES_MVE
#include "dot_dsp.h"
#endif

#if STAPES_MVE

/* The patches of one, two or three columns. The last inputs of runs of odd length come after everything else;
 * what pads them to pairs has zero weights. */
STAPES_INLINE void gather(const stapes_conv_2d_t *p, const int8_t *const *rows, uint32_t first,
                          const uint32_t columns, int8_t *x) {
    const uint32_t bytes = p->segment_bytes;
    const stapes_run_t even = stapes_run(bytes);
    const uint32_t segments = p->segments, step = p->segment_step, second = p->column_step;
    const uint32_t inputs = 2 * p->pairs; /* from one column to the next */
    const int8_t *const *const end = rows + p->kernel_height;
    int8_t *last = x + p->kernel_height * segments * even.bytes;
    for (; rows != end; rows++) {
        const int8_t *run = *rows + first;
        for (uint32_t segment = segments; segment != 0; segment--) {
            stapes_gather_run(even, run, x);
            if (columns > 1) {
                stapes_gather_run(even, run + second, x + inputs);
            }
            if (columns > 2) {
                stapes_gather_run(even, run + 2 * second, x + 2 * inputs);
            }
            x += even.bytes;
            if (bytes != even.bytes) {
                const int8_t *odd = run + even.bytes;
                last[0] = odd[0];
                if (columns > 1) {
                    last[inputs] = odd[second];
                }
                if (columns > 2) {
                    last[2 * inputs] = odd[2 * second];
                }
                last++;
            }
            run += step;
        }
    }
}

#else

/* `words` words of the patches of one, two or three columns, each as two pairs in the order 0 2 1 3; returns where the
 * next pair goes. */
STAPES_INLINE int16_t *widen(const int8_t *in, uint32_t words, uint32_t second, int16_t *x,
                             const uint32_t columns) {
#if STAPES_DSP && !STAPES_MVE
    if (columns == 3) {
        /* r4 r5 r6: bytes 0 and 2 of each column; r8 r9 r10: bytes 1 and 3. */
        __asm__ volatile("1:\n\t"
                         "ldr r5, [%[in], %[second]]\n\t"
                         "ldr r6, [%[in], %[second], lsl #1]\n\t"
                         "ldr r4, [%[in]], #4\n\t"
                         "sxtb16 r8, r4, ror #8\n\tsxtb16 r9, r5, ror #8\n\tsxtb16 r10, r6, ror #8\n\t"
                         "sxtb16 r4, r4\n\tsxtb16 r5, r5\n\tsxtb16 r6, r6\n\t"
                         "stmia %[x]!, {r4, r5, r6, r8, r9, r10}\n\t"
                         "subs %[words], #1\n\t"
                         "bne 1b\n\t"
                         : [in] "+r"(in), [x] "+r"(x), [words] "+r"(words)
                         : [second] "r"(second)
                         : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
    } else if (columns == 2) {
        __asm__ volatile("1:\n\t"
                         "ldr r5, [%[in], %[second]]\n\t"
                         "ldr r4, [%[in]], #4\n\t"
                         "sxtb16 r6, r4, ror #8\n\tsxtb16 r8, r5, ror #8\n\t"
                         "sxtb16 r4, r4\n\tsxtb16 r5, r5\n\t"
                         "stmia %[x]!, {r4, r5, r6, r8}\n\t"
                         "subs %[words], #1\n\t"
                         "bne 1b\n\t"
                         : [in] "+r"(in), [x] "+r"(x), [words] "+r"(words)
                         : [second] "r"(second)
                         : "r4", "r5", "r6", "r8", "cc", "memory");
    } else {
        for (; words != 0; words--) {
            const uint32_t word = stapes_load(in);
            stapes_store(x, stapes_sxtb16(word));
            stapes_store(x + 2, stapes_sxtb16_8(word));
            x += 4;
            in += 4;
        }
    }
#else
    for (; words != 0; words--) {
        for (uint32_t j = 0; j < columns; j++) {
            const int8_t *four = in + j * second;
            x[2 * j] = four[0];
            x[2 * j + 1] = four[2];
            x[2 * (columns + j)] = four[1];
            x[2 * (columns + j) + 1] = four[3];
        }
        x += 4 * columns;
        in += 4;
    }
#endif
    return x;
}

/* The patches of one, two or three columns. The last inputs of runs of odd length come after everything else.
 */
STAPES_INLINE void gather(const stapes_conv_2d_t *p, const int8_t *const *rows, uint32_t first,
                          const uint32_t columns, int16_t *x) {
    const uint32_t step = 2 * columns; /* from one pair to the next */
    const uint32_t bytes = p->segment_bytes, words = bytes / 4U;
    const uint32_t segments = p->segments, segment_step = p->segment_step;
    const uint32_t second = p->column_step, third = 2 * second;
    const int8_t *const *const end = rows + p->kernel_height;
    int16_t *last = x + p->kernel_height * segments * (bytes / 2U) * step;
    uint32_t half = 1;
    for (; rows != end; rows++) {
        const int8_t *run = *rows + first;
        for (uint32_t segment = segments; segment != 0; segment--) {
            const int8_t *in = run;
            if (words != 0) {
                x = widen(in, words, second, x, columns);
                in += 4 * words;
            }
            if ((bytes & 2U) != 0) {
                x[0] = in[0];
                x[1] = in[1];
                if (columns > 1) {
                    x[2] = in[second];
                    x[3] = in[second + 1];
                }
                if (columns > 2) {
                    x[4] = in[third];
                    x[5] = in[third + 1];
                }
                x += step;
                in += 2;
            }
            if ((bytes & 1U) != 0) {
                last[0] = in[0];
                if (columns > 1) {
                    last[2] = in[second];
                }
                if (columns > 2) {
                    last[4] = in[third];
                }
                last += half;
                half = step - half;
            }
            run += segment_step;
        }
    }
    if (half != 1) {
        last[0] = 0;
        if (columns > 1) {
            last[2] = 0;
        }
        if (columns > 2) {
            last[4] = 0;
        }
    }
}

#endif

#define CHUNK 16 /* channels between multiplying and requantising */

/* One, two or three output columns of one group. */
STAPES_INLINE void tile(const stapes_call_t *call, uint32_t column, uint32_t group, const uint32_t columns) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    const uint32_t step = (uint32_t)p->channels * p->groups;
    const int8_t *weights = p->weights + group * (4U * p->pairs * ((p->channels + 1U) / 2U));
    stapes_element_t *x = call->scratch;
    int8_t *output = call->output + column * step;
    uint32_t channel = group * p->channels;
    uint32_t left = p->channels;
    int32_t sums[CHUNK * STAPES_TILE];
    gather(p, call->rows, column * p->column_step + group * p->segment_bytes, columns, x);
    while (left != 0) {
        const uint32_t count = left < CHUNK ? left : CHUNK;
        weights =
            stapes_dot(weights, x, p->pairs, p->requantize.channels + channel, (int32_t)count, sums, columns);
        stapes_requantize_columns(&p->requantize, channel, count, sums, columns, output + channel, step);
        channel += count;
        left -= count;
    }
}

typedef void (*tile_t)(const stapes_call_t *call, uint32_t column, uint32_t group, const uint32_t columns);

/* One output row, three columns at a time if not one would be left over. */
STAPES_INLINE void convolve(const stapes_call_t *call, tile_t tile) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    for (uint32_t group = 0; group < p->groups; group++) {
        for (uint32_t column = 0; column < p->columns;) {
            const uint32_t left = p->columns - column;
            if (left == 3 || left > 4) {
                tile(call, column, group, 3);
                column += 3;
            } else if (left == 1) {
                tile(call, column, group, 1);
                column += 1;
            } else {
                tile(call, column, group, 2);
                column += 2;
            }
        }
    }
    stapes_activate(&p->requantize, call->output, (uint32_t)p->columns * p->channels * p->groups);
}

void stapes_conv_2d(const stapes_call_t *call) {
    convolve(call, tile);
}

#if STAPES_DSP && !STAPES_MVE

/* A pair of channels of which one is long or does not exist. */
static void long_pair(const stapes_conv_2d_t *p, stapes_tile_t *t, uint32_t columns, uint32_t exist) {
    int32_t sums[2 * STAPES_TILE];
    for (uint32_t j = 0; j < columns; j++) {
        int32_t both[2] = {t->channel[0].bias, t->channel[1].bias};
        (void)stapes_add_carried(t->weights, t->inputs + 2U * j, columns, t->pairs, both);
        sums[j] = both[0];
        sums[columns + j] = both[1];
    }
    stapes_requantize_long(&p->requantize, (uint32_t)(t->channel - p->requantize.channels), exist, sums,
                           columns, t->output, t->step);
    t->weights += 4U * t->pairs;
    t->channel += 2;
    t->shifts += 2;
    t->output += 2;
}

STAPES_INLINE void tile_carry(const stapes_call_t *call, uint32_t column, uint32_t group,
                              const uint32_t columns) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t first = group * p->channels;
    const stapes_channel_t *const end = q->channels + first + p->channels;
    int16_t *x = call->scratch;
    gather(p, call->rows, column * p->column_step + group * p->segment_bytes, columns, x);
    stapes_tile_t t;
    t.step = (uint32_t)p->channels * p->groups;
    t.weights = p->weights + group * (4U * p->pairs * ((p->channels + 1U) / 2U));
    t.inputs = x;
    t.channel = q->channels + first;
    t.shifts = q->shifts + first;
    t.output = call->output + column * t.step + first;
    t.pairs = p->pairs;
    t.rounding = q->rounding;
    t.end = end - (p->channels & 1U);
    if (!q->is_short) {
        while (t.channel != t.end) {
            if (t.shifts[0] >= 0 || t.shifts[1] >= 0) {
                long_pair(p, &t, columns, 2);
            } else {
                t.end = t.channel + 2;
                stapes_tile(&t, columns);
                t.end = end - (p->channels & 1U);
            }
        }
    } else if (t.channel != t.end) {
        stapes_tile(&t, columns);
    }
    if (t.channel != end) {
        long_pair(p, &t, columns, 1);
    }
}

void stapes_conv_2d_carry(const stapes_call_t *call) {
    convolve(call, tile_carry);
}

#endif
