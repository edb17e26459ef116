/* CONV_2D: gather the patches of up to three output columns as int16 pairs, then multiply two channels at a
 * time. */
#include "dot.h"
#include "int4.h"
#if STAPES_DSP && !STAPES_MVE
#include "dot_dsp.h"
#endif

#if STAPES_MVE

/* For runs of two to five bytes: where in a row, and where in the patches of three columns, byte i of column
 * j is, a lane each. */
typedef struct {
    uint8x16_t from, to, on; /* `on`: from one row's place in a patch to the next */
    uint32_t bytes;          /* of a run; 0: it is not so short */
} lanes_t;

static inline lanes_t lanes_of(const stapes_conv_2d_t *p) {
    lanes_t lanes = {.bytes = 0};
    const uint32_t bytes = p->segment_bytes, even = bytes & ~1u;
    if (p->segments == 1 && bytes - 2u <= 3u && p->column_step < 125u && p->pairs < 42u) {
        const uint8x16_t i = viwdupq_n_u8(0, bytes, 1);
        const uint8x16_t j =
            vmulhq_u8(vsubq_u8(vidupq_n_u8(0, 1), i), vdupq_n_u8((uint8_t)(256u / bytes + 1u)));
        const mve_pred16_t last = vcmpeqq_n_u8(i, (uint8_t)even);
        lanes.from = vmlaq_n_u8(i, j, (uint8_t)p->column_step);
        /* A word's bytes are in the order of the weights. */
        const mve_pred16_t swapped = bytes < 4u ? 0 : vcmphiq_u8(vdupq_n_u8(2), vsubq_n_u8(i, 1));
        const uint8x16_t place = vsubq_m_u8(i, vdupq_n_u8(3), i, swapped);
        lanes.to = vmlaq_n_u8(place, j, (uint8_t)(2u * p->pairs));
        lanes.to = vaddq_m_n_u8(lanes.to, lanes.to, (uint8_t)((p->kernel_height - 1u) * even), last);
        lanes.on = vdupq_m_n_u8(vdupq_n_u8((uint8_t)even), 1, last);
        lanes.bytes = bytes;
    }
    return lanes;
}

/* The patches of one, two or three columns with such runs. */
STAPES_INLINE void gather_lanes(const stapes_conv_2d_t *p, const lanes_t *lanes, const int8_t *const *rows,
                                uint32_t first, const uint32_t columns, int8_t *x) {
    const int8_t *const *const end = rows + p->kernel_height;
    const mve_pred16_t exist = vctp8q(columns * lanes->bytes);
    const uint8x16_t from = lanes->from, on = lanes->on;
    uint8x16_t to = lanes->to;
    for (; rows != end; rows++) {
        const int8x16_t run = vldrbq_gather_offset_z_s8(*rows + first, from, exist);
        vstrbq_scatter_offset_p_s8(x, to, run, exist);
        to = vaddq_u8(to, on);
    }
}

/* The patches of one, two or three columns. The last inputs of runs of odd length come after everything else;
 * what pads them to pairs has zero weights. */
STAPES_INLINE void gather(const stapes_conv_2d_t *p, const lanes_t *lanes, const int8_t *const *rows,
                          uint32_t first, const uint32_t columns, int8_t *x) {
    const uint32_t bytes = p->segment_bytes, words = bytes & ~3u, pair = bytes & 2u;
    const uint32_t segments = p->segments, step = p->segment_step, second = p->column_step,
                   third = 2 * second;
    const uint32_t inputs = 2 * p->pairs; /* from one column to the next */
    const int8_t *const *const end = rows + p->kernel_height;
    const uint8x16_t order = stapes_words();
    int8_t *last = x + p->kernel_height * segments * (bytes & ~1u);
    if (lanes->bytes != 0) {
        gather_lanes(p, lanes, rows, first, columns, x);
        return;
    }
    for (; rows != end; rows++) {
        const int8_t *run = *rows + first;
        for (uint32_t segment = segments; segment != 0; segment--) {
            const int8_t *rest = run + words;
            if (words != 0) {
                stapes_gather_words(order, words, run, x);
                if (columns > 1) {
                    stapes_gather_words(order, words, run + second, x + inputs);
                }
                if (columns > 2) {
                    stapes_gather_words(order, words, run + third, x + 2 * inputs);
                }
                x += words;
            }
            if (pair != 0) {
                memcpy(x, rest, 2);
                if (columns > 1) {
                    memcpy(x + inputs, rest + second, 2);
                }
                if (columns > 2) {
                    memcpy(x + 2 * inputs, rest + third, 2);
                }
                x += 2;
                rest += 2;
            }
            if ((bytes & 1u) != 0) {
                last[0] = rest[0];
                if (columns > 1) {
                    last[inputs] = rest[second];
                }
                if (columns > 2) {
                    last[2 * inputs] = rest[third];
                }
                last++;
            }
            run += step;
        }
    }
}

