/* Logarithms as they are, and their normalisation by mean and standard deviation of a whole window. */
#include <string.h>

#include "frontend_log.h"
#include "stapes/error.h"
#include "stapes/limits.h"

#define LEAST_DEVIATION (1u << 20)

void stapes_frontend_values(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    frame_log_t log = frame_log(tables, exponent);
    for (uint32_t band = 0; band < tables->n_mels; band++) {
        const stapes_band_t *constants = &tables->bands[band];
        int32_t value = band_log(&log, frontend->mel[band], constants->floor) + constants->bias;
        memcpy(row + sizeof value * band, &value, sizeof value);
    }
}

static int8_t clipped(int64_t value) {
    return (int8_t)(value > 127 ? 127 : value < -128 ? -128 : value);
}

int stapes_window_normalize(const stapes_window_output_t *output, const int32_t *values, uint32_t count,
                            int8_t *features) {
    if (output == NULL || values == NULL || features == NULL || count == 0 ||
        count > STAPES_LIMIT_WINDOW_VALUES) {
        return STAPES_E_ARGUMENT;
    }
    /* Counted from INT32_MIN, so that the division rounds down. */
    uint64_t sum = count / 2;
    for (uint32_t i = 0; i < count; i++) {
        sum += (uint64_t)((int64_t)values[i] - INT32_MIN);
    }
    int64_t mean = (int64_t)(sum / count) + INT32_MIN;
    uint64_t squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t deviation = (values[i] - mean) >> 9;
        squares += (uint64_t)(deviation * deviation);
    }
    uint32_t deviation = integer_root(squares / count << 20);
    if (deviation < LEAST_DEVIATION) {
        memset(features, (uint8_t)output->zero_point, count);
        return STAPES_OK;
    }
    int64_t gain = (int64_t)(output->numerator / deviation);
    gain = gain > INT32_MAX ? INT32_MAX : gain;
    for (uint32_t i = 0; i < count; i++) {
        int64_t steps = ((values[i] - mean) * gain + (1 << 27)) >> 28;
        features[i] = clipped((steps + output->zero_point * 65536 + (1 << 15)) >> 16);
    }
    return STAPES_OK;
}
