/* Pooling. Rows outside of the map are NULL and not counted, as are columns outside. */
#include <string.h>

#include "requantize.h"

/* round(sum / count), halves away from zero. */
static int32_t rounded_mean(int32_t sum, int32_t count) {
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

typedef struct {
    uint32_t first, end; /* input columns of a window that exist */
} span_t;

static span_t window(const stapes_pool_2d_t *p, uint32_t column) {
    const int32_t start = (int32_t)(column * p->stride_width - p->pad_left);
    const int32_t stop = start + (int32_t)p->kernel_width;
    span_t span;
    span.first = start < 0 ? 0u : (uint32_t)start;
    span.end = stop > (int32_t)p->input_columns ? p->input_columns : (uint32_t)stop;
    return span;
}

void stapes_average_pool_2d(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    const uint32_t height = call->layer->inputs->height;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        int32_t rows = 0;
        for (uint32_t row = 0; row < height; row++) {
            rows += call->rows[row] != NULL;
        }
        const int32_t count = rows * (int32_t)(span.end - span.first);
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            int32_t sum = 0;
            for (uint32_t row = 0; row < height; row++) {
                if (call->rows[row] != NULL) {
                    const int8_t *in = call->rows[row] + channel;
                    for (uint32_t x = span.first; x < span.end; x++) {
                        sum += in[x * p->channels];
                    }
                }
            }
            *output++ = (int8_t)stapes_clamp(rounded_mean(sum, count), p->minimum, p->maximum);
        }
    }
}

void stapes_max_pool_2d(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    const uint32_t height = call->layer->inputs->height;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            int32_t largest = -128;
            for (uint32_t row = 0; row < height; row++) {
                if (call->rows[row] != NULL) {
                    const int8_t *in = call->rows[row] + channel;
                    for (uint32_t x = span.first; x < span.end; x++) {
                        const int32_t value = in[x * p->channels];
                        largest = value > largest ? value : largest;
                    }
                }
            }
            *output++ = (int8_t)stapes_clamp(largest, p->minimum, p->maximum);
        }
    }
}

/* Adds `count` columns of four channels. */
static inline void add_four(const int8_t *in, uint32_t count, uint32_t step, int32_t *sums) {
#if STAPES_DSP
    while (count != 0) {
        /* No more columns at once than two int16 sums can take. */
        const uint32_t part = count < 255u ? count : 255u;
        uint32_t even = 0, odd = 0;
        for (uint32_t i = 0; i < part; i++) {
            const uint32_t word = stapes_load(in);
            __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(word));
            __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(word));
            in += step;
        }
        sums[0] += (int16_t)even;
        sums[1] += (int16_t)odd;
        sums[2] += (int32_t)even >> 16;
        sums[3] += (int32_t)odd >> 16;
        count -= part;
    }
#else
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (; count != 0; count--) {
        s0 += in[0];
        s1 += in[1];
        s2 += in[2];
        s3 += in[3];
        in += step;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
#endif
}

void stapes_average_pool_rows(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    int32_t *sums = call->state;
    int8_t *output = call->output;
    if (call->step == 0) {
        memset(sums, 0, (size_t)p->columns * p->channels * sizeof *sums);
    }
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        const int8_t *in = call->rows[0] + span.first * p->channels;
        uint32_t channel = 0;
        for (; channel + 4u <= p->channels; channel += 4) {
            add_four(in + channel, span.end - span.first, p->channels, sums + channel);
        }
        for (; channel < p->channels; channel++) {
            for (uint32_t x = 0; x < span.end - span.first; x++) {
                sums[channel] += in[x * p->channels + channel];
            }
        }
        if (call->step + 1u == call->layer->steps) {
            const int32_t count = (int32_t)(call->layer->steps * (span.end - span.first));
            for (channel = 0; channel < p->channels; channel++) {
                *output++ = (int8_t)stapes_clamp(rounded_mean(sums[channel], count), p->minimum, p->maximum);
            }
        }
        sums += p->channels;
    }
}

void stapes_max_pool_rows(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            int32_t largest = call->step == 0 ? p->minimum : *output;
            const int8_t *in = call->rows[0] + span.first * p->channels + channel;
            for (uint32_t x = span.first; x < span.end; x++) {
                const int32_t value = *in;
                largest = value > largest ? value : largest;
                in += p->channels;
            }
            *output++ = (int8_t)(largest > p->maximum ? p->maximum : largest);
        }
    }
}