#else

typedef int lanes_t; /* there are none */

static inline lanes_t lanes_of(const stapes_conv_2d_t *p) {
    (void)p;
    return 0;
}

/* A word of one column as two pairs, `step` apart, in the order 0 2 1 3. */
static inline void widen_word(const int8_t *in, int16_t *x, const uint32_t step) {
#if STAPES_DSP
    const uint32_t word = stapes_load(in);
    stapes_store(x, stapes_sxtb16(word));
    stapes_store(x + step, stapes_sxtb16_8(word));
#else
    x[0] = in[0];
    x[1] = in[2];
    x[step] = in[1];
    x[step + 1] = in[3];
#endif
}

/* A word of one, two or three columns; returns where the next pairs go. */
STAPES_INLINE int16_t *widen_one(const int8_t *in, uint32_t second, int16_t *x, const uint32_t columns) {
    const uint32_t step = 2 * columns;
    widen_word(in, x, step);
    if (columns > 1) {
        widen_word(in + second, x + 2, step);
    }
    if (columns > 2) {
        widen_word(in + 2 * second, x + 4, step);
    }
    return x + 2 * step;
}

#if STAPES_DSP && !STAPES_MVE
/* Functions of their own, which save on the stack only what they use. r4 r5 r6: bytes 0 and 2 of each column;
 * the registers behind them: bytes 1 and 3. */
__attribute__((noinline)) static int16_t *widen_3(const int8_t *in, uint32_t words, uint32_t second,
                                                  int16_t *x) {
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
    return x;
}

__attribute__((noinline)) static int16_t *widen_2(const int8_t *in, uint32_t words, uint32_t second,
                                                  int16_t *x) {
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
    return x;
}
#endif

/* The same for `words` words, at least one. */
STAPES_INLINE int16_t *widen(const int8_t *in, uint32_t words, uint32_t second, int16_t *x,
                             const uint32_t columns) {
#if STAPES_DSP && !STAPES_MVE
    if (columns == 3) {
        return widen_3(in, words, second, x);
    }
    if (columns == 2) {
        return widen_2(in, words, second, x);
    }
#endif
    for (; words != 0; words--) {
        x = widen_one(in, second, x, columns);
        in += 4;
    }
    return x;
}

/* Where the gathered inputs go: pairs, and behind all of them the last inputs of runs of odd length. */
typedef struct {
    int16_t *x, *last;
    uint32_t half; /* elements to the place of the next last input */
} places_t;

/* What is left of a run behind its words: a pair, a last one. */
STAPES_INLINE void gather_rest(const int8_t *in, uint32_t bytes, uint32_t second, const uint32_t columns,
                               places_t *to) {
    const uint32_t step = 2 * columns; /* from one pair to the next */
    const uint32_t third = 2 * second;
    if ((bytes & 2u) != 0) {
        int16_t *x = to->x;
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
        to->x = x + step;
        in += 2;
    }
    if ((bytes & 1u) != 0) {
        int16_t *last = to->last;
        last[0] = in[0];
        if (columns > 1) {
            last[2] = in[second];
        }
        if (columns > 2) {
            last[4] = in[third];
        }
        to->last = last + to->half;
        to->half = step - to->half;
    }
}

/* The patches of one, two or three columns. */
STAPES_INLINE void gather(const stapes_conv_2d_t *p, const lanes_t *lanes, const int8_t *const *rows,
                          uint32_t first, const uint32_t columns, int16_t *x) {
    (void)lanes;
    const uint32_t bytes = p->segment_bytes, words = bytes / 4u;
    const uint32_t segments = p->segments, segment_step = p->segment_step, second = p->column_step;
    const int8_t *const *const end = rows + p->kernel_height;
    places_t to = {x, x + p->kernel_height * segments * (bytes / 2u) * 2 * columns, 1};
    if (segments == 1 && words < 2) {
        /* Short runs, as a first layer has them. */
        for (; rows != end; rows++) {
            const int8_t *in = *rows + first;
            if (words != 0) {
                to.x = widen_one(in, second, to.x, columns);
                in += 4;
            }
            gather_rest(in, bytes, second, columns, &to);
        }
    } else {
        for (; rows != end; rows++) {
            const int8_t *run = *rows + first;
            for (uint32_t segment = segments; segment != 0; segment--) {
                if (words != 0) {
                    to.x = widen(run, words, second, to.x, columns);
                }
                gather_rest(run + 4 * words, bytes, second, columns, &to);
                run += segment_step;
            }
        }
    }
    if (to.half != 1) {
        to.last[0] = 0;
        if (columns > 1) {
            to.last[2] = 0;
        }
        if (columns > 2) {
            to.last[4] = 0;
        }
    }
}

