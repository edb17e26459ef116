/* Pooling, several channels at a time. Rows outside of the map are NULL and not counted, as are columns
 * outside. */
#include <string.h>

#include "requantize.h"

/* round(sum / count), halves away from zero. */
static inline int32_t rounded_mean(int32_t sum, int32_t count) {
    const int32_t sign = sum >> 31;
    return (sum + ((count / 2) ^ sign) - sign) / count;
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

/* `count` columns of `height` rows from byte `at` on. */
typedef struct {
    const int8_t *const *rows;
    uint32_t height, at, count;
    uint32_t channels; /* bytes from one column to the next */
} area_t;

/* The first of the columns of a row; NULL: the row does not exist. */
STAPES_INLINE const int8_t *columns_of(const area_t *area, uint32_t row, uint32_t channel) {
    const int8_t *in = area->rows[row];
    return in == NULL ? NULL : in + area->at + channel;
}

#if STAPES_MVE
#define BLOCK 16u
typedef int8x16_t block_t;
#elif STAPES_DSP
#define BLOCK 4u
typedef uint32_t block_t;
#endif

/* The maximum of one channel. */
static int32_t largest_of(const area_t *area, uint32_t channel, int32_t largest) {
    for (uint32_t row = 0; row < area->height; row++) {
        const int8_t *in = columns_of(area, row, channel);
        if (in != NULL) {
            for (uint32_t x = area->count; x != 0; x--) {
                largest = *in > largest ? *in : largest;
                in += area->channels;
            }
        }
    }
    return largest;
}

/* The maxima of all channels, not less than `output` holds already if `goes_on`, within the activation's
 * limits. */
static void maxima(const area_t *area, const stapes_pool_2d_t *p, int goes_on, int8_t *output) {
    uint32_t channel = 0;
#if STAPES_MVE
    for (; channel < area->channels; channel += BLOCK) {
        const mve_pred16_t exists = vctp8q(area->channels - channel);
        block_t largest = goes_on ? vldrbq_z_s8(output + channel, exists) : vdupq_n_s8(p->minimum);
        for (uint32_t row = 0; row < area->height; row++) {
            const int8_t *in = columns_of(area, row, channel);
            if (in != NULL) {
                for (uint32_t x = area->count; x != 0; x--) {
                    largest = vmaxq_s8(largest, vldrbq_z_s8(in, exists));
                    in += area->channels;
                }
            }
        }
        vstrbq_p_s8(output + channel, vminq_s8(largest, vdupq_n_s8(p->maximum)), exists);
    }
#elif STAPES_DSP
    const block_t low = (uint8_t)p->minimum * 0x01010101u, high = (uint8_t)p->maximum * 0x01010101u;
    for (; channel + BLOCK <= area->channels; channel += BLOCK) {
        block_t largest = goes_on ? stapes_load(output + channel) : low;
        for (uint32_t row = 0; row < area->height; row++) {
            const int8_t *in = columns_of(area, row, channel);
            if (in != NULL) {
                for (uint32_t x = area->count; x != 0; x--) {
                    largest = stapes_max8(largest, stapes_load(in));
                    in += area->channels;
                }
            }
        }
        largest = stapes_min8(largest, high);
        memcpy(output + channel, &largest, sizeof largest);
    }
#endif
    for (; channel < area->channels; channel++) {
        const int32_t largest = largest_of(area, channel, goes_on ? output[channel] : p->minimum);
        output[channel] = (int8_t)(largest > p->maximum ? p->maximum : largest);
    }
}

void stapes_max_pool_2d(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        const area_t area = {call->rows, call->layer->inputs->height, span.first * p->channels,
                             span.end - span.first, p->channels};
        maxima(&area, p, 0, output);
        output += p->channels;
    }
}

void stapes_max_pool_rows(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        const area_t area = {call->rows, 1, span.first * p->channels, span.end - span.first, p->channels};
        maxima(&area, p, call->step != 0, output);
        output += p->channels;
    }
}

/* The sum of one channel. */
static int32_t sum_of(const area_t *area, uint32_t channel) {
    int32_t sum = 0;
    for (uint32_t row = 0; row < area->height; row++) {
        const int8_t *in = columns_of(area, row, channel);
        if (in != NULL) {
            for (uint32_t x = area->count; x != 0; x--) {
                sum += *in;
                in += area->channels;
            }
        }
    }
    return sum;
}

