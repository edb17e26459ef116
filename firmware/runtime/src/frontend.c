#include "stapes/frontend.h"

#include <stdbool.h>

#include "fft.h"
#include "frontend_math.h"
#include "stapes/error.h"

#define LOG_FRACTION_BITS 24
#define LOG_TABLE_BITS    7
#define ENERGY_BITS       60

int stapes_frontend_init(stapes_frontend_t *frontend, const stapes_frontend_tables_t *tables, void *memory,
                         size_t bytes) {
    if (frontend == NULL || tables == NULL || memory == NULL) {
        return STAPES_E_ARGUMENT;
    }
    if (bytes < STAPES_FRONTEND_MEMORY(tables->frame_length, tables->bins) || (uintptr_t)memory % 8 != 0) {
        return STAPES_E_MEMORY;
    }
    frontend->tables = tables;
    frontend->bins = memory;
    frontend->mel = &frontend->bins[tables->mel_place].power;
    frontend->frame = (int16_t *)(void *)(frontend->bins + tables->bins);
    stapes_frontend_reset(frontend);
    return STAPES_OK;
}

void stapes_frontend_reset(stapes_frontend_t *frontend) {
    frontend->filled = 0;
}

/* Left shift of the frame, so that its energy * 4^exponent stays below 2^60: no later sum can overflow. */
static uint32_t frame_exponent(const stapes_frontend_t *frontend) {
    uint64_t energy = square_samples(frontend->frame, frontend->tables->frame_length);
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

/* log2 of a positive value less 63, Q24: the integer part from the highest bit, the rest interpolated. */
static inline int32_t fixed_log2(uint64_t value, const int32_t *table) {
    uint32_t high = (uint32_t)(value >> 32);
    uint32_t low = (uint32_t)value;
    int32_t integer = 0;
    if (high == 0) {
        high = low;
        low = 0;
        integer = -32 * (1 << LOG_FRACTION_BITS);
    }
    uint32_t zeros = leading_zeros(high);
    uint32_t mantissa = high << zeros | low >> 1 >> (31 - zeros);
    const int32_t *point = table + (mantissa >> (31 - LOG_TABLE_BITS) & ((1u << LOG_TABLE_BITS) - 1));
    uint32_t slope = (uint32_t)(point[1] - point[0]);
    uint32_t rest = mantissa << (LOG_TABLE_BITS + 1);
    return integer - (int32_t)(zeros << LOG_FRACTION_BITS) + point[0] +
           (int32_t)(multiply(slope, rest) >> 32);
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

static void log_quantize(const stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const int32_t *log_table = tables->log_table;
    const stapes_band_t *band = tables->bands;
    const uint64_t *mel = frontend->mel;
    const int8_t *end = row + tables->n_mels;
    int32_t integer = (63 - 2 * (int32_t)exponent) * (1 << LOG_FRACTION_BITS);
    int32_t shift = 2 * (int32_t)exponent + tables->floor_shift;
    uint32_t floor_down = shift < 0 ? (uint32_t)-shift : 0;
    uint32_t floor_up = shift < 0 ? 1 : UINT32_C(1) << shift;
    bool clamp = tables->floor_clamp != 0;
    for (; row < end; row++, band++) {
        uint64_t value = *mel++;
        uint32_t floor = band->floor >> floor_down;
        if (!clamp) {
            value += multiply(floor, floor_up);
        } else if (value < multiply(floor, floor_up)) {
            value = multiply(floor, floor_up);
        }
        *row = saturate_high(multiply_high(integer + fixed_log2(value, log_table), band->gain) + band->bias);
    }
}

int stapes_frontend_push(stapes_frontend_t *frontend, const int16_t *pcm, size_t count, size_t *consumed,
                         int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    size_t missing = (size_t)tables->frame_length - frontend->filled;
    size_t taken = count < missing ? count : missing;
    copy_samples(frontend->frame + frontend->filled, pcm, taken);
    *consumed = taken;
    frontend->filled = (uint16_t)(frontend->filled + taken);
    if (taken < missing) {
        return 0;
    }
    uint32_t exponent = frame_exponent(frontend);
    stapes_fft_power(frontend->bins, tables->load(frontend, exponent), tables);
    mel_powers(frontend);
    log_quantize(frontend, exponent, row);
    frontend->filled = (uint16_t)(tables->frame_length - tables->hop_length);
    copy_samples(frontend->frame, frontend->frame + tables->hop_length, frontend->filled);
    return 1;
}
