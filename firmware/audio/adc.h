/* Conversions of an analogue microphone's voltage (12 bits, silence in the middle) to PCM. */
#ifndef STAPES_ADC_H
#define STAPES_ADC_H

#include <stddef.h>
#include <stdint.h>

#include "half_band.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PCM samples that `count` conversions become, at most. */
#define STAPES_ADC_SAMPLES(count, conversions) ((count) / (conversions) + 1u)

typedef struct {
    stapes_half_band_t half_band;
    uint32_t conversions; /* for each value of the half-band filter */
    uint32_t scale;       /* of their sum */
    uint32_t sum;
    uint32_t summed;
    int32_t first; /* of a pair of values */
    uint32_t half; /* 1: there is a first one */
} stapes_adc_t;

/* `conversions` for each PCM sample: 2, 4, 8 or 16. They are averaged in two halves, then filtered. `gain`:
 * in STAPES_GAIN_ONE, at most STAPES_LIMIT_GAIN; at one the converter's whole range is PCM's. Returns
 * STAPES_OK, or STAPES_E_ARGUMENT for NULL or numbers out of range; no other function looks. */
int stapes_adc_init(stapes_adc_t *adc, uint32_t conversions, uint32_t gain);

/* Forgets all that was heard. */
void stapes_adc_reset(stapes_adc_t *adc);

/* Returns how many samples were written to `pcm`, at most STAPES_ADC_SAMPLES(count, conversions). Any way of
 * cutting the conversions gives the same samples. */
size_t stapes_adc_push(stapes_adc_t *adc, const uint16_t *values, size_t count, int16_t *pcm);

#ifdef __cplusplus
}
#endif

#endif
