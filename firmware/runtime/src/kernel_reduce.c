/* MEAN, SUM and REDUCE_MAX. */
#include "requantize.h"

void stapes_reduce_sum(const stapes_call_t *call) {
    const stapes_reduce_sum_t *p = call->layer->parameters;
    const int accumulates = call->layer->accumulates;
    const int is_last = !accumulates || call->step + 1u == call->layer->steps;
    int32_t *sum = call->state;
    int8_t *output = call->output;
    for (uint32_t outer = 0; outer < p->outer; outer++) {
        const int8_t *start = call->rows[0] + outer * p->added * p->inner;
        for (uint32_t inner = 0; inner < p->inner; inner++) {
            int32_t total = !accumulates || call->step == 0 ? p->bias : *sum;
            const int8_t *in = start + inner;
            for (uint32_t i = 0; i < p->added; i++) {
                total += *in;
                in += p->inner;
            }
            if (accumulates) {
                *sum++ = total;
            }
            if (is_last) {
                const int32_t value = stapes_multiply(total, p->multiplier, p->shift) + p->zero_point;
                *output++ = (int8_t)stapes_clamp(value, -128, 127);
            }
        }
    }
}

void stapes_reduce_max(const stapes_call_t *call) {
    const stapes_reduce_max_t *p = call->layer->parameters;
    const int goes_on = call->layer->accumulates && call->step != 0;
    int8_t *output = call->output;
    for (uint32_t outer = 0; outer < p->outer; outer++) {
        const int8_t *start = call->rows[0] + outer * p->added * p->inner;
        for (uint32_t inner = 0; inner < p->inner; inner++) {
            int8_t largest = goes_on ? *output : -128;
            const int8_t *in = start + inner;
            for (uint32_t i = 0; i < p->added; i++) {
                largest = *in > largest ? *in : largest;
                in += p->inner;
            }
            *output++ = largest;
        }
    }
}
