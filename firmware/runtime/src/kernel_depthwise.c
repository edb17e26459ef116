/* DEPTHWISE_CONV_2D: four channels at a time, then the channels that are left one by one. */
#include "requantize.h"

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

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    for (uint32_t channel = 0; channel < 4u * p->quads; channel += 4) {
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
}

#elif STAPES_DSP

/* Constants of four channels in the order in which the loop below takes them. */
typedef struct {
    int32_t biases[4];
    struct {
        int32_t multiplier, offset, shift;
    } channels[4];
} quad_t;

/* Four int8 as two words of two int16, in the order 0 2 1 3. */
#define UNPACK(in, even, odd) "sxtb16 " even ", " in "\n\tsxtb16 " odd ", " in ", ror #8\n\t"

/* Four channels of all columns, row by row within each column. */
STAPES_INLINE void gather(const int8_t *const *rows, uint32_t channel, uint32_t end, uint32_t step,
                          const uint32_t height, int16_t *x) {
    uint32_t even, odd;
    for (; channel < end; channel += step) {
        for (uint32_t row = 0; row < height; row++) {
            __asm__ volatile("ldr %[odd], [%[in], %[at]]\n\t" UNPACK(
                                 "%[odd]", "%[even]", "%[odd]") "strd %[even], %[odd], [%[x]], #8\n\t"
                             : [even] "=&r"(even), [odd] "=&r"(odd), [x] "+r"(x)
                             : [in] "r"(rows[row]), [at] "r"(channel)
                             : "memory");
        }
    }
}

/* Weights, doubled, which saves the shift before the multiplier. */
static void widen(const int8_t *w, uint32_t count, int16_t *wide) {
    uint32_t even, odd;
    __asm__ volatile(
        "1:\n\t"
        "ldr %[odd], [%[w]], #4\n\t" UNPACK("%[odd]", "%[even]",
                                            "%[odd]") "sadd16 %[even], %[even], %[even]\n\t"
                                                      "sadd16 %[odd], %[odd], %[odd]\n\t"
                                                      "strd %[even], %[odd], [%[wide]], #8\n\t"
                                                      "subs %[count], #1\n\t"
                                                      "bne 1b\n"
        : [even] "=&r"(even), [odd] "=&r"(odd), [w] "+r"(w), [count] "+r"(count), [wide] "+r"(wide)
        :
        : "cc", "memory");
}

/* One tap of four channels. */
#define MULTIPLY(x02, x13)                                                                                   \
    "ldrd %[u], %[v], [%[w]], #8\n\t"                                                                        \
    "smlabb r4, " x02 ", %[u], r4\n\t"                                                                       \
    "smlatt r6, " x02 ", %[u], r6\n\t"                                                                       \
    "smlabb r5, " x13 ", %[v], r5\n\t"                                                                       \
    "smlatt r7, " x13 ", %[v], r7\n\t"
#define ONE_TAP  "ldmia %[x]!, {r8, r9}\n\t" MULTIPLY("r8", "r9")
#define TWO_TAPS "ldmia %[x]!, {r8, r9, r10, r11}\n\t" MULTIPLY("r8", "r9") MULTIPLY("r10", "r11")
#define REQUANTIZE(sum)                                                                                      \
    "ldmia %[k]!, {r8, r9, r10}\n\t"                                                                         \
    "smmulr r11, " sum ", r8\n\t"                                                                            \
    "add r11, r11, r11, asr #31\n\t"                                                                         \
    "add r11, r11, r9\n\t"                                                                                   \
    "asr r11, r11, r10\n\t"                                                                                  \
    "ssat r11, #8, r11\n\t"                                                                                  \
    "strb r11, [%[n]], #1\n\t"

