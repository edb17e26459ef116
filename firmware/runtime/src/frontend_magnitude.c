/* Magnitudes instead of powers. */
#include "frontend_math.h"
#include "stapes/frontend.h"

#define FRACTION_BITS 24

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
