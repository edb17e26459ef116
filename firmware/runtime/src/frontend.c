#include "stapes/frontend.h"

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
    if (bytes < STAPES_FRONTEND_MEMORY(tables->frame_length, tables->n_fft) || (uintptr_t)memory % 8 != 0) {
        return STAPES_E_MEMORY;
    }
    frontend->tables = tables;
    frontend->bins = memory;
    frontend->frame = (int16_t *)(void *)(frontend->bins + tables->n_fft / 2u);
    stapes_frontend_reset(frontend);
    return STAPES_OK;
}

void stapes_frontend_reset(stapes_frontend_t *frontend) {
    frontend->filled = 0;
}

/* Left shift of the frame, so that its energy * 4^exponent stays below 2^60: no later sum can overflow. */
static uint32_t frame_exponent(const stapes_frontend_t *frontend) {
    uint64_t energy = 0;
    const int16_t *end = frontend->frame + frontend->tables->frame_length;
    for (const int16_t *x = frontend->frame; x < end; x++) {
        energy += (uint32_t)((int32_t)*x * *x);
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

static inline int32_t windowed(const stapes_frontend_t *frontend, size_t n, int32_t factor) {
    size_t length = frontend->tables->frame_length;
    if (n >= length) {
        return 0;
    }
    return multiply_high(frontend->frame[n] * factor,
                         frontend->tables->window[n <= length / 2 ? n : length - n]);
}

/* Windowed samples, in pairs, to bit-reversed places. */
static void apply_window(stapes_frontend_t *frontend, uint32_t exponent) {
    size_t half = frontend->tables->n_fft / 2u;
    int32_t factor = (int32_t)(UINT32_C(1) << exponent);
    size_t place = 0;
    for (size_t n = 0; n < half; n++) {
        frontend->bins[place].z.re = windowed(frontend, 2 * n, factor);
        frontend->bins[place].z.im = windowed(frontend, 2 * n + 1, factor);
        /* Count upwards with the bits mirrored: the carry runs downwards. */
        size_t bit = half / 2;
        while (place & bit) {
            place ^= bit;
            bit /= 2;
        }
        place |= bit;
    }
}

/* log2 of a positive value, Q24: the integer part from the highest bit, the rest interpolated. */
static int32_t fixed_log2(uint64_t value, const int32_t *table) {
    uint32_t high = (uint32_t)(value >> 32);
    uint32_t low = (uint32_t)value;
    int32_t integer = 63;
    if (high == 0) {
        high = low;
        low = 0;
        integer = 31;
    }
    uint32_t zeros = leading_zeros(high);
    uint32_t mantissa = high << zeros | (uint32_t)((uint64_t)low << zeros >> 32);
    const int32_t *point = table + (mantissa >> (31 - LOG_TABLE_BITS) & ((1u << LOG_TABLE_BITS) - 1));
    uint32_t slope = (uint32_t)(point[1] - point[0]);
    uint32_t rest = mantissa << (LOG_TABLE_BITS + 1);
    return (integer - (int32_t)zeros) * (1 << LOG_FRACTION_BITS) + point[0] +
           (int32_t)((uint64_t)slope * rest >> 32);
}

/* Adds up the bands; each becomes one feature as soon as it is complete. Between two corners one band falls
 * by what the next one rises, so that one product per bin serves both. */
static void mel_log_quantize(const stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const stapes_bin_t *bin = frontend->bins + tables->first_bin;
    const uint32_t *weight = tables->weights;
    int32_t floor_shift = 2 * (int32_t)exponent + tables->floor_shift;
    uint64_t risen = 0; /* what the band that now falls gathered while it rose */
    for (size_t segment = 0; segment <= tables->n_mels; segment++) {
        uint64_t total = 0;
        uint64_t rising = 0;
        for (uint32_t count = tables->segments[segment]; count != 0; count--, bin++, weight++) {
            uint64_t power = bin->power;
            total += power;
            rising += (power >> 32) * *weight + ((uint64_t)(uint32_t)power * *weight >> 32);
        }
        if (segment > 0) {
            size_t band = segment - 1;
            uint64_t mel = risen + total - rising;
            uint64_t floor = tables->floor[band];
            floor = floor_shift >= 0 ? floor << floor_shift : floor >> -floor_shift;
            if (!tables->floor_clamp) {
                mel += floor;
            } else if (mel < floor) {
                mel = floor;
            }
            int32_t log =
                fixed_log2(mel, tables->log_table) - (int32_t)(2 * exponent) * (1 << LOG_FRACTION_BITS);
            int32_t steps = (multiply_high(log, tables->gain) + tables->bias[band]) >> 16;
            row[band] = (int8_t)(steps > 127 ? 127 : steps < -128 ? -128 : steps);
        }
        risen = rising;
    }
}

int stapes_frontend_push(stapes_frontend_t *frontend, const int16_t *pcm, size_t count, size_t *consumed,
                         int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    size_t missing = (size_t)tables->frame_length - frontend->filled;
    size_t taken = count < missing ? count : missing;
    int16_t *to = frontend->frame + frontend->filled;
    for (size_t i = 0; i < taken; i++) {
        to[i] = pcm[i];
    }
    *consumed = taken;
    frontend->filled = (uint16_t)(frontend->filled + taken);
    if (taken < missing) {
        return 0;
    }
    uint32_t exponent = frame_exponent(frontend);
    apply_window(frontend, exponent);
    stapes_fft_power(frontend->bins, tables);
    mel_log_quantize(frontend, exponent, row);
    frontend->filled = (uint16_t)(tables->frame_length - tables->hop_length);
    for (size_t i = 0; i < frontend->filled; i++) {
        frontend->frame[i] = frontend->frame[i + tables->hop_length];
    }
    return 1;
}
