/* What reaches an output of a TRANSPOSE_CONV. Internal to the runtime. */
#ifndef STAPES_TRANSPOSE_H
#define STAPES_TRANSPOSE_H

#include <stdint.h>

/* The input row or column that reaches place `at` of the padded output by tap `tap` of the kernel: the one at
 * r with r * stride + tap = at. UINT32_MAX: none. */
static inline uint32_t stapes_reaching(uint32_t at, uint32_t tap, uint32_t stride) {
    return at < tap || (at - tap) % stride != 0u ? UINT32_MAX : (at - tap) / stride;
}

#endif
