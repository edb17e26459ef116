/* Logarithms of band powers. */
#ifndef STAPES_FRONTEND_LOG_H
#define STAPES_FRONTEND_LOG_H

#include <stdbool.h>

#include "frontend_math.h"
#include "stapes/frontend.h"

#define LOG_FRACTION_BITS 24
#define LOG_TABLE_BITS    7

/* log2 of a positive value, Q24, plus `integer`, which stands for a 63: the integer part from the highest
 * bit, the rest interpolated. */
static inline int32_t fixed_log2(uint64_t value, const int32_t *table, int32_t integer) {
    uint32_t high = (uint32_t)(value >> 32);
    uint32_t low = (uint32_t)value;
    if (high == 0) {
        high = low;
        low = 0;
        integer -= 32 * (1 << LOG_FRACTION_BITS);
    }
    uint32_t zeros = leading_zeros(high);
    uint32_t mantissa = high << zeros | low >> 1 >> (31 - zeros);
    const int32_t *point = table + (mantissa >> (31 - LOG_TABLE_BITS) & ((1u << LOG_TABLE_BITS) - 1));
    uint32_t slope = (uint32_t)(point[1] - point[0]);
    uint32_t rest = mantissa << (LOG_TABLE_BITS + 1);
    return integer - (int32_t)(zeros << LOG_FRACTION_BITS) + point[0] +
           (int32_t)(multiply(slope, rest) >> 32);
}

/* What all bands of a frame share. */
typedef struct {
    const int32_t *table;
    int32_t integer; /* added to every logarithm */
    uint32_t floor_down;
    uint32_t floor_up;
    bool clamp;
} frame_log_t;

static inline frame_log_t frame_log(const stapes_frontend_tables_t *tables, uint32_t exponent) {
    int32_t shift = (int32_t)exponent + tables->floor_shift;
    frame_log_t log;
    log.table = tables->log_table;
    log.integer = (63 - (int32_t)exponent) * (1 << LOG_FRACTION_BITS);
    log.floor_down = shift < 0 ? (uint32_t)-shift : 0;
    log.floor_up = shift < 0 ? 1 : 1u << shift;
    log.clamp = tables->floor_clamp != 0;
    return log;
}

/* log2 of a band with its floor, Q24. */
static inline int32_t band_log(const frame_log_t *log, uint64_t mel, uint32_t floor) {
    uint64_t least = multiply(floor >> log->floor_down, log->floor_up);
    if (log->clamp) {
        mel = mel > least ? mel - least : 0;
    }
    return fixed_log2(mel + least, log->table, log->integer);
}

#endif
