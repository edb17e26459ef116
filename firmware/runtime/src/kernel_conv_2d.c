/* CONV_2D: gather the patches of up to three output columns as int16 pairs, then multiply two channels at a
 * time. */
#include "dot.h"

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

/* Four inputs of one column into two pairs, `step` apart, in the order 0 2 1 3. */
static inline void widen(const int8_t *in, int16_t *x, uint32_t step) {
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

/* The patches of one, two or three columns. The last inputs of runs of odd length come after everything else.
 */
STAPES_INLINE void gather(const stapes_conv_2d_t *p, const int8_t *const *rows, uint32_t first,
                          const uint32_t columns, int16_t *x) {
    const uint32_t step = 2 * columns; /* from one pair to the next */
    const uint32_t bytes = p->segment_bytes;
    const uint32_t second = p->column_step;
    const uint32_t third = 2 * second;
    const uint32_t runs = (uint32_t)p->kernel_height * p->segments;
    int16_t *last = x + runs * (bytes / 2u) * step;
    uint32_t half = 1;
    for (const int8_t *const *const end = rows + p->kernel_height; rows != end; rows++) {
        const int8_t *run = *rows + first;
        for (uint32_t segment = p->segments; segment != 0; segment--) {
            const int8_t *in = run;
            uint32_t left = bytes;
            for (; left >= 4; left -= 4) {
                widen(in, x, step);
                if (columns > 1) {
                    widen(in + second, x + 2, step);
                }
                if (columns > 2) {
                    widen(in + third, x + 4, step);
                }
                x += 2 * step;
                in += 4;
            }
            if (left >= 2) {
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
                left -= 2;
            }
            if (left != 0) {
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
            run += p->segment_step;
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
    const int8_t *weights = p->weights + group * (4u * p->pairs * ((p->channels + 1u) / 2u));
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

void stapes_conv_2d(const stapes_call_t *call) {
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
    stapes_activate(&p->requantize, call->output, p->columns * p->channels * p->groups);
}
