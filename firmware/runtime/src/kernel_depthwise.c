/* DEPTHWISE_CONV_2D: four channels at a time, then the channels that are left one by one. */
#include "requantize.h"

/* The sums of four channels of one output column, in the order of the channels. */
static inline const int16_t *quad(const stapes_depthwise_conv_2d_t *p, const int8_t *const *rows,
                                  uint32_t first, const int16_t *w, int32_t *sums) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (uint32_t row = 0; row < p->kernel_height; row++) {
        const int8_t *in = rows[row] + first;
        for (uint32_t tap = 0; tap < p->kernel_width; tap++) {
            s0 += in[0] * w[0];
            s2 += in[2] * w[1];
            s1 += in[1] * w[2];
            s3 += in[3] * w[3];
            in += p->tap_step;
            w += 4;
        }
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    return w;
}

void stapes_depthwise_conv_2d(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    const int16_t *w = p->weights;
    uint32_t channel = 0;
    for (; channel < 4U * p->quads; channel += 4) {
        const int16_t *next = w;
        for (uint32_t column = 0; column < p->columns; column++) {
            int32_t sums[4];
            for (uint32_t i = 0; i < 4; i++) {
                sums[i] = q->channels[channel + i].bias;
            }
            next = quad(p, call->rows, column * p->column_step + channel, w, sums);
            int8_t *output = call->output + column * p->channels + channel;
            for (uint32_t i = 0; i < 4; i++) {
                stapes_requantize_channel(q, channel + i, &sums[i], 1, output + i, 1);
            }
        }
        w = next;
    }
    for (; channel < p->channels; channel++) {
        const int16_t *next = w;
        for (uint32_t column = 0; column < p->columns; column++) {
            int32_t sum = q->channels[channel].bias;
            next = w;
            for (uint32_t row = 0; row < p->kernel_height; row++) {
                const int8_t *in = call->rows[row] + column * p->column_step + channel / p->multiplier;
                for (uint32_t tap = 0; tap < p->kernel_width; tap++) {
                    sum += *in * *next++;
                    in += p->tap_step;
                }
            }
            stapes_requantize_channel(q, channel, &sum, 1, call->output + column * p->channels + channel, 1);
        }
        w = next;
    }
    stapes_activate(q, call->output, (uint32_t)p->columns * p->channels);
}
