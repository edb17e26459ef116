/* DEPTHWISE_CONV_2D of one output column with kernels one column wide, with the DSP instructions of
 * Cortex-M4, M7 and M33. Everywhere else stapes_depthwise_conv_2d takes its place. */
#include "requantize.h"

#if STAPES_DSP && !STAPES_MVE

void stapes_depthwise_column(const stapes_call_t *call) {
    const stapes_depthwise_conv_2d_t *p = call->layer->parameters;
    const stapes_channel_t *channels = p->requantize.channels;
    const int8_t *shifts = p->requantize.shifts;
    const uint32_t rounding = (uint32_t)(int32_t)p->requantize.rounding;
    const int8_t *const *const end = call->rows + p->kernel_height;
    const int8_t *w = p->weights;
    for (uint32_t channel = 0; channel < p->channels; channel += 4u) {
        int32_t sums[4] = {channels[0].bias, channels[1].bias, channels[2].bias, channels[3].bias};
        const int8_t *const *row = call->rows;
        for (; row + 1 < end; row += 2) {
            const uint32_t first = stapes_load(row[0] + channel), second = stapes_load(row[1] + channel);
            const uint32_t even = stapes_sxtb16(first), odd = stapes_sxtb16_8(first);
            const uint32_t even2 = stapes_sxtb16(second), odd2 = stapes_sxtb16_8(second);
            const uint32_t ab = stapes_load(w), cd = stapes_load(w + 4); /* STAPES_ROWS */
            sums[0] = stapes_smlad(stapes_low_halves(even, even2), stapes_sxtb16(ab), sums[0]);
            sums[1] = stapes_smlad(stapes_low_halves(odd, odd2), stapes_sxtb16_8(ab), sums[1]);
            sums[2] = stapes_smlad(stapes_high_halves(even, even2), stapes_sxtb16(cd), sums[2]);
            sums[3] = stapes_smlad(stapes_high_halves(odd, odd2), stapes_sxtb16_8(cd), sums[3]);
            w += 8;
        }
        if (row != end) {
            const uint32_t four = stapes_load(*row + channel), weights = stapes_load(w);
            const uint32_t even = stapes_sxtb16(four), odd = stapes_sxtb16_8(four);
            const uint32_t even_weights = stapes_sxtb16(weights), odd_weights = stapes_sxtb16_8(weights);
            sums[0] = stapes_smlabb(even, even_weights, sums[0]);
            sums[1] = stapes_smlabb(odd, odd_weights, sums[1]);
            sums[2] = stapes_smlatt(even, even_weights, sums[2]);
            sums[3] = stapes_smlatt(odd, odd_weights, sums[3]);
            w += 4;
        }
        for (uint32_t i = 0; i < 4u; i++) {
            const int32_t shift = *shifts++;
            const int32_t offset = (int32_t)(rounding << shift);
            call->output[channel + i] =
                (int8_t)stapes_requantize_short(2 * sums[i], channels->multiplier, offset, shift);
            channels++;
        }
    }
    stapes_activate(&p->requantize, call->output, p->channels);
}

#else

typedef int stapes_no_depthwise_column_t; /* a file is not empty in C99 */

#endif