/* Adds the sums of all channels to int16 sums, which can take them. */
STAPES_INLINE void add_sums(const area_t *area, int16_t *sums) {
    uint32_t channel = 0;
#if STAPES_MVE
    for (; channel < area->channels; channel += 8) {
        const mve_pred16_t exists = vctp16q(area->channels - channel);
        int16x8_t sum = vldrhq_z_s16(sums + channel, exists);
        for (uint32_t row = 0; row < area->height; row++) {
            const int8_t *in = columns_of(area, row, channel);
            if (in != NULL) {
                for (uint32_t x = area->count; x != 0; x--) {
                    sum = vaddq_s16(sum, vldrbq_z_s16(in, exists));
                    in += area->channels;
                }
            }
        }
        vstrhq_p_s16(sums + channel, sum, exists);
    }
#elif STAPES_DSP
    for (; channel + BLOCK <= area->channels; channel += BLOCK) {
        uint32_t first = stapes_load_halves(sums + channel), second = stapes_load_halves(sums + channel + 2);
        uint32_t even = stapes_low_halves(first, second), odd = stapes_high_halves(first, second);
        for (uint32_t row = 0; row < area->height; row++) {
            const int8_t *in = columns_of(area, row, channel);
            if (in != NULL) {
                for (uint32_t x = area->count; x != 0; x--) {
                    const uint32_t word = stapes_load(in);
                    __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(word));
                    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(word));
                    in += area->channels;
                }
            }
        }
        stapes_store(sums + channel, stapes_low_halves(even, odd));
        stapes_store(sums + channel + 2, stapes_high_halves(even, odd));
    }
#endif
    for (; channel < area->channels; channel++) {
        sums[channel] = (int16_t)(sums[channel] + sum_of(area, channel));
    }
}

/* Means of int16 sums of `count` elements. */
static void means(const int16_t *sums, const stapes_pool_2d_t *p, int32_t count, int8_t *output) {
    const int32_t minimum = p->minimum, maximum = p->maximum;
    for (uint32_t channel = 0; channel < p->channels; channel++) {
        output[channel] = (int8_t)stapes_clamp(rounded_mean(sums[channel], count), minimum, maximum);
    }
}

void stapes_average_pool_2d(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    int16_t *sums = call->scratch; /* of one column */
    int8_t *output = call->output;
    int32_t rows = 0;
    for (uint32_t row = 0; row < call->layer->inputs->height; row++) {
        rows += call->rows[row] != NULL;
    }
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        const area_t area = {call->rows, call->layer->inputs->height, span.first * p->channels,
                             span.end - span.first, p->channels};
        const int32_t count = rows * (int32_t)area.count;
        if (sums != NULL) {
            memset(sums, 0, p->channels * sizeof *sums);
            add_sums(&area, sums);
            means(sums, p, count, output);
        } else {
            for (uint32_t channel = 0; channel < p->channels; channel++) {
                const int32_t mean = rounded_mean(sum_of(&area, channel), count);
                output[channel] = (int8_t)stapes_clamp(mean, p->minimum, p->maximum);
            }
        }
        output += p->channels;
    }
}

/* Up to STAPES_NARROW_POOL elements a window the sums are int16, else int32. */
void stapes_average_pool_rows(const stapes_call_t *call) {
    const stapes_pool_2d_t *p = call->layer->parameters;
    const uint32_t steps = call->layer->steps;
    const int is_narrow = steps <= STAPES_NARROW_POOL && steps * p->kernel_width <= STAPES_NARROW_POOL;
    int32_t *wide = call->state;
    int16_t *narrow = call->state;
    int8_t *output = call->output;
    if (call->step == 0) {
        memset(call->state, 0,
               (size_t)p->columns * p->channels * (is_narrow ? sizeof *narrow : sizeof *wide));
    }
    for (uint32_t column = 0; column < p->columns; column++) {
        const span_t span = window(p, column);
        const area_t area = {call->rows, 1, span.first * p->channels, span.end - span.first, p->channels};
        const int is_last = call->step + 1u == steps;
        const int32_t count = (int32_t)(steps * area.count);
        if (is_narrow) {
            add_sums(&area, narrow);
            if (is_last) {
                means(narrow, p, count, output);
            }
            narrow += p->channels;
        } else {
            for (uint32_t channel = 0; channel < p->channels; channel++) {
                wide[channel] += sum_of(&area, channel);
                if (is_last) {
                    const int32_t mean = rounded_mean(wide[channel], count);
                    output[channel] = (int8_t)stapes_clamp(mean, p->minimum, p->maximum);
                }
            }
            wide += p->channels;
        }
        output += p->channels;
    }
}
