/* Operators on single elements. */
#include "requantize.h"

typedef int32_t (*function_t)(const void *parameters, int32_t first, int32_t second);

/* One output row of a function of two operands of one or two bytes. */
STAPES_INLINE void apply(const stapes_call_t *call, const stapes_operands_t *o, function_t function,
                         const uint32_t bytes) {
    int8_t *output = call->output;
    for (uint32_t plane = 0; plane < o->planes; plane++) {
        const int8_t *columns1 = call->rows[0] + plane * o->plane_step1;
        const int8_t *columns2 = call->rows[1] + plane * o->plane_step2;
        for (uint32_t column = 0; column < o->columns; column++) {
            const int8_t *first = columns1 + column * o->column_step1;
            const int8_t *second = columns2 + column * o->column_step2;
            for (uint32_t channel = 0; channel < o->channels; channel++) {
                const int32_t x = bytes == 2u ? stapes_half(first) : *first;
                const int32_t y = bytes == 2u ? stapes_half(second) : *second;
                const int32_t value = function(call->layer->parameters, x + o->offset1, y + o->offset2);
                const int32_t bounded = stapes_clamp(value + o->zero_point, o->minimum, o->maximum);
                if (bytes == 2u) {
                    stapes_set_half(output, bounded);
                } else {
                    *output = (int8_t)bounded;
                }
                output += bytes;
                first += o->channel_step1;
                second += o->channel_step2;
            }
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

/* One operand of the short way: round(round((x + offset) * 2^20 * multiplier / 2^31) / 2^shift), halves away
 * from zero. */
typedef struct {
    int32_t offset; /* * 2^21 */
    int32_t multiplier, half, shift;
    int32_t is_shifted; /* all ones, or 0 without a shift */
} operand_t;

static inline operand_t operand(int32_t offset, int32_t multiplier, int32_t shift) {
    operand_t o = {offset * (1 << 21), multiplier, 0, -shift, 0};
    if (o.shift > 0) {
        o.half = (int32_t)(1u << (o.shift - 1));
        o.is_shifted = -1;
    }
    return o;
}

STAPES_INLINE int32_t scaled(const operand_t o, int32_t x) {
    const int32_t twice = x * (1 << 21) + o.offset;
    return (stapes_high_word_plus(twice, o.multiplier, o.half) + ((twice >> 31) & o.is_shifted)) >> o.shift;
}

/* Right shifts only, none of the sums leaves 32 bits, and the first operand is no single channel. */
static int is_short(const stapes_add_t *p) {
    return p->left_shift == 20 && p->shift1 <= 0 && p->shift2 <= 0 && p->shift < 0 && p->shift >= -22 &&
           p->operands.channel_step1 != 0 && p->operands.planes == 1;
}

/* A run of elements; a step of 0 repeats the second operand. */
STAPES_INLINE void add_run(const stapes_add_t *p, const int8_t *first, const int8_t *second, uint32_t step,
                           uint32_t count, int8_t *output) {
    const operand_t one = operand(p->operands.offset1, p->multiplier1, p->shift1);
    const operand_t two = operand(p->operands.offset2, p->multiplier2, p->shift2);
    const int32_t multiplier = p->multiplier, shift = -p->shift - 1;
    const int32_t offset = (2 * p->operands.zero_point + 1) * (int32_t)(1u << shift);
    const int32_t sign = p->subtracts ? -1 : 1;
    for (const int8_t *const end = first + count; first != end; first++) {
        const int32_t total = 2 * (scaled(one, *first) + sign * scaled(two, *second));
        const int32_t high = stapes_high_word_plus(total, multiplier, offset);
        *output++ = (int8_t)stapes_saturate_half((high + (total >> 31)) >> shift);
        second += step;
    }
}

/* The sum of two runs where an operand with the larger scale counts half: (x + offset) * 2^19 exactly. */
STAPES_INLINE void add_rows(const stapes_add_t *p, const int8_t *first, const int8_t *second, uint32_t count,
                            int8_t *output, const int first_is_exact, const int second_is_exact) {
    const operand_t one = operand(p->operands.offset1, p->multiplier1, p->shift1);
    const operand_t two = operand(p->operands.offset2, p->multiplier2, p->shift2);
    const int32_t multiplier = p->multiplier, shift = -p->shift - 1;
    const int32_t offset = (2 * p->operands.zero_point + 1) * (int32_t)(1u << shift);
    const int32_t one_offset = one.offset / 2, two_offset = two.offset / 2;
    for (const int8_t *const end = first + count; first != end;) {
        /* Twice each. */
        int32_t a = *first++, b = *second++;
        if (first_is_exact) {
            a = a * (1 << 20) + one_offset;
        } else {
            a = a * (1 << 21) + one.offset;
            a = (stapes_high_word_plus(a, one.multiplier, one.half) + (a >> 31)) >> one.shift;
        }
        if (second_is_exact) {
            b = b * (1 << 20) + two_offset;
        } else {
            b = b * (1 << 21) + two.offset;
            b = (stapes_high_word_plus(b, two.multiplier, two.half) + (b >> 31)) >> two.shift;
        }
        const int32_t total = (first_is_exact ? a : 2 * a) + (second_is_exact ? b : 2 * b);
        const int32_t high = stapes_high_word_plus(total, multiplier, offset);
        *output++ = (int8_t)stapes_saturate_half((high + (total >> 31)) >> shift);
    }
}

void stapes_add(const stapes_call_t *call) {
    const stapes_add_t *p = call->layer->parameters;
    const stapes_operands_t *o = &p->operands;
    const int8_t *first = call->rows[0], *second = call->rows[1];
    const uint32_t row = o->columns * o->channels;
    const int first_is_exact = p->shift1 == 0 && p->multiplier1 == 1 << 30;
    const int second_is_exact = p->shift2 == 0 && p->multiplier2 == 1 << 30;
    if (!is_short(p)) {
        apply(call, o, sum, 1);
        return;
    }
    const int is_one_run =
        o->column_step1 == o->channels && o->column_step2 == o->channels && o->channel_step2 != 0;
    if (is_one_run && !p->subtracts && first_is_exact && second_is_exact) {
        add_rows(p, first, second, row, call->output, 1, 1);
    } else if (is_one_run && !p->subtracts && first_is_exact) {
        add_rows(p, first, second, row, call->output, 1, 0);
    } else if (is_one_run && !p->subtracts && second_is_exact) {
        add_rows(p, first, second, row, call->output, 0, 1);
    } else {
        for (uint32_t column = 0; column < o->columns; column++) {
            add_run(p, first + column * o->column_step1, second + column * o->column_step2, o->channel_step2,
                    o->channels, call->output + column * o->channels);
        }
    }
    stapes_limit(call->output, row, o->minimum, o->maximum);
}

void stapes_add_int16(const stapes_call_t *call) {
    apply(call, &((const stapes_add_int16_t *)call->layer->parameters)->operands, sum, 2);
}

static inline int32_t square(const void *parameters, int32_t first, int32_t second) {
    const stapes_squared_difference_t *p = parameters;
    const int32_t scale = (int32_t)((uint32_t)1 << p->left_shift);
    const int32_t difference = stapes_multiply(first * scale, p->multiplier1, p->shift1) -
                               stapes_multiply(second * scale, p->multiplier2, p->shift2);
    return stapes_multiply(difference * difference, p->multiplier, p->shift);
}

void stapes_squared_difference(const stapes_call_t *call) {
    apply(call, &((const stapes_squared_difference_t *)call->layer->parameters)->operands, square, 1);
}

static inline int32_t quotient(const void *parameters, int32_t first, int32_t second) {
    const stapes_div_t *p = parameters;
    const stapes_divisor_t *divisor = &p->divisors[second];
    int32_t headroom = 0;
    first *= divisor->sign;
    for (uint32_t rest = (uint32_t)(first < 0 ? ~first : first); rest < 0x40000000u && headroom < 31;
         rest <<= 1) {
        headroom++;
    }
    const int32_t shifted = (int32_t)((uint32_t)first << headroom);
    const int32_t exact = stapes_high_multiply(shifted, divisor->reciprocal);
    const int32_t high = stapes_high_multiply(exact, p->multiplier);
    const int32_t right = divisor->bits + headroom - p->shift;
    if (right < 0) {
        const int64_t wide = (int64_t)high * ((int64_t)1 << (right < -31 ? 31 : -right));
        return (int32_t)(wide > INT32_MAX / 2 ? INT32_MAX / 2 : wide < INT32_MIN / 2 ? INT32_MIN / 2 : wide);
    }
    return right > 31 ? 0 : stapes_rounding_shift(high, right);
}

void stapes_div(const stapes_call_t *call) {
    apply(call, &((const stapes_div_t *)call->layer->parameters)->operands, quotient, 1);
}

static inline int32_t product(const void *parameters, int32_t first, int32_t second) {
    const stapes_mul_t *p = parameters;
    return stapes_multiply(first * second, p->multiplier, p->shift);
}

void stapes_mul(const stapes_call_t *call) {
    apply(call, &((const stapes_mul_t *)call->layer->parameters)->operands, product, 1);
}

void stapes_mul_int16(const stapes_call_t *call) {
    apply(call, &((const stapes_mul_int16_t *)call->layer->parameters)->operands, product, 2);
}

static inline int32_t larger(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first > second ? first : second;
}

void stapes_maximum(const stapes_call_t *call) {
    apply(call, &((const stapes_maximum_t *)call->layer->parameters)->operands, larger, 1);
}

void stapes_maximum_int16(const stapes_call_t *call) {
    apply(call, &((const stapes_maximum_int16_t *)call->layer->parameters)->operands, larger, 2);
}

static inline int32_t smaller(const void *parameters, int32_t first, int32_t second) {
    (void)parameters;
    return first < second ? first : second;
}

void stapes_minimum(const stapes_call_t *call) {
    apply(call, &((const stapes_minimum_t *)call->layer->parameters)->operands, smaller, 1);
}

void stapes_minimum_int16(const stapes_call_t *call) {
    apply(call, &((const stapes_minimum_int16_t *)call->layer->parameters)->operands, smaller, 2);
}

static inline int32_t bent(const void *parameters, int32_t first, int32_t second) {
    const stapes_prelu_t *p = parameters;
    return first >= 0 ? stapes_multiply(first, p->multiplier, p->shift)
                      : stapes_multiply(first * second, p->negative_multiplier, p->negative_shift);
}

void stapes_prelu(const stapes_call_t *call) {
    apply(call, &((const stapes_prelu_t *)call->layer->parameters)->operands, bent, 1);
}

void stapes_lookup(const stapes_call_t *call) {
    const stapes_lookup_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    for (uint32_t i = 0; i < p->count; i++) {
        call->output[i] = p->table[in[i] + 128];
    }
}
