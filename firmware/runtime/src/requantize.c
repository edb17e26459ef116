#include "requantize.h"

void stapes_limit(int8_t *row, uint32_t count, int32_t minimum, int32_t maximum) {
    if (minimum == -128 && maximum == 127) {
        return;
    }
    uint32_t i = 0;
#if STAPES_DSP
    const uint32_t low = (uint8_t)minimum * 0x01010101u, high = (uint8_t)maximum * 0x01010101u;
    for (; i + 4u <= count; i += 4) {
        const uint32_t word = stapes_min8(stapes_max8(stapes_load(row + i), low), high);
        memcpy(row + i, &word, sizeof word);
    }
#endif
    for (; i < count; i++) {
        row[i] = (int8_t)stapes_clamp(row[i], minimum, maximum);
    }
}

void stapes_activate(const stapes_requantize_t *q, int8_t *row, uint32_t count) {
    stapes_limit(row, count, q->minimum, q->maximum);
}

void stapes_requantize_long(const stapes_requantize_t *q, uint32_t channel, uint32_t count,
                            const int32_t *sums, uint32_t columns, int8_t *output, uint32_t step) {
    const uint32_t rounding = (uint32_t)(int32_t)q->rounding;
    for (const uint32_t end = channel + count; channel != end; channel++) {
        const int32_t multiplier = q->channels[channel].multiplier;
        const int32_t shift = q->shifts[channel];
        for (uint32_t j = 0; j < columns; j++) {
            int32_t value;
            if (shift >= 0) {
                const int32_t offset = (int32_t)(rounding << shift);
                value = stapes_requantize_short(2 * *sums++, multiplier, offset, shift);
            } else {
                value = stapes_multiply(*sums++, multiplier, shift + STAPES_LONG) + q->zero_point;
            }
            output[j * step] = (int8_t)stapes_clamp(value, -128, 127);
        }
        output++;
    }
}
