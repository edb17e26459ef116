/* Operators on single elements. */
#include "requantize.h"

typedef int32_t (*function_t)(const void *parameters, int32_t first, int32_t second);

/* One output row of a function of two operands. */
STAPES_INLINE void apply(const stapes_call_t *call, const stapes_operands_t *o, function_t function) {
    int8_t *output = call->output;
    for (uint32_t column = 0; column < o->columns; column++) {
        const int8_t *first = call->rows[0] + column * o->column_step1;
        const int8_t *second = call->rows[1] + column * o->column_step2;
        for (uint32_t channel = 0; channel < o->channels; channel++) {
            const int32_t value =
                function(call->layer->parameters, *first + o->offset1, *second + o->offset2);
            *output++ = (int8_t)stapes_clamp(value + o->zero_point, o->minimum, o->maximum);
            first += o->channel_step1;
            second += o->channel_step2;
        }
    }
}

static inline int32_t sum(const void *parameters, int32_t first, int32_t second) {
    const stapes_add_t *p = parameters;
    const int32_t scale = (int32_t)((uint32_t)1 << p->left_shift);
    first = stapes_multiply(first * scale, p->multiplier1, p->shift1);
    second = stapes_multiply(second * scale, p->multiplier2, p->shift2);
    /* Ties round up, so a difference is not a sum with a negative multiplier. */
    return stapes_multiply(p->subtracts ? first - second : first + second, p->multiplier, p->shift);
}

void stapes_add(const stapes_call_t *call) {
    apply(call, &((const stapes_add_t *)call->layer->parameters)->operands, sum);
}

static inline int32_t product(const void *parameters, int32_t first, int32_t second) {
    const stapes_mul_t *p = parameters;
    return stapes_multiply(first * second, p->multiplier, p->shift);
}

void stapes_mul(const stapes_call_t *call) {
    apply(call, &((const stapes_mul_t *)call->layer->parameters)->operands, product);
}

static inline int32_t larger(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first > second ? first : second;
}

void stapes_maximum(const stapes_call_t *call) {
    apply(call, &((const stapes_maximum_t *)call->layer->parameters)->operands, larger);
}

static inline int32_t smaller(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first < second ? first : second;
}

void stapes_minimum(const stapes_call_t *call) {
    apply(call, &((const stapes_minimum_t *)call->layer->parameters)->operands, smaller);
}

static inline int32_t bent(const void *parameters, int32_t first, int32_t second) {
    const stapes_prelu_t *p = parameters;
    return first >= 0 ? stapes_multiply(first, p->multiplier, p->shift)
                      : stapes_multiply(first * second, p->negative_multiplier, p->negative_shift);
}

void stapes_prelu(const stapes_call_t *call) {
    apply(call, &((const stapes_prelu_t *)call->layer->parameters)->operands, bent);
}

void stapes_lookup(const stapes_call_t *call) {
    const stapes_lookup_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    for (uint32_t i = 0; i < p->count; i++) {
        call->output[i] = p->table[in[i] + 128];
    }
}
