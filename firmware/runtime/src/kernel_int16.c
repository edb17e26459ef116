/* Operators on activations of 16 bits. */
#include "requantize.h"
#include "sigmoid.h"
#include "transpose.h"

/* Products of int16 and int8 whose sum has 32 bits, whatever they are. */
#define BLOCK 511u

/* The products of `count` inputs `step` bytes apart with as many weights. */
static int64_t dot(const int8_t *in, uint32_t step, const int8_t *weights, uint32_t count) {
    int64_t total = 0;
    while (count != 0u) {
        const uint32_t block = count < BLOCK ? count : BLOCK;
        int32_t sum = 0;
        for (uint32_t i = 0; i < block; i++) {
            sum += stapes_half(in) * *weights++;
            in += step;
        }
        total += sum;
        count -= block;
    }
    return total;
}

/* sum * multiplier * 2^shift, halves up; the low 32 bits, as in the reference. */
static int32_t multiply_wide(int64_t sum, int32_t multiplier, int32_t shift) {
    const int32_t right = 15 - shift;
    return (int32_t)((sum * multiplier + ((int64_t)1 << (right - 1))) >> right);
}

void stapes_conv_2d_int16(const stapes_call_t *call) {
    const stapes_conv_2d_int16_t *p = call->layer->parameters;
    const uint32_t run = p->segments * p->count;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const int8_t *weights = p->weights;
        const stapes_channel_int16_t *channel = p->channels;
        for (uint32_t group = 0; group < p->groups; group++) {
            const uint32_t at = column * p->column_step + group * p->group_step;
            for (uint32_t i = 0; i < p->group_channels; i++) {
                int64_t sum = channel->bias;
                for (uint32_t y = 0; y < p->kernel_height; y++) {
                    const int8_t *in = call->rows[y] + at;
                    for (uint32_t x = 0; x < run; x += p->count) {
                        sum += dot(in, p->input_step, weights + x, p->count);
                        in += p->segment_step;
                    }
                    weights += run;
                }
                const int32_t value = p->is_narrow
                                          ? stapes_multiply((int32_t)sum, channel->multiplier, channel->shift)
                                          : multiply_wide(sum, channel->multiplier, channel->shift);
                stapes_set_half(output, stapes_clamp(value, p->minimum, p->maximum));
                output += 2;
                channel++;
            }
        }
    }
}

void stapes_transpose_conv_int16(const stapes_call_t *call) {
    const stapes_transpose_conv_int16_t *p = call->layer->parameters;
    const uint32_t tap = p->depth, line = p->kernel_width * tap, kernel = p->kernel_height * line;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        for (uint32_t i = 0; i < p->output_channels; i++) {
            const stapes_channel_int16_t *channel = &p->channels[i];
            const int8_t *weights = p->weights + i * kernel;
            int64_t sum = channel->bias;
            for (uint32_t y = 0; y < p->kernel_height; y++) {
                const uint32_t row = stapes_reaching(call->step + p->pad_top, y, p->stride_height);
                if (row >= p->input_rows) {
                    continue;
                }
                for (uint32_t x = 0; x < p->kernel_width; x++) {
                    const uint32_t at = stapes_reaching(column + p->pad_left, x, p->stride_width);
                    if (at >= p->input_columns) {
                        continue;
                    }
                    sum += dot(call->rows[row] + 2u * at * tap, 2, weights + y * line + x * tap, tap);
                }
            }
            const int32_t value = multiply_wide(sum, channel->multiplier, channel->shift);
            stapes_set_half(output, stapes_clamp(value, p->minimum, p->maximum));
            output += 2;
        }
    }
}

