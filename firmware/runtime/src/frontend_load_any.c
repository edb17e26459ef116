/* For frames of any length and transforms of any size: the window, zeros, then a first stage of radix 4 or 2.
 */
#include "frontend_load.h"

static inline int32_t sample_or_zero(const stapes_frontend_t *frontend, uint32_t n, uint32_t exponent) {
    if (n >= frontend->tables->frame_length) {
        return 0;
    }
    return windowed(frontend->frame[n], window_at(frontend->tables, n), exponent);
}

uint32_t stapes_frontend_load_any(const stapes_frontend_t *frontend, uint32_t exponent) {
    uint32_t half = frontend->tables->n_fft / 2u;
    uint32_t bits = 31 - leading_zeros(half);
    for (uint32_t i = 0; i < half; i++) {
        stapes_bin_t *bin = frontend->bins + reverse_bits(i, bits);
        bin->z.re = sample_or_zero(frontend, 2 * i, exponent);
        bin->z.im = sample_or_zero(frontend, 2 * i + 1, exponent);
    }
    return first_stage(frontend->bins, half);
}