#endif

#define CHUNK 16 /* channels between multiplying and requantising */

/* One, two or three output columns of one group. */
STAPES_INLINE void tile(const stapes_call_t *call, const lanes_t *lanes, uint32_t column, uint32_t group,
                        const uint32_t columns) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    const uint32_t step = (uint32_t)p->channels * p->groups;
    const int8_t *weights = p->weights + group * (4u * p->pairs * ((p->channels + 1u) / 2u));
    stapes_element_t *x = call->scratch;
    int8_t *output = call->output + column * step;
    uint32_t channel = group * p->channels;
    uint32_t left = p->channels;
    int32_t sums[CHUNK * STAPES_TILE];
    gather(p, lanes, call->rows, column * p->column_step + group * p->segment_bytes, columns, x);
    while (left != 0) {
        const uint32_t count = left < CHUNK ? left : CHUNK;
        weights =
            stapes_dot(weights, x, p->pairs, p->requantize.channels + channel, (int32_t)count, sums, columns);
        stapes_requantize_columns(&p->requantize, channel, count, sums, columns, output + channel, step);
        channel += count;
        left -= count;
    }
}

typedef void (*tile_t)(const stapes_call_t *call, const lanes_t *lanes, uint32_t column, uint32_t group,
                       const uint32_t columns);

