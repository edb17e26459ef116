/* Rows of mel bands: shift of the frame, transform, powers of the bands, and what becomes of them. */
#include "fft.h"
#include "frontend_math.h"
#include "stapes/frontend.h"

#define ENERGY_BITS 60

/* Left shift of the frame, so that its energy * 4^exponent stays below 2^60: no later sum can overflow. */
static uint32_t frame_exponent(const stapes_frontend_t *frontend) {
    uint64_t energy = square_samples(frontend->frame, frontend->tables->frame_length);
    if (frontend->tables->emphasis != 0) {
        /* A difference of two samples has at most four times their energy. */
        energy = (energy + (uint32_t)((int32_t)frontend->previous * frontend->previous)) * 4;
    }
    uint32_t high = (uint32_t)(energy >> 32);
    uint32_t bits = 0;
    if (high != 0) {
        bits = 64 - leading_zeros(high);
    } else if (energy != 0) {
        bits = 32 - leading_zeros((uint32_t)energy);
    }
    uint32_t exponent = (ENERGY_BITS - bits) / 2;
    return exponent < frontend->tables->max_exponent ? exponent : frontend->tables->max_exponent;
}

/* Powers of the bands. Between two corners one band falls by what the next one rises, so that one product per
 * bin serves both. */
static void mel_powers(const stapes_frontend_t *frontend) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const stapes_band_t *band = tables->bands;
    stapes_sums_t sums = {0, 0, frontend->bins + tables->first_bin, tables->weights};
    add_bins(&sums, tables->first_count);
    uint64_t *end = frontend->mel + tables->n_mels;
    for (uint64_t *mel = frontend->mel; mel < end; mel++) {
        sums.total = sums.rising; /* what the band gathered while it rose; now it falls */
        sums.rising = 0;
        add_bins(&sums, band++->count);
        *mel = sums.total - sums.rising;
    }
}

void stapes_frontend_mel(stapes_frontend_t *frontend, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    uint32_t exponent = frame_exponent(frontend);
    stapes_fft_power(frontend->bins, tables->load(frontend, exponent), tables);
    if (tables->magnitude != NULL) {
        tables->magnitude(frontend);
    }
    mel_powers(frontend);
    tables->finish(frontend, exponent * tables->exponent_factor, row);
}
