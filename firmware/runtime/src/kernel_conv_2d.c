/* CONV_2D: gather the patches of up to three output columns as int16 pairs, then multiply two channels at a
 * time. */
#include "dot.h"

/* One patch into one column of the tile. Runs of odd length are copied one by one, in their own order. */
static void gather(const stapes_conv_2d_t *p, const int8_t *const *rows, uint32_t first, uint32_t columns,
                   int16_t *x) {
    const uint32_t step = 2 * columns; /* from one pair to the next */
    if ((p->segment_bytes & 1U) == 0) {
        for (uint32_t row = 0; row < p->kernel_height; row++) {
            const int8_t *run = rows[row] + first;
            for (uint32_t segment = 0; segment < p->segments; segment++) {
                x = stapes_widen(run, p->segment_bytes, x, step);
                run += p->segment_step;
            }
        }
        return;
    }
    uint32_t half = 0;
    for (uint32_t row = 0; row < p->kernel_height; row++) {
        const int8_t *run = rows[row] + first;
        for (uint32_t segment = 0; segment < p->segments; segment++) {
            for (uint32_t i = 0; i < p->segment_bytes; i++) {
                x[half] = run[i];
                x += half == 0 ? 0 : step;
                half ^= 1U;
            }
            run += p->segment_step;
        }
    }
    if (half != 0) {
        x[1] = 0;
    }
}

#define CHUNK 16 /* channels between multiplying and requantising */

STAPES_INLINE void multiply(const stapes_conv_2d_t *p, const int8_t *weights, const int16_t *x,
                            uint32_t first, const uint32_t columns, int8_t *output) {
    const uint32_t step = (uint32_t)p->channels * p->groups;
    uint32_t left = p->channels;
    int32_t sums[CHUNK * STAPES_TILE];
    while (left != 0) {
        const uint32_t count = left < CHUNK ? left : CHUNK;
        weights =
            stapes_dot(weights, x, p->pairs, p->requantize.channels + first, (int32_t)count, sums, columns);
        stapes_requantize_columns(&p->requantize, first, count, sums, columns, output + first, step);
        first += count;
        left -= count;
    }
}

void stapes_conv_2d(const stapes_call_t *call) {
    const stapes_conv_2d_t *p = call->layer->parameters;
    const uint32_t all_channels = (uint32_t)p->channels * p->groups;
    const uint32_t group_weights = 4U * p->pairs * ((p->channels + 1U) / 2U);
    int16_t *x = call->scratch;
    int8_t *output = call->output;
    uint32_t columns;
    for (uint32_t column = 0; column < p->columns; column += columns) {
        columns = stapes_tile(p->columns - column);
        for (uint32_t group = 0; group < p->groups; group++) {
            const int8_t *weights = p->weights + group * group_weights;
            const uint32_t first_channel = group * p->channels;
            for (uint32_t j = 0; j < columns; j++) {
                gather(p, call->rows, (column + j) * p->column_step + group * p->segment_bytes, columns,
                       x + 2 * j);
            }
            switch (columns) {
            case 1: multiply(p, weights, x, first_channel, 1, output); break;
            case 2: multiply(p, weights, x, first_channel, 2, output); break;
            default: multiply(p, weights, x, first_channel, 3, output); break;
            }
        }
        output += columns * all_channels;
    }
    stapes_activate(&p->requantize, call->output, p->columns * all_channels);
}
