/* For any frame, with pre-emphasis, with the frame's mean removed, or both. */
#include "frontend_load.h"

/* Sample less its predecessor's share, Q15. */
static inline int64_t emphasized(const stapes_frontend_t *frontend, uint32_t n) {
    int32_t previous = n == 0 ? frontend->previous : frontend->frame[n - 1];
    return (int64_t)frontend->frame[n] * 32768 - (int32_t)frontend->tables->emphasis * previous;
}

static int64_t mean(const stapes_frontend_t *frontend) {
    int64_t sum = 0;
    for (uint32_t n = 0; n < frontend->tables->frame_length; n++) {
        sum += emphasized(frontend, n);
    }
    return (sum * (int64_t)frontend->tables->reciprocal + (1 << 30)) >> 31;
}

uint32_t stapes_frontend_load_conditioned(const stapes_frontend_t *frontend, uint32_t exponent) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    uint32_t half = tables->n_fft / 2u;
    uint32_t bits = 31 - leading_zeros(half);
    int64_t offset = tables->reciprocal != 0 ? mean(frontend) : 0;
    int32_t up = exponent > 15 ? 1 << (exponent - 15) : 1;
    uint32_t down = exponent > 15 ? 0 : 15 - exponent;
    for (uint32_t i = 0; i < half; i++) {
        int32_t pair[2] = {0, 0};
        for (uint32_t part = 0; part < 2 && 2 * i + part < tables->frame_length; part++) {
            uint32_t n = 2 * i + part;
            int32_t sample = (int32_t)((emphasized(frontend, n) - offset) * up >> down);
            pair[part] = multiply_high(sample, window_at(tables, n));
        }
        stapes_bin_t *bin = frontend->bins + reverse_bits(i, bits);
        bin->z.re = pair[0];
        bin->z.im = pair[1];
    }
    return first_stage(frontend->bins, half);
}
