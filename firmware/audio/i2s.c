#include "i2s.h"

#include "stapes/error.h"

#define UNIT (1u << 18) /* from 2^29 to full scale, Q32 */

int stapes_i2s_init(stapes_i2s_t *i2s, uint32_t slots, uint32_t slot, uint32_t swapped, uint32_t gain) {
    if (i2s == NULL || slots - 1u > 1u || slot >= slots || swapped > 1u || gain == 0u ||
        gain > STAPES_LIMIT_GAIN) {
        return STAPES_E_ARGUMENT;
    }
    i2s->slots = slots;
    i2s->slot = slot;
    i2s->swapped = swapped;
    stapes_level_init(&i2s->level, UNIT, gain, 0);
    return STAPES_OK;
}

void stapes_i2s_reset(stapes_i2s_t *i2s) {
    stapes_level_reset(&i2s->level);
}

void stapes_i2s_push(stapes_i2s_t *i2s, const stapes_slot_t *words, size_t frames, int16_t *pcm) {
    words += i2s->slot;
    for (size_t i = 0; i < frames; i++) {
        uint32_t word = *words;
        if (i2s->swapped != 0u) {
            word = word << 16 | word >> 16;
        }
        pcm[i] = stapes_level_push(&i2s->level, (int32_t)(word & 0xFFFFFF00u) >> 2);
        words += i2s->slots;
    }
}
