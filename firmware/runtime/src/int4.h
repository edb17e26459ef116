/* Weights of four bits to the int8 that the inner loops take.
 *
 * A weight is kept as weight + 8. Of four bytes the low halves are the first four weights, the high halves
 * the next four, so that a word is taken apart by masks. */
#ifndef STAPES_INT4_H
#define STAPES_INT4_H

#include <string.h>

#include "requantize.h"

#define STAPES_HALVES 0x0f0f0f0fu

/* Bytes that `weights` weights take, and bytes they become. */
#define STAPES_INT4_BYTES(weights)     (((weights) + 7u) / 8u * 4u)
#define STAPES_UNPACKED_BYTES(weights) (((weights) + 7u) / 8u * 8u)

/* Four weights from four bytes of weight + 8, no byte borrowing from the next. */
static inline uint32_t stapes_less_8(uint32_t bytes) {
    return ((bytes | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
}

/* Writes STAPES_UNPACKED_BYTES from STAPES_INT4_BYTES on; returns what is behind those. */
static inline const int8_t *stapes_unpack(const int8_t *from, uint32_t weights, int8_t *to) {
    for (uint32_t words = (weights + 7u) / 8u; words != 0; words--) {
        uint32_t word, first, second;
        memcpy(&word, from, sizeof word);
        first = stapes_less_8(word & STAPES_HALVES);
        second = stapes_less_8(word >> 4 & STAPES_HALVES);
        memcpy(to, &first, sizeof first);
        memcpy(to + 4, &second, sizeof second);
        from += 4;
        to += 8;
    }
    return from;
}

#if STAPES_DSP && !STAPES_MVE

static inline uint32_t stapes_less_8_carried(uint32_t bytes) {
    uint32_t halves;
    __asm__("ssub16 %0, %1, %2" : "=r"(halves) : "r"(bytes), "r"(0x08080808u));
    return halves;
}

/* The same as STAPES_CARRY writes them, for a0 b0 a1 b1: a half word less 8 + 256 * 8 is a + 256 b. */
static inline const int8_t *stapes_unpack_carried(const int8_t *from, uint32_t weights, int8_t *to) {
    for (uint32_t words = (weights + 7u) / 8u; words != 0; words--) {
        const uint32_t word = stapes_load(from);
        const uint32_t first = stapes_less_8_carried(word & STAPES_HALVES);
        const uint32_t second = stapes_less_8_carried(word >> 4 & STAPES_HALVES);
        memcpy(to, &first, sizeof first);
        memcpy(to + 4, &second, sizeof second);
        from += 4;
        to += 8;
    }
    return from;
}

#endif

#endif
