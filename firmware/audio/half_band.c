#include "half_band.h"

#include <string.h>

#include "fir.h"
#include "pdm_taps.h"

#define ODD_HISTORY (STAPES_HALF_BAND_HISTORY / 2u)

typedef char stapes_half_band_history[HALF_BAND_TAPS == STAPES_HALF_BAND_HISTORY ? 1 : -1];

void stapes_half_band_reset(stapes_half_band_t *filter) {
    stapes_level_reset(&filter->level);
    memset(filter->odd, 0, sizeof filter->odd);
    memset(filter->even, 0, sizeof filter->even);
}

void stapes_half_band_finish(stapes_half_band_t *filter, uint32_t count, int16_t *pcm) {
    for (uint32_t i = 0; i < count; i++) {
        const int32_t middle = filter->odd[i + 1u] * MIDDLE_TAP + (1 << 14);
        pcm[i] =
            stapes_saturated(stapes_fir(middle, filter->even + i + 1u, half_band_taps, HALF_BAND_TAPS) >> 15);
    }
    memmove(filter->odd, filter->odd + count, ODD_HISTORY * sizeof *filter->odd);
    memmove(filter->even, filter->even + count, STAPES_HALF_BAND_HISTORY * sizeof *filter->even);
}
