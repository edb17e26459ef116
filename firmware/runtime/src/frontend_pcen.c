/* Per-channel energy normalisation: (mel / (eps + smooth)^gain + bias)^power - bias^power, by logarithms and
 * exponentials. Smoothed bands follow the bands; they start at the first frame. */
#include "frontend_log.h"
#include "frontend_output.h"

#define POWER_FRACTION_BITS 40
#define VALUE_FRACTION_BITS 20

/* 2^(x / 2^24) with `bits` fractional bits, rounded down. */
static uint64_t fixed_exp2(int32_t x, const uint32_t *table, int32_t bits) {
    const uint32_t *point = table + (x >> (LOG_FRACTION_BITS - LOG_TABLE_BITS) & ((1 << LOG_TABLE_BITS) - 1));
    uint32_t rest = (uint32_t)x << (32 - LOG_FRACTION_BITS + LOG_TABLE_BITS);
    uint64_t mantissa = point[0] + (multiply(point[1] - point[0], rest) >> 32);
    int32_t shift = (x >> LOG_FRACTION_BITS) + bits - 30;
    return shift >= 0 ? mantissa << shift : mantissa >> -shift;
}

/* log2 of a positive value, Q24. */
static int32_t whole_log2(uint64_t value, const int32_t *table) {
    return fixed_log2(value, table, 63 * (1 << LOG_FRACTION_BITS));
}

/* round(x * factor / 2^30) */
static int32_t scaled(int32_t x, uint32_t factor) {
    return (int32_t)(((int64_t)x * factor + (1 << 29)) >> 30);
}

static uint64_t share(uint64_t x, uint32_t fraction) {
    return multiply((uint32_t)(x >> 32), fraction) + (multiply((uint32_t)x, fraction) >> 32);
}

static int32_t normalized(const stapes_frontend_tables_t *tables, uint32_t band, uint64_t power,
                          uint64_t smooth) {
    const stapes_pcen_t *pcen = tables->pcen;
    int32_t least = -40 * (1 << LOG_FRACTION_BITS);
    int32_t most = 29 * (1 << LOG_FRACTION_BITS);
    /* Power and level both have their fractional bits; this much of them is left. */
    uint64_t left = ((1ull << 30) - pcen->gain) * ((uint64_t)POWER_FRACTION_BITS << LOG_FRACTION_BITS) >> 30;
    int32_t level = scaled(whole_log2(smooth + pcen->eps[band], tables->log_table), pcen->gain);
    int32_t ratio = whole_log2(power + 1, tables->log_table) - level + pcen->offset[band] - (int32_t)left;
    ratio = ratio < least ? least : ratio > most ? most : ratio;
    uint64_t lifted = fixed_exp2(ratio, pcen->exp_table, 32) + pcen->bias;
    int32_t log = whole_log2(lifted, tables->log_table) - 32 * (1 << LOG_FRACTION_BITS);
    int64_t value =
        (int64_t)fixed_exp2(scaled(log, pcen->power), pcen->exp_table, 24) - (int64_t)pcen->bias_power;
    value >>= 24 - VALUE_FRACTION_BITS;
    return value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

void stapes_frontend_pcen(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    int32_t shift = (int32_t)tables->pcen_shift - 64 - (int32_t)exponent;
    stapes_bin_t *state = frontend->bins + tables->state_place;
    for (uint32_t band = 0; band < tables->n_mels; band++) {
        uint64_t power = frontend->mel[band];
        power = shift >= 0 ? power << shift : power >> -shift;
        uint64_t smooth = frontend->started ? state[band].power : power;
        if (power >= smooth) {
            smooth += share(power - smooth, tables->pcen->smoothing);
        } else {
            smooth -= share(smooth - power, tables->pcen->smoothing);
        }
        state[band].power = smooth;
        int32_t value = normalized(tables, band, power, smooth);
        row[band] = quantize_value(value, VALUE_FRACTION_BITS, &tables->output[band]);
    }
    frontend->started = 1;
}
