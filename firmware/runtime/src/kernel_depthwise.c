/* DEPTHWISE_CONV_2D: four channels at a time, then the channels that are left one by one. */
#include <stddef.h>

#include "int4.h"

/* The sums of four channels of one output column. */
static const int8_t *quad(const stapes_depthwise_conv_2d_t *p, const int8_t *const *rows, uint32_t at,
                          const int8_t *w, int32_t *sums) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (uint32_t tap = 0; tap < p->kernel_width; tap++) {
        uint32_t row = 0;
#if STAPES_DSP && !STAPES_MVE
        for (; row + 1u < p->kernel_height; row += 2) {
            const uint32_t first = stapes_load(rows[row] + at), second = stapes_load(rows[row + 1u] + at);
            const uint32_t even = stapes_sxtb16(first), odd = stapes_sxtb16_8(first);
            const uint32_t even2 = stapes_sxtb16(second), odd2 = stapes_sxtb16_8(second);
            const uint32_t ab = stapes_load(w), cd = stapes_load(w + 4);
            s0 = stapes_smlad(stapes_low_halves(even, even2), stapes_sxtb16(ab), s0);
            s1 = stapes_smlad(stapes_low_halves(odd, odd2), stapes_sxtb16_8(ab), s1);
            s2 = stapes_smlad(stapes_high_halves(even, even2), stapes_sxtb16(cd), s2);
            s3 = stapes_smlad(stapes_high_halves(odd, odd2), stapes_sxtb16_8(cd), s3);
            w += 8;
        }
#endif
        for (; row < p->kernel_height; row++) {
            const int8_t *in = rows[row] + at;
            s0 += in[0] * w[0];
            s1 += in[1] * w[1];
            s2 += in[2] * w[2];
            s3 += in[3] * w[3];
            w += 4;
        }
        at += p->tap_step;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
    return w;
}

/* Whether one of four channels is long. */
static inline int is_long(const stapes_requantize_t *q, uint32_t channel) {
    const int8_t *shifts = q->shifts + channel;
    return !q->is_short && (shifts[0] | shifts[1] | shifts[2] | shifts[3]) < 0;
}

/* All columns of four channels of which one may be long. */
static void plain_quad(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p, uint32_t channel) {
    const stapes_channel_t *constants = p->requantize.channels + channel;
    const int8_t *w = p->weights + channel * p->kernel_height * p->kernel_width;
    int8_t *output = call->output + channel;
    for (uint32_t column = 0; column < p->columns; column++) {
        int32_t sums[4] = {constants[0].bias, constants[1].bias, constants[2].bias, constants[3].bias};
        (void)quad(p, call->rows, column * p->column_step + channel, w, sums);
        stapes_requantize_columns(&p->requantize, channel, 4, sums, 1, output, 1);
        output += p->channels;
    }
}

#if STAPES_MVE

/* Four channels of `columns` output columns. */
STAPES_INLINE void tile(const stapes_depthwise_conv_2d_t *p, const int8_t *const *rows, uint32_t channel,
                        uint32_t column, const uint32_t columns, int8_t *output) {
    const stapes_requantize_t *q = &p->requantize;
    const int8_t *w = p->weights + channel * p->kernel_height * p->kernel_width;
    const uint32_t step = p->column_step;
    const uint32_t tap_step = p->tap_step;
    const uint32_t after = step * column + channel + p->kernel_width * tap_step;
    const int8_t *const *const end = rows + p->kernel_height;
    const uint32x4_t words = vidupq_n_u32(0, 2); /* from one channel's constants to the next */
    int32x4_t s0 = vldrwq_gather_shifted_offset_s32(&q->channels[channel].bias, words);
    int32x4_t s1 = s0, s2 = s0, s3 = s0;
    for (uint32_t at = column * step + channel; at != after; at += tap_step) {
        const int8_t *const *row = rows;
        do {
            const int8_t *in = *row++ + at;
            const int32x4_t weights = vldrbq_s32(w);
            s0 = vaddq_s32(s0, vmulq_s32(vldrbq_s32(in), weights));
            if (columns > 1) {
                in += step;
                s1 = vaddq_s32(s1, vmulq_s32(vldrbq_s32(in), weights));
            }
            if (columns > 2) {
                in += step;
                s2 = vaddq_s32(s2, vmulq_s32(vldrbq_s32(in), weights));
            }
            if (columns > 3) {
                in += step;
                s3 = vaddq_s32(s3, vmulq_s32(vldrbq_s32(in), weights));
            }
            w += 4;
        } while (row != end);
    }
    __asm__ volatile("" : : : "memory"); /* The sums need the registers: no constants before this line. */
    const int32x4_t multipliers = vldrwq_gather_shifted_offset_s32(&q->channels[channel].multiplier, words);
    const int32x4_t shifts = vldrbq_s32(q->shifts + channel);
    const int32_t zero_point = q->zero_point;
    const uint32_t channels = p->channels;
    vstrbq_s32(output, stapes_requantize_four(s0, multipliers, shifts, zero_point));
    if (columns > 1) {
        vstrbq_s32(output + channels, stapes_requantize_four(s1, multipliers, shifts, zero_point));
    }
    if (columns > 2) {
        vstrbq_s32(output + 2 * channels, stapes_requantize_four(s2, multipliers, shifts, zero_point));
    }
    if (columns > 3) {
        vstrbq_s32(output + 3 * channels, stapes_requantize_four(s3, multipliers, shifts, zero_point));
    }
}