/* All columns of four channels. */
static void multiply(const quad_t *quad, const int16_t *x0, uint32_t x_step, const int16_t *w0, uint32_t taps,
                     int8_t *output, uint32_t channels, uint32_t columns) {
    const uint32_t output_step = channels - 4;
    uint32_t k, x, w, n, u, v;
    __asm__ volatile("1:\n\t"
                     "ldr %[k], %[quad]\n\t"
                     "ldmia %[k]!, {r4, r5, r6, r7}\n\t"
                     "ldr %[x], %[x0]\n\t"
                     "ldr %[w], %[x_step]\n\t"
                     "add %[w], %[x]\n\t"
                     "str %[w], %[x0]\n\t"
                     "ldr %[w], %[w0]\n\t"
                     "ldr %[n], %[taps]\n\t"
                     "subs %[n], #3\n\t"
                     "blo 3f\n"
                     "2:\n\t" ONE_TAP TWO_TAPS "subs %[n], #3\n\t"
                     "bhs 2b\n"
                     "3:\n\t"
                     "adds %[n], #3\n\t"
                     "beq 5f\n"
                     "4:\n\t" ONE_TAP "subs %[n], #1\n\t"
                     "bne 4b\n"
                     "5:\n\t"
                     "ldr %[n], %[output]\n\t" REQUANTIZE("r4") REQUANTIZE("r5") REQUANTIZE("r6")
                         REQUANTIZE("r7") "ldr %[w], %[output_step]\n\t"
                                          "add %[n], %[w]\n\t"
                                          "str %[n], %[output]\n\t"
                                          "ldr %[n], %[columns]\n\t"
                                          "subs %[n], #1\n\t"
                                          "str %[n], %[columns]\n\t"
                                          "bne 1b\n"
                     : [k] "=&r"(k), [x] "=&r"(x), [w] "=&r"(w), [n] "=&r"(n), [u] "=&r"(u), [v] "=&r"(v),
                       [x0] "+m"(x0), [output] "+m"(output), [columns] "+m"(columns)
                     : [quad] "m"(quad), [x_step] "m"(x_step), [w0] "m"(w0), [taps] "m"(taps),
                       [output_step] "m"(output_step)
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
}

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t taps = (uint32_t)p->kernel_height * p->kernel_width;
    const uint32_t bytes = (p->columns - 1u) * p->column_step + (uint32_t)p->kernel_width * p->tap_step;
    const uint32_t x_step = p->column_step / p->tap_step * p->kernel_height * 4u * (uint32_t)sizeof(int16_t);
    int16_t *wide = call->scratch;
    int16_t *x = wide + 4u * taps;
    for (uint32_t channel = 0; channel < 4u * p->quads; channel += 4) {
        quad_t quad;
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t shift = -q->shifts[channel + i];
            quad.biases[i] = 2 * q->channels[channel + i].bias;
            quad.channels[i].multiplier = q->channels[channel + i].multiplier;
            quad.channels[i].offset = (int32_t)((uint32_t)(int32_t)q->rounding << (shift - 1));
            quad.channels[i].shift = shift;
        }
        widen(p->weights + channel * taps, taps, wide);
        switch (p->kernel_height) {
        case 3: gather(call->rows, channel, channel + bytes, p->tap_step, 3, x); break;
        case 5: gather(call->rows, channel, channel + bytes, p->tap_step, 5, x); break;
        default: gather(call->rows, channel, channel + bytes, p->tap_step, p->kernel_height, x); break;
        }
        multiply(&quad, x, x_step, wide, taps, call->output + channel, p->channels, p->columns);
    }
}

#else

/* The sums of four channels of one output column. */
static inline const int8_t *quad(const stapes_depthwise_conv_2d_t *p, const int8_t *const *rows, uint32_t at,
                                 const int8_t *w, int32_t *sums) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (uint32_t tap = 0; tap < p->kernel_width; tap++) {
        for (uint32_t row = 0; row < p->kernel_height; row++) {
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

static void quads(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p) {
    const stapes_requantize_t *q = &p->requantize;
    const int8_t *w = p->weights;
    for (uint32_t channel = 0; channel < 4u * p->quads; channel += 4) {
        const stapes_channel_t *constants = q->channels + channel;
        int32_t offsets[4], shifts[4];
        for (uint32_t i = 0; i < 4; i++) {
            shifts[i] = -q->shifts[channel + i];
            offsets[i] = q->rounding * (int32_t)((uint32_t)1 << (shifts[i] - 1));
        }
        const int8_t *next = w;
        int8_t *output = call->output + channel;
        for (uint32_t column = 0; column < p->columns; column++) {
            int32_t sums[4] = {constants[0].bias, constants[1].bias, constants[2].bias, constants[3].bias};
            next = quad(p, call->rows, column * p->column_step + channel, w, sums);
            for (uint32_t i = 0; i < 4; i++) {
                output[i] = (int8_t)stapes_requantize_short(2 * sums[i], constants[i].multiplier, offsets[i],
                                                            shifts[i]);
            }
            output += p->channels;
        }
        w = next;
    }
}

#endif

void stapes_depthwise_conv_2d(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    const uint32_t taps = (uint32_t)p->kernel_height * p->kernel_width;
    quads(call, p);
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
    stapes_activate(q, call->output, p->columns * p->channels);
}
