/* TRANSPOSE_CONV: every output gathers what the inputs scatter. */
#include "requantize.h"
#include "transpose.h"

/* What one input column adds to a sum. */
static int32_t dot(const int8_t *in, const int8_t *weights, uint32_t depth, int32_t offset) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < depth; i++) {
        sum += (in[i] + offset) * weights[i];
    }
    return sum;
}

void stapes_transpose_conv(const stapes_call_t *call) {
    const stapes_transpose_conv_t *p = call->layer->parameters;
    int8_t *output = call->output;
    const uint32_t tap = p->depth, line = p->kernel_width * tap, kernel = p->kernel_height * line;
    for (uint32_t column = 0; column < p->columns; column++) {
        for (uint32_t channel = 0; channel < p->output_channels; channel++) {
            const int8_t *weights = p->weights + channel * kernel;
            int32_t sum = p->channels[channel].bias;
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
                    sum += dot(call->rows[row] + at * tap, weights + y * line + x * tap, tap, p->offset);
                }
            }
            const int32_t value = stapes_multiply(sum, p->channels[channel].multiplier, p->shifts[channel]);
            *output++ = (int8_t)stapes_clamp(value + p->zero_point, p->minimum, p->maximum);
        }
    }
}
