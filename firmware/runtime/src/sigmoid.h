/* Sigmoid and tanh of 16 bits, between the entries of one table. Internal to the runtime. */
#ifndef STAPES_SIGMOID_H
#define STAPES_SIGMOID_H

#include <stdint.h>

#define X(...) __VA_ARGS__,
static const uint16_t stapes_sigmoid_table[256] = {
#include "stapes/sigmoid.def"
};
#undef X

/* sigmoid in steps of 2^-(16 + bits) of entries of the table 2^bits apart. */
static inline int32_t stapes_interpolate_sigmoid(uint32_t size, uint32_t bits) {
    const uint32_t index = size >> bits;
    const uint32_t rest = size & (((uint32_t)1 << bits) - 1u);
    const uint32_t entry = stapes_sigmoid_table[index];
    return (int32_t)((entry << bits) + rest * (stapes_sigmoid_table[index + 1u] - entry));
}

/* Of three times a value in Q3.12, in steps of 2^-15. */
static inline int32_t stapes_interpolated_sigmoid(int32_t thrice) {
    const uint32_t size = (uint32_t)(thrice < 0 ? -thrice : thrice);
    const int32_t result = size >> 9 >= 255u ? 0x7fff << 10 : stapes_interpolate_sigmoid(size, 9);
    return (thrice >= 0 ? result + 512 : (1 << 25) - result + 511) >> 10;
}

/* The same for tanh. */
static inline int32_t stapes_interpolated_tanh(int32_t thrice) {
    const uint32_t size = (uint32_t)(thrice < 0 ? -thrice : thrice);
    const int32_t result =
        (size >> 8 >= 255u ? 0xffff << 8 : stapes_interpolate_sigmoid(size, 8)) - (1 << 23);
    return (thrice >= 0 ? result + 128 : 127 - result) >> 8;
}

#endif
