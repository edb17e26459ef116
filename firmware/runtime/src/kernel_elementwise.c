/* Operators on single elements. */
#include "requantize.h"

void stapes_add(const stapes_call_t *call) {
    const stapes_add_t *p = call->layer->parameters;
    const int32_t scale = (int32_t)((uint32_t)1 << p->left_shift);
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        const int8_t *a = call->rows[0] + column * p->column_step1;
        const int8_t *b = call->rows[1] + column * p->column_step2;
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            const int32_t first = stapes_multiply((*a + p->offset1) * scale, p->multiplier1, p->shift1);
            const int32_t second = stapes_multiply((*b + p->offset2) * scale, p->multiplier2, p->shift2);
            const int32_t sum = stapes_multiply(first + second, p->multiplier, p->shift) + p->zero_point;
            *output++ = (int8_t)stapes_clamp(sum, p->minimum, p->maximum);
            a += p->channel_step1;
            b += p->channel_step2;
        }
    }
}

void stapes_lookup(const stapes_call_t *call) {
    const stapes_lookup_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    for (uint32_t i = 0; i < p->count; i++) {
        call->output[i] = p->table[in[i] + 128];
    }
}
