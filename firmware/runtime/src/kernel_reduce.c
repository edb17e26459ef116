/* MEAN, SUM and REDUCE_MAX. */
#include "requantize.h"

/* MEAN and SUM of elements of one or two bytes. */
STAPES_INLINE void reduce_sum(const stapes_call_t *call, const uint32_t bytes) {
    const stapes_reduce_sum_t *p = call->layer->parameters;
    const int accumulates = call->layer->accumulates;
    const int is_last = !accumulates || call->step + 1u == call->layer->steps;
    const uint32_t block = p->added * p->inner;
    int32_t *sum = call->state;
    int8_t *output = call->output;
    for (uint32_t i = 0; i < p->outer * p->middle; i++) {
        const int8_t *start =
            call->rows[0] + (i / p->middle * p->outer_added * p->middle + i % p->middle) * block * bytes;
        for (uint32_t inner = 0; inner < p->inner; inner++) {
            int32_t total = !accumulates || call->step == 0 ? p->bias : *sum;
            for (uint32_t j = 0; j < p->outer_added; j++) {
                const int8_t *in = start + (j * p->middle * block + inner) * bytes;
                for (uint32_t k = 0; k < p->added; k++) {
                    total += bytes == 2u ? stapes_half(in) : *in;
                    in += p->inner * bytes;
                }
            }
            if (accumulates) {
                *sum++ = total;
            }
            if (is_last) {
                const int32_t value = stapes_multiply(total, p->multiplier, p->shift) + p->zero_point;
                if (bytes == 2u) {
                    stapes_set_half(output, stapes_clamp(value, INT16_MIN, INT16_MAX));
                } else {
                    *output = (int8_t)stapes_clamp(value, -128, 127);
                }
                output += bytes;
            }
        }
    }
}

void stapes_reduce_sum(const stapes_call_t *call) {
    reduce_sum(call, 1);
}

void stapes_reduce_sum_int16(const stapes_call_t *call) {
    reduce_sum(call, 2);
}

void stapes_reduce_max(const stapes_call_t *call) {
    const stapes_reduce_max_t *p = call->layer->parameters;
    const int goes_on = call->layer->accumulates && call->step != 0;
    const uint32_t block = p->added * p->inner;
    int8_t *output = call->output;
    for (uint32_t i = 0; i < p->outer * p->middle; i++) {
        const int8_t *start =
            call->rows[0] + (i / p->middle * p->outer_added * p->middle + i % p->middle) * block;
        for (uint32_t inner = 0; inner < p->inner; inner++) {
            int8_t largest = goes_on ? *output : -128;
            for (uint32_t j = 0; j < p->outer_added; j++) {
                const int8_t *in = start + j * p->middle * block + inner;
                for (uint32_t k = 0; k < p->added; k++) {
                    largest = *in > largest ? *in : largest;
                    in += p->inner;
                }
            }
            *output++ = largest;
        }
    }
}
