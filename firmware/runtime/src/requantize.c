#include "requantize.h"

STAPES_COLD void stapes_activate(const stapes_requantize_t *q, int8_t *row, uint32_t count) {
    if (q->minimum == -128 && q->maximum == 127) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        row[i] = (int8_t)stapes_clamp(row[i], q->minimum, q->maximum);
    }
}

STAPES_COLD void stapes_requantize_long(const stapes_requantize_t *q, uint32_t channel, uint32_t count,
                                        const int32_t *sums, uint32_t columns, int8_t *output,
                                        uint32_t step) {
    for (; count != 0; count--) {
        for (uint32_t j = 0; j < columns; j++) {
            const int32_t value =
                stapes_multiply(*sums++, q->channels[channel].multiplier, q->shifts[channel]);
            output[j * step] = (int8_t)stapes_clamp(value + q->zero_point, -128, 127);
        }
        channel++;
        output++;
    }
}
