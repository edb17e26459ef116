/* MFCC: an orthonormal DCT-II, lifted where the setting says so, of the logarithms of the bands. */
#include "frontend_log.h"
#include "frontend_output.h"

#define VALUE_FRACTION_BITS 16

void stapes_frontend_mfcc(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const int32_t *weight = tables->dct;
    frame_log_t log = frame_log(tables, exponent);
    uint32_t shift = tables->dct_bits + LOG_FRACTION_BITS - VALUE_FRACTION_BITS;
    for (uint32_t band = 0; band < tables->n_mels; band++) {
        frontend->mel[band] = (uint32_t)band_log(&log, frontend->mel[band], tables->bands[band].floor);
    }
    for (uint32_t i = 0; i < tables->n_features; i++) {
        int64_t sum = (int64_t)1 << (shift - 1);
        for (uint32_t band = 0; band < tables->n_mels; band++) {
            sum += (int64_t)*weight++ * (int32_t)frontend->mel[band];
        }
        row[i] = quantize_value((int32_t)(sum >> shift), VALUE_FRACTION_BITS, &tables->output[i]);
    }
}