void stapes_rescale(const stapes_call_t *call) {
    const stapes_rescale_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    int8_t *output = call->output;
    for (uint32_t i = 0; i < p->count; i++) {
        const int32_t x = (p->input_bytes == 2u ? stapes_half(in) : *in) + p->offset;
        const int32_t scaled = x >= 0 ? stapes_multiply(x, p->multiplier, p->shift)
                                      : stapes_multiply(x, p->negative_multiplier, p->negative_shift);
        const int32_t value = stapes_clamp(scaled + p->zero_point, p->minimum, p->maximum);
        if (p->output_bytes == 2u) {
            stapes_set_half(output, value);
        } else {
            *output = (int8_t)value;
        }
        in += p->input_bytes;
        output += p->output_bytes;
    }
}

void stapes_sigmoid_int16(const stapes_call_t *call) {
    const stapes_sigmoid_int16_t *p = call->layer->parameters;
    const int32_t half = (int32_t)(((uint32_t)1 << p->shift) >> 1);
    for (uint32_t i = 0; i < p->count; i++) {
        const int32_t thrice = (stapes_half(call->rows[0] + 2u * i) * p->multiplier + half) >> p->shift;
        stapes_set_half(call->output + 2u * i,
                        p->is_tanh ? stapes_interpolated_tanh(thrice) : stapes_interpolated_sigmoid(thrice));
    }
}

/* Between the entries of a table over all int16. */
static int32_t look_up(int32_t value, const int16_t *table) {
    const int16_t *entry = table + 256 + (value >> 7);
    const int16_t slope = (int16_t)(entry[1] - entry[0]);
    return entry[0] + ((slope * (value & 127) + 64) >> 7);
}

void stapes_softmax_int16(const stapes_call_t *call) {
    const stapes_softmax_int16_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        int32_t largest = INT16_MIN;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t x = stapes_half(in + 2u * i);
            largest = x > largest ? x : largest;
        }
        int32_t total = 0; /* Q15 */
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t scaled =
                stapes_multiply(stapes_half(in + 2u * i) - largest, p->multiplier, p->shift);
            const int32_t term =
                look_up(scaled < -INT16_MAX - 32768 ? INT16_MIN : scaled + INT16_MAX, p->exponentials);
            stapes_set_half(output + 2u * i, term);
            total += term;
        }
        int32_t bits = 0;
        while (total >> bits != 0) {
            bits++;
        }
        const int32_t shifted = (int32_t)((((int64_t)total << (31 - bits)) + (1 << 13)) >> 14);
        const int32_t place = stapes_clamp(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX);
        const int32_t reciprocal = look_up(place, p->reciprocals);
        const int32_t right = bits - 1;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int64_t product = (int64_t)stapes_half(output) * reciprocal;
            const int64_t value = (product + ((int64_t)1 << (right - 1))) >> right;
            stapes_set_half(output, stapes_clamp((int32_t)value, 0, INT16_MAX));
            output += 2;
        }
        in += 2u * p->channels;
    }
}

/* A pool's window: sum and count, or maximum, of what exists of it. */
STAPES_INLINE void pool(const stapes_call_t *call, const int is_average) {
    const stapes_average_pool_2d_int16_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            int32_t sum = 0, count = 0, largest = INT16_MIN;
            for (uint32_t y = 0; y < p->kernel_height; y++) {
                for (uint32_t x = 0; call->rows[y] != NULL && x < p->kernel_width; x++) {
                    const uint32_t at = column * p->stride_width + x - p->pad_left;
                    if (at < p->input_columns) {
                        const int32_t value = stapes_half(call->rows[y] + 2u * (at * p->channels + channel));
                        sum += value;
                        count++;
                        largest = value > largest ? value : largest;
                    }
                }
            }
            const int32_t mean = count == 0 ? 0 : (sum + (sum > 0 ? count / 2 : -(count / 2))) / count;
            stapes_set_half(output, stapes_clamp(is_average ? mean : largest, p->minimum, p->maximum));
            output += 2;
        }
    }
}

void stapes_average_pool_2d_int16(const stapes_call_t *call) {
    pool(call, 1);
}

void stapes_max_pool_2d_int16(const stapes_call_t *call) {
    pool(call, 0);
}
