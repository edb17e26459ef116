/* Magnitudes instead of powers. */
#include "frontend_math.h"
#include "stapes/frontend.h"

#define FRACTION_BITS 24

/* The largest integer whose square is not larger; `value` has one of its two highest bits set. */
static uint32_t integer_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

void stapes_frontend_magnitude(const stapes_frontend_t *frontend) {
    stapes_bin_t *end = frontend->bins + frontend->tables->n_fft / 2u;
    for (stapes_bin_t *bin = frontend->bins + 1; bin < end; bin++) {
        uint64_t power = bin->power;
        if (power != 0) {
            uint32_t high = (uint32_t)(power >> 32);
            uint32_t zeros = high != 0 ? leading_zeros(high) : 32 + leading_zeros((uint32_t)power);
            uint32_t pairs = zeros / 2;
            bin->power = (uint64_t)integer_root(power << (2 * pairs)) << FRACTION_BITS >> pairs;
        }
    }
}
