/* Magnitudes instead of powers. */
#include "frontend_math.h"
#include "stapes/frontend.h"

#define FRACTION_BITS 24

/* The largest integer whose square is not larger, of 2^62 or more. Zimmermann's Karatsuba square root:
 * the root of the upper half and what it leaves, then one division for the lower half, at most one
 * too large. */
static uint32_t root_of(uint64_t value) {
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    /* Within 3.5 % of the upper half's root; two of Newton's steps end on it or one above. */
    uint32_t root = ((high >> 16) * 43691u >> 16) + 22938u;
    root = (root + high / root) / 2u;
    root = (root + high / root) / 2u;
    uint32_t rest = high - root * root;
    if (rest > 2u * root) {
        root--;
        rest += 2u * root + 1u;
    }
    /* Half of (rest 2^16 + the next 16 bits) by root, not the whole by twice the root: 32 bits hold it. */
    const uint32_t half = rest << 15 | low >> 17;
    const uint32_t next = half / root;
    const uint64_t left = (uint64_t)(half - next * root) << 17 | (low & 0x1FFFFu);
    root = (root << 16) + next;
    return left < multiply(next, next) ? root - 1u : root;
}

void stapes_frontend_magnitude(const stapes_frontend_t *frontend) {
    stapes_bin_t *end = frontend->bins + frontend->tables->n_fft / 2u;
    for (stapes_bin_t *bin = frontend->bins + 1; bin < end; bin++) {
        uint64_t power = bin->power;
        if (power != 0) {
            uint32_t high = (uint32_t)(power >> 32);
            uint32_t zeros = high != 0 ? leading_zeros(high) : 32 + leading_zeros((uint32_t)power);
            uint32_t pairs = zeros / 2;
            bin->power = (uint64_t)root_of(power << (2 * pairs)) << FRACTION_BITS >> pairs;
        }
    }
}
