/* The bit stream of a PDM microphone to PCM. docs/audio-sources.md gives the figures. */
#ifndef STAPES_PDM_H
#define STAPES_PDM_H

#include <stddef.h>
#include <stdint.h>

#include "half_band.h"

#ifdef __cplusplus
extern "C" {
#endif

/* int16_t entries of caller-owned memory; `bits` of PDM for each PCM sample: 64 or 128. */
#define STAPES_PDM_TABLE(bits) (1024u * ((bits) / 64u))

/* PCM samples that `words` words of PDM become, at most. */
#define STAPES_PDM_SAMPLES(words, bits) ((words)*16u / (bits) + 1u)

typedef struct {
    const int16_t *table; /* of a byte's share in the four running sums that it lies in */
    uint32_t bytes;       /* in a sum: 1 or 2 */
    int32_t partial[3];   /* sums that later bytes complete */
    int32_t rest;         /* of the last sum's rounding */
    uint32_t filled;      /* of `coarse` */
    int16_t coarse[28u + 8u * STAPES_HALF_BAND_BLOCK]; /* 8 a PCM sample */
    stapes_half_band_t half_band;
} stapes_pdm_t;

/* `gain`: in STAPES_GAIN_ONE, at most STAPES_LIMIT_GAIN; at one a density of all ones would be full scale.
 * `table` holds STAPES_PDM_TABLE(bits) entries. Returns STAPES_OK, or STAPES_E_ARGUMENT for NULL or numbers
 * out of range; no other function looks. */
int stapes_pdm_init(stapes_pdm_t *pdm, uint32_t bits, uint32_t gain, int16_t *table);

/* Forgets all that was heard. The next samples are silent until the filters are full, six samples. */
void stapes_pdm_reset(stapes_pdm_t *pdm);

/* Takes words whose most significant bit was first; returns how many samples were written to `pcm`, at most
 * STAPES_PDM_SAMPLES(count, bits). Any way of cutting the words gives the same samples. */
size_t stapes_pdm_push(stapes_pdm_t *pdm, const uint16_t *words, size_t count, int16_t *pcm);

#ifdef __cplusplus
}
#endif

#endif
