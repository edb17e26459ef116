/* Log-mel: the logarithm of each band is a feature. */
#include "frontend_log.h"

void stapes_frontend_log(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const stapes_band_t *band = tables->bands;
    const uint64_t *mel = frontend->mel;
    const int8_t *end = row + tables->n_mels;
    frame_log_t log = frame_log(tables, exponent);
    for (; row < end; row++, band++) {
        *row = saturate_high(multiply_high(band_log(&log, *mel++, band->floor), band->gain) + band->bias);
    }
}