/* Four channels in tiles. */
static void tiled_quad(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p, uint32_t channel) {
    int8_t *output = call->output + channel;
    uint32_t column = 0;
    for (; column + 4u <= p->columns; column += 4) {
        tile(p, call->rows, channel, column, 4, output);
        output += 4u * p->channels;
    }
    if (column + 2u <= p->columns) {
        tile(p, call->rows, channel, column, 2, output);
        output += 2u * p->channels;
        column += 2;
    }
    if (column < p->columns) {
        tile(p, call->rows, channel, column, 1, output);
    }
}

#include "depthwise_mve.h"

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    const int is_small = is_window(p);
    window_t window;
    if (is_small) {
        window = window_of(p);
    }
    for (uint32_t channel = 0; channel < 4u * p->quads; channel += 4) {
        if (is_long(&p->requantize, channel)) {
            plain_quad(call, p, channel);
        } else if (is_small) {
            window_quad(call, p, &window, channel);
        } else {
            tiled_quad(call, p, channel);
        }
    }
}

#elif STAPES_DSP
#include "depthwise_dsp.h"
#else

/* What stays the same for all output columns of one channel. */
typedef struct {
    const int8_t *const *rows;
    uint32_t height, width, tap_step, column_step, output_step;
    const int8_t *w; /* in steps of four, a column's rows one after the other */
    int32_t bias, multiplier, offset, shift;
} channel_t;

/* One, two or three output columns whose windows begin `at` bytes into the rows. */
STAPES_INLINE void tile(const channel_t c, uint32_t at, const uint32_t columns, int8_t *output) {
    int32_t s0 = c.bias, s1 = s0, s2 = s0;
    const int8_t *w = c.w;
    const uint32_t column = 4u * c.height, step = c.tap_step;
    for (const int8_t *const *row = c.rows; row != c.rows + c.height; row++) {
        const int8_t *in = *row + at;
        if (c.width == 3u && step == c.column_step) {
            /* One column's taps are the next one's: every input is loaded once. */
            const int32_t w0 = w[0], w1 = w[column], w2 = w[2u * column];
            int32_t x = *in;
            s0 += w0 * x;
            in += step;
            x = *in;
            s0 += w1 * x;
            if (columns > 1) {
                s1 += w0 * x;
            }
            in += step;
            x = *in;
            s0 += w2 * x;
            if (columns > 1) {
                s1 += w1 * x;
                if (columns > 2) {
                    s2 += w0 * x;
                }
                in += step;
                x = *in;
                s1 += w2 * x;
                if (columns > 2) {
                    s2 += w1 * x;
                    in += step;
                    s2 += w2 * *in;
                }
            }
        } else {
            const int8_t *next = w;
            const int8_t *const end = w + c.width * column;
            do {
                const int32_t weight = *next;
                s0 += weight * *in;
                if (columns > 1) {
                    s1 += weight * in[c.column_step];
                }
                if (columns > 2) {
                    s2 += weight * in[2u * c.column_step];
                }
                next += column;
                in += step;
            } while (next != end);
        }
        w += 4;
    }
    output[0] = (int8_t)stapes_requantize_short(2 * s0, c.multiplier, c.offset, c.shift);
    if (columns > 1) {
        output[c.output_step] = (int8_t)stapes_requantize_short(2 * s1, c.multiplier, c.offset, c.shift);
    }
    if (columns > 2) {
        output[2u * c.output_step] = (int8_t)stapes_requantize_short(2 * s2, c.multiplier, c.offset, c.shift);
    }
}

