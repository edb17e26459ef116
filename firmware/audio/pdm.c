/* PDM to PCM in three stages, all but the roundings exact: a table gives a byte's share in four running sums
 * (a fourth-order CIC), 8 samples a PCM sample; a low-pass leaves 2, from which a slow mean is taken away and
 * which get their gain; a half-band filter leaves 1. tools/stapes/features/pdm.py designs the filters. */
#include "pdm.h"

#include <string.h>

#include "fir.h"
#include "pdm_taps.h"
#include "stapes/error.h"

#define ORDER    4u
#define SCALE    7   /* sums are at most 4096 * SCALE */
#define SETTLING 11u /* low-pass outputs until it has forgotten the start */

#define HISTORY (LOW_PASS_TAPS - 4u)
#define COARSE  (sizeof((stapes_pdm_t *)0)->coarse / sizeof(int16_t))

typedef char stapes_coarse_history[COARSE == HISTORY + 8u * STAPES_HALF_BAND_BLOCK ? 1 : -1];

/* table[byte][share]: the bytes of a sum one after the other, the oldest first. Share k belongs to the sum
 * that is complete k sums later. */
static void build_table(int16_t *table, uint32_t bytes) {
    int32_t taps[8u * 2u * ORDER] = {0};
    const uint32_t bits = 8u * bytes;
    const uint32_t length = bits * ORDER;
    taps[0] = 1;
    for (uint32_t order = 0; order < ORDER; order++) {
        for (uint32_t i = length; i-- > 0u;) {
            for (uint32_t k = 1; k < bits && k <= i; k++) {
                taps[i] += taps[i - k];
            }
        }
    }
    for (uint32_t place = 0; place < bytes; place++) {
        for (uint32_t byte = 0; byte < 256u; byte++) {
            for (uint32_t share = 0; share < ORDER; share++) {
                int32_t sum = 0;
                for (uint32_t bit = 0; bit < 8u; bit++) { /* taps[0] is the newest bit's */
                    const int32_t tap = taps[share * bits + 8u * (bytes - 1u - place) + bit];
                    sum += (byte >> bit & 1u) != 0u ? tap : -tap;
                }
                *table++ = (int16_t)sum;
            }
        }
    }
}

int stapes_pdm_init(stapes_pdm_t *pdm, uint32_t bits, uint32_t gain, int16_t *table) {
    if (pdm == NULL || table == NULL || (bits != 64u && bits != 128u) || gain == 0u ||
        gain > STAPES_LIMIT_GAIN) {
        return STAPES_E_ARGUMENT;
    }
    pdm->table = table;
    pdm->bytes = bits / 64u;
    stapes_level_init(&pdm->half_band.level, PDM_UNIT, gain, SETTLING);
    build_table(table, pdm->bytes);
    stapes_pdm_reset(pdm);
    return STAPES_OK;
}

void stapes_pdm_reset(stapes_pdm_t *pdm) {
    memset(pdm->partial, 0, sizeof pdm->partial);
    memset(pdm->coarse, 0, sizeof pdm->coarse);
    stapes_half_band_reset(&pdm->half_band);
    pdm->rest = 0;
    pdm->filled = HISTORY;
}

/* One byte a sum. */
static void sum_bytes(stapes_pdm_t *pdm, const uint16_t *words, size_t count) {
    int32_t first = pdm->partial[0], second = pdm->partial[1], third = pdm->partial[2];
    int16_t *out = pdm->coarse + pdm->filled;
    for (size_t i = 0; i < count; i++) {
        const uint32_t word = words[i];
        const int16_t *share = pdm->table + ORDER * (word >> 8);
        out[0] = (int16_t)(SCALE * (first + share[0]));
        first = second + share[1];
        second = third + share[2];
        third = share[3];
        share = pdm->table + ORDER * (word & 0xFFu);
        out[1] = (int16_t)(SCALE * (first + share[0]));
        first = second + share[1];
        second = third + share[2];
        third = share[3];
        out += 2;
    }
    pdm->filled += 2u * (uint32_t)count;
    pdm->partial[0] = first;
    pdm->partial[1] = second;
    pdm->partial[2] = third;
}

/* Two bytes a sum, which are 16 times as large. What rounding took from one sum the next one gets, which
 * moves the rounding's noise to where the filters reject it. */
static void sum_words(stapes_pdm_t *pdm, const uint16_t *words, size_t count) {
    int16_t *out = pdm->coarse + pdm->filled;
    for (size_t i = 0; i < count; i++) {
        const int16_t *old = pdm->table + ORDER * ((uint32_t)words[i] >> 8);
        const int16_t *young = pdm->table + ORDER * (256u + (words[i] & 0xFFu));
        const int32_t sum = SCALE * (pdm->partial[0] + old[0] + young[0]) + pdm->rest;
        out[i] = (int16_t)(sum >> 4);
        pdm->rest = sum & 15;
        pdm->partial[0] = pdm->partial[1] + old[1] + young[1];
        pdm->partial[1] = pdm->partial[2] + old[2] + young[2];
        pdm->partial[2] = old[3] + young[3];
    }
    pdm->filled += (uint32_t)count;
}

static int32_t low_pass(const int16_t *coarse) {
    return stapes_fir(0, coarse, low_pass_taps, LOW_PASS_TAPS);
}

/* Turns `count` groups of 8 coarse samples into PCM. */
static void finish(stapes_pdm_t *pdm, uint32_t count, int16_t *pcm) {
    for (uint32_t i = 0; i < count; i++) {
        const int16_t *coarse = pdm->coarse + 8u * i;
        stapes_half_band_push(&pdm->half_band, i, low_pass(coarse), low_pass(coarse + 4));
    }
    stapes_half_band_finish(&pdm->half_band, count, pcm);
    pdm->filled -= 8u * count;
    memmove(pdm->coarse, pdm->coarse + 8u * count, pdm->filled * sizeof *pdm->coarse);
}

size_t stapes_pdm_push(stapes_pdm_t *pdm, const uint16_t *words, size_t count, int16_t *pcm) {
    size_t written = 0;
    while (count != 0u) {
        const uint32_t room = (uint32_t)COARSE - pdm->filled;
        size_t taken = pdm->bytes == 1u ? room / 2u : room;
        taken = count < taken ? count : taken;
        if (pdm->bytes == 1u) {
            sum_bytes(pdm, words, taken);
        } else {
            sum_words(pdm, words, taken);
        }
        words += taken;
        count -= taken;
        const uint32_t complete = (pdm->filled - HISTORY) / 8u;
        if (complete != 0u) {
            finish(pdm, complete, pcm + written);
            written += complete;
        }
    }
    return written;
}
