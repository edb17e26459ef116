/* SOFTMAX and LOG_SOFTMAX in fixed point, as gemmlowp computes it: sums in Q12, exponentials in Q31 of
 * arguments in Q26. */
#include "requantize.h"

/* value * 2^exponent, saturated. */
STAPES_COLD static int32_t shift_left_saturating(int32_t value, int32_t exponent) {
    const int32_t limit = (int32_t)(((uint32_t)1 << (31 - exponent)) - 1u);
    if (value > limit) {
        return INT32_MAX;
    }
    if (value < -limit) {
        return INT32_MIN;
    }
    return value * (int32_t)((uint32_t)1 << exponent);
}

STAPES_COLD static int32_t multiply(int32_t a, int32_t b) {
    return stapes_saturating_high_multiply(a, b);
}

/* exp(a) in Q31 for a in [-1/4, 0) in Q31. */
STAPES_COLD static int32_t exp_small(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = multiply(x, x);
    const int32_t x3 = multiply(x2, x);
    const int32_t x4 = multiply(x2, x2);
    const int32_t x4_over_4 = stapes_rounding_shift(x4, 2);
    const int32_t rest = stapes_rounding_shift(multiply(x4_over_4 + x3, third) + x2, 1);
    /* exp(-1/8) + exp(-1/8) * (x + rest) cannot reach 1. */
    return exp_minus_eighth + multiply(exp_minus_eighth, x + rest);
}

/* exp(a) in Q31 for a <= 0 in Q26. */
STAPES_COLD static int32_t exp_negative(int32_t a) {
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t quarter = 1 << 24;
    const int32_t fraction = (a & (quarter - 1)) - quarter;
    const int32_t remainder = fraction - a;
    int32_t result = exp_small(fraction * 32);
    for (uint32_t i = 0; i < 7; i++) {
        if ((remainder & (int32_t)((uint32_t)quarter << i)) != 0) {
            result = multiply(result, factors[i]);
        }
    }
    return result;
}

/* 1 / (1 + a) in Q31 for a in [0, 1) in Q31, by three Newton steps in Q29. */
STAPES_COLD static int32_t reciprocal(int32_t a) {
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + multiply(half_denominator, -1010580540);
    for (uint32_t i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - multiply(half_denominator, x);
        x += shift_left_saturating(multiply(x, error), 2);
    }
    return shift_left_saturating(x, 1);
}

STAPES_COLD static int32_t leading_zeros(uint32_t value) {
    int32_t count = 0;
    while ((value & 0x80000000u) == 0) {
        value <<= 1;
        count++;
    }
    return count;
}

STAPES_COLD void stapes_softmax(const stapes_call_t *call) {
    const stapes_softmax_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        int32_t largest = -128;
        for (uint32_t i = 0; i < p->channels; i++) {
            largest = in[i] > largest ? in[i] : largest;
        }
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t difference = in[i] - largest;
            if (difference >= p->minimum_difference) {
                const int32_t power = exp_negative(stapes_multiply(difference, p->multiplier, p->shift));
                sum += stapes_rounding_shift(power, 12);
            }
        }
        const int32_t headroom = leading_zeros((uint32_t)sum);
        const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - 0x80000000u);
        const int32_t scale = reciprocal(fraction);
        const int32_t shift = 12 - headroom + 31 - 8;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t difference = in[i] - largest;
            int32_t value = -128;
            if (difference >= p->minimum_difference) {
                const int32_t power = exp_negative(stapes_multiply(difference, p->multiplier, p->shift));
                value = (shift > 31 ? 0 : stapes_rounding_shift(multiply(scale, power), shift)) - 128;
            }
            output[i] = (int8_t)stapes_clamp(value, -128, 127);
        }
        in += p->channels;
        output += p->channels;
    }
}

/* log(x) in Q26 for x >= 1 in Q19: x is 2^power * r with r about 1, both to the nearest half power of two. */
STAPES_COLD static int32_t logarithm(int32_t x) {
    const int32_t root_half = 1518500250, fourth_root_half = 1805811301, quarter = 1 << 23;
    const int32_t headroom = leading_zeros((uint32_t)x);
    const int32_t other = leading_zeros((uint32_t)multiply(x, root_half)) - 1;
    const int32_t first =
        shift_left_saturating(multiply(shift_left_saturating(x, headroom - 1), root_half), 1);
    const int32_t second = shift_left_saturating(x, other);
    const int32_t first_power = (12 - headroom) * (1 << 25) + quarter;
    const int32_t second_power = (12 - other) * (1 << 25) - quarter;
    const int32_t r = first < second ? first : second;
    const int32_t power = first_power > second_power ? first_power : second_power;
    const int32_t p = (int32_t)(((int64_t)r + fourth_root_half + 1) / 2);
    const int32_t q = 2 * (r - fourth_root_half);
    const int32_t square = multiply(q, q);
    const int32_t numerator = multiply(q, r) + multiply(multiply(q, square), 117049297);
    const int32_t denominator =
        multiply(p, 1057819769 + q + multiply(square, 127690142)) + multiply(q, 638450708);
    const int32_t fraction = multiply(stapes_rounding_shift(numerator, 6), reciprocal(denominator));
    return shift_left_saturating(multiply(power, 1488522236) + fraction, 1);
}

STAPES_COLD void stapes_log_softmax(const stapes_call_t *call) {
    const stapes_log_softmax_t *p = call->layer->parameters;
    const int8_t *in = call->rows[0];
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        int32_t largest = -128;
        for (uint32_t i = 0; i < p->channels; i++) {
            largest = in[i] > largest ? in[i] : largest;
        }
        int32_t sum = 0;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t difference = in[i] - largest;
            if (difference >= p->minimum_difference) {
                const int32_t power = exp_negative(stapes_multiply(difference, p->multiplier, p->shift));
                sum += stapes_rounding_shift(power, 12);
            }
        }
        const int32_t log_sum = logarithm(sum);
        int32_t least = stapes_multiply(log_sum + INT32_MIN, p->reverse_multiplier, p->reverse_shift);
        least = least > p->minimum_difference - 1 ? least : p->minimum_difference - 1;
        for (uint32_t i = 0; i < p->channels; i++) {
            const int32_t difference = in[i] - largest;
            int32_t value = -128;
            if (difference > least) {
                value = stapes_multiply(difference, p->multiplier, p->shift) - log_sum;
                value = stapes_clamp(stapes_rounding_shift(value, 22) + 127, -128, 127);
            }
            *output++ = (int8_t)value;
        }
        in += p->channels;
    }
}
