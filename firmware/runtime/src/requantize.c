#include "requantize.h"

void stapes_activate(const stapes_requantize_t *q, int8_t *row, uint32_t count) {
    if (q->minimum == -128 && q->maximum == 127) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        row[i] = (int8_t)stapes_clamp(row[i], q->minimum, q->maximum);
    }
}

int8_t stapes_requantize_long(const stapes_requantize_t *q, uint32_t channel, int32_t sum) {
    const int32_t value =
        stapes_multiply(sum, q->channels[channel].multiplier, q->shifts[channel]) + q->zero_point;
    return (int8_t)stapes_clamp(value, -128, 127);
}
