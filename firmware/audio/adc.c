#include "adc.h"

#include "pdm_taps.h"
#include "stapes/error.h"

#define FULL_SUM (1u << 29) /* of conversions that are all at their largest, scaled */
#define RANGE    (1u << 12)

int stapes_adc_init(stapes_adc_t *adc, uint32_t conversions, uint32_t gain) {
    if (adc == NULL || conversions < 2u || conversions > 16u || (conversions & (conversions - 1u)) != 0u ||
        gain == 0u || gain > STAPES_LIMIT_GAIN) {
        return STAPES_E_ARGUMENT;
    }
    adc->conversions = conversions / 2u;
    adc->scale = FULL_SUM / RANGE / adc->conversions;
    stapes_level_init(&adc->half_band.level, ADC_UNIT, gain, 0);
    stapes_adc_reset(adc);
    return STAPES_OK;
}

void stapes_adc_reset(stapes_adc_t *adc) {
    stapes_half_band_reset(&adc->half_band);
    adc->sum = 0;
    adc->summed = 0;
    adc->half = 0;
}

size_t stapes_adc_push(stapes_adc_t *adc, const uint16_t *values, size_t count, int16_t *pcm) {
    size_t written = 0;
    uint32_t pairs = 0;
    for (size_t i = 0; i < count; i++) {
        adc->sum += values[i] & (RANGE - 1u);
        if (++adc->summed < adc->conversions) {
            continue;
        }
        const int32_t value = (int32_t)(adc->sum * adc->scale);
        adc->sum = 0;
        adc->summed = 0;
        if (adc->half == 0u) {
            adc->first = value;
            adc->half = 1;
            continue;
        }
        adc->half = 0;
        stapes_half_band_push(&adc->half_band, pairs++, adc->first, value);
        if (pairs == STAPES_HALF_BAND_BLOCK) {
            stapes_half_band_finish(&adc->half_band, pairs, pcm + written);
            written += pairs;
            pairs = 0;
        }
    }
    if (pairs != 0u) {
        stapes_half_band_finish(&adc->half_band, pairs, pcm + written);
        written += pairs;
    }
    return written;
}