/* One output row, three columns at a time if not one would be left over. */
STAPES_INLINE void convolve(const stapes_call_t *call, tile_t tile) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    const lanes_t lanes = lanes_of(p);
    for (uint32_t group = 0; group < p->groups; group++) {
        for (uint32_t column = 0; column < p->columns;) {
            const uint32_t left = p->columns - column;
            if (left == 3 || left > 4) {
                tile(call, &lanes, column, group, 3);
                column += 3;
            } else if (left == 1) {
                tile(call, &lanes, column, group, 1);
                column += 1;
            } else {
                tile(call, &lanes, column, group, 2);
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

/* Functions of their own have all registers to themselves. */
__attribute__((noinline)) static void gather_1(const stapes_conv_2d_t *p, const int8_t *const *rows,
                                               uint32_t first, int16_t *x) {
    gather(p, NULL, rows, first, 1, x);
}

__attribute__((noinline)) static void gather_2(const stapes_conv_2d_t *p, const int8_t *const *rows,
                                               uint32_t first, int16_t *x) {
    gather(p, NULL, rows, first, 2, x);
}

__attribute__((noinline)) static void gather_3(const stapes_conv_2d_t *p, const int8_t *const *rows,
                                               uint32_t first, int16_t *x) {
    gather(p, NULL, rows, first, 3, x);
}

/* A pair of channels of which one is long or does not exist. */
static void long_pair(const stapes_requantize_t *q, stapes_tile_t *t, uint32_t columns, uint32_t exist) {
    int32_t sums[2 * STAPES_TILE];
    for (uint32_t j = 0; j < columns; j++) {
        int32_t both[2] = {t->channel[0].bias, t->channel[1].bias};
        (void)stapes_add_carried(t->weights, t->inputs + 2u * j, columns, t->pairs, both, 0);
        sums[j] = both[0];
        sums[columns + j] = both[1];
    }
    stapes_requantize_long(q, (uint32_t)(t->channel - q->channels), exist, sums, columns, t->output, t->step);
    t->weights += 4u * t->pairs;
    t->channel += 2;
    t->shifts += 2;
    t->output += 2;
}

/* One, two or three output columns of one group. */
STAPES_INLINE void tile_carry(const stapes_conv_2d_t *p, stapes_tile_t *t, void *scratch, uint32_t group,
                              const uint32_t columns) {
    (void)scratch;
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t channels = p->channels, bytes = 4u * t->pairs; /* of a pair of channels */
    const int8_t *const weights = p->weights + group * ((channels + 1u) / 2u) * bytes;
    const int8_t *const stop = weights + channels / 2u * bytes;
    t->weights = weights;
    t->channel = q->channels + group * channels;
    t->shifts = q->shifts + group * channels;
    while (t->weights != stop) {
        t->end = stop;
        if (!q->is_short) {
            if (t->shifts[0] < 0 || t->shifts[1] < 0) {
                long_pair(q, t, columns, 2);
                continue;
            }
            t->end = t->weights + bytes;
        }
        stapes_tile(t, columns);
    }
    if ((channels & 1u) != 0) {
        long_pair(q, t, columns, 1);
    }
}

typedef void (*carry_t)(const stapes_conv_2d_t *p, stapes_tile_t *t, void *scratch, uint32_t group,
                        const uint32_t columns);

/* Every column of every group, three, two or one at a time. */
STAPES_INLINE void convolve_tiles(const stapes_call_t *call, carry_t tile) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    stapes_tile_t t;
    stapes_tile_init(&t, call->scratch, p->pairs, &p->requantize, (uint32_t)p->channels * p->groups,
                     p->columns);
    for (uint32_t group = 0; group < p->groups; group++) {
        for (uint32_t column = 0; column != p->columns;) {
            const uint32_t left = p->columns - column,
                           at = column * p->column_step + group * p->segment_bytes;
            t.output = call->output + column * t.step + group * p->channels;
            if (left == 3 || left > 4) {
                gather_3(p, call->rows, at, call->scratch);
                tile(p, &t, call->scratch, group, 3);
                column += 3;
            } else if (left == 1) {
                gather_1(p, call->rows, at, call->scratch);
                tile(p, &t, call->scratch, group, 1);
                column += 1;
            } else {
                gather_2(p, call->rows, at, call->scratch);
                tile(p, &t, call->scratch, group, 2);
                column += 2;
            }
        }
    }
    stapes_activate(&p->requantize, call->output, p->columns * t.step);
}

void stapes_conv_2d_carry(const stapes_call_t *call) {
    convolve_tiles(call, tile_carry);
}

/* As tile_carry, a pair of channels after the other: their weights are unpacked in front of the products. */
STAPES_INLINE void tile_int4(const stapes_conv_2d_t *p, stapes_tile_t *t, void *scratch, uint32_t group,
                             const uint32_t columns) {
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t channels = p->channels, weights = 4u * t->pairs; /* of a pair of channels */
    const uint32_t widest = p->columns < STAPES_TILE ? p->columns : STAPES_TILE;
    const int8_t *packed = p->weights + group * ((channels + 1u) / 2u) * STAPES_INT4_BYTES(weights);
    int8_t *unpacked = (int8_t *)scratch + weights * widest;
    t->channel = q->channels + group * channels;
    t->shifts = q->shifts + group * channels;
    t->end = unpacked + weights;
    for (uint32_t left = channels; left != 0;) {
        const uint32_t count = left < 2u ? left : 2u;
        packed = stapes_unpack_carried(packed, weights, unpacked);
        t->weights = unpacked;
        if (count < 2u || (!q->is_short && (t->shifts[0] < 0 || t->shifts[1] < 0))) {
            long_pair(q, t, columns, count);
        } else {
            stapes_tile(t, columns);
        }
        left -= count;
    }
}

void stapes_conv_2d_int4(const stapes_call_t *call) {
    convolve_tiles(call, tile_int4);
}

#else

/* As tile, the weights of a pair of channels unpacked in front of the products. */
STAPES_INLINE void tile_int4(const stapes_call_t *call, const lanes_t *lanes, uint32_t column, uint32_t group,
                             const uint32_t columns) {
    const stapes_conv_2d_int4_t *p = call->layer->parameters;
    const uint32_t step = (uint32_t)p->channels * p->groups, weights = 4u * p->pairs; /* of two channels */
    const uint32_t widest = p->columns < STAPES_TILE ? p->columns : STAPES_TILE;
    const int8_t *packed = p->weights + group * ((p->channels + 1u) / 2u) * STAPES_INT4_BYTES(weights);
    stapes_element_t *x = call->scratch;
    int8_t *unpacked = (int8_t *)call->scratch + weights * widest;
    int8_t *output = call->output + column * step;
    uint32_t channel = group * p->channels;
    int32_t sums[2 * STAPES_TILE];
    gather(p, lanes, call->rows, column * p->column_step + group * p->segment_bytes, columns, x);
    for (uint32_t left = p->channels; left != 0;) {
        const uint32_t count = left < 2u ? left : 2u;
        packed = stapes_unpack(packed, weights, unpacked);
        (void)stapes_dot(unpacked, x, p->pairs, p->requantize.channels + channel, (int32_t)count, sums,
                         columns);
        stapes_requantize_columns(&p->requantize, channel, count, sums, columns, output + channel, step);
        channel += count;
        left -= count;
    }
}

void stapes_conv_2d_int4(const stapes_call_t *call) {
    convolve(call, tile_int4);
}

#endif