/* All output columns of one channel. */
STAPES_INLINE void all_columns(const channel_t c, uint32_t at, uint32_t columns, int8_t *output) {
    for (; columns >= 3u; columns -= 3) {
        tile(c, at, 3, output);
        at += 3u * c.column_step;
        output += 3u * c.output_step;
    }
    if (columns == 2u) {
        tile(c, at, 2, output);
    } else if (columns == 1u) {
        tile(c, at, 1, output);
    }
}

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t taps = (uint32_t)p->kernel_height * p->kernel_width, end = 4u * p->quads;
    channel_t c = {call->rows,
                   p->kernel_height,
                   p->kernel_width,
                   p->tap_step,
                   p->column_step,
                   p->channels,
                   NULL,
                   0,
                   0,
                   0,
                   0};
    for (uint32_t channel = 0; channel < end; channel++) {
        if ((channel & 3u) == 0 && is_long(q, channel)) {
            plain_quad(call, p, channel);
            channel += 3;
            continue;
        }
        c.w = p->weights + (channel & ~3u) * taps + (channel & 3u);
        c.bias = q->channels[channel].bias;
        c.multiplier = q->channels[channel].multiplier;
        c.shift = q->shifts[channel];
        c.offset = (int32_t)((uint32_t)(int32_t)q->rounding << c.shift);
        if (c.height == 3u && c.width == 3u && c.tap_step == c.column_step) {
            channel_t three = c;
            three.height = three.width = 3;
            three.tap_step = c.column_step;
            all_columns(three, channel, p->columns, call->output + channel);
        } else if (c.height == 5u && c.width == 5u) {
            channel_t five = c;
            five.height = five.width = 5;
            all_columns(five, channel, p->columns, call->output + channel);
        } else {
            all_columns(c, channel, p->columns, call->output + channel);
        }
    }
}

#endif

void stapes_depthwise_conv_2d(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t taps = (uint32_t)p->kernel_height * p->kernel_width;
#if STAPES_DSP && !STAPES_MVE
    if (p->quads != 0u) { /* without them there is no scratch either */
        quads(call, p, p->kernel_height, p->kernel_width, 1);
    }
#else
    quads(call, p);
#endif
    const int8_t *w = p->weights + 4u * p->quads * taps;
    for (uint32_t channel = 4u * p->quads; channel < p->channels; channel++) {
        for (uint32_t column = 0; column < p->columns; column++) {
            const int8_t *next = w;
            int32_t sum = q->channels[channel].bias;
            for (uint32_t row = 0; row < p->kernel_height; row++) {
                const int8_t *in = call->rows[row] + column * p->column_step + channel / p->multiplier;
                for (uint32_t tap = 0; tap < p->kernel_width; tap++) {
                    sum += *in * *next++;
                    in += p->tap_step;
                }
            }
            stapes_requantize_columns(q, channel, 1, &sum, 1, call->output + column * p->channels + channel,
                                      1);
        }
        w += taps;
    }
    stapes_activate(q, call->output, (uint32_t)p->columns * p->channels);
}

#if STAPES_DSP && !STAPES_MVE

void stapes_depthwise_3x3(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    quads(call, p, 3, 3, 0);
    stapes_activate(&p->requantize, call->output, (uint32_t)p->columns * p->channels);
}

void stapes_depthwise_5x5(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    quads(call, p, 5, 5, 0);
    stapes_activate(&p->requantize, call->output, (uint32_t)p->columns * p->channels);
}

#endif

/* All weights, which are few, unpacked for a row; then as with eight bits. */
void stapes_depthwise_int4(const stapes_call_t *call) {
    stapes_depthwise_conv_2d_t whole = *(const stapes_depthwise_int4_t *)call->layer->parameters;
    const uint32_t weights = (uint32_t)whole.channels * whole.kernel_height * whole.kernel_width;
    int8_t *unpacked = call->scratch;
    stapes_layer_t layer = *call->layer;
    stapes_call_t inner = *call;
    (void)stapes_unpack(whole.weights, weights, unpacked);
#if STAPES_DSP && !STAPES_MVE
    /* As STAPES_ROWS writes them. */
    int8_t *column = unpacked;
    for (uint32_t columns = (uint32_t)whole.quads * whole.kernel_width; columns != 0; columns--) {
        for (uint32_t row = 0; row + 1u < whole.kernel_height; row += 2) {
            int16_t c;
            memcpy(&c, column + 4u * row + 2u, sizeof c);
            memcpy(column + 4u * row + 2u, column + 4u * row + 4u, sizeof c);
            memcpy(column + 4u * row + 4u, &c, sizeof c);
        }
        column += 4u * whole.kernel_height;
    }
#endif
    whole.weights = unpacked;
    layer.parameters = &whole;
    inner.layer = &layer;
    inner.scratch = unpacked + STAPES_UNPACKED_BYTES(weights);
    stapes_depthwise_conv_2d(&inner);
}
