#include "stapes/integer.h"

/* Bit by bit. */
uint32_t stapes_integer_sqrt(uint64_t value) {
    uint32_t root = 0;
    for (uint32_t bit = (uint32_t)1 << 31; bit != 0u; bit >>= 1) {
        const uint64_t next = root | bit;
        if (next * next <= value) {
            root |= bit;
        }
    }
    return root;
}
