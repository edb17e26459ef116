/* Little-endian numbers in byte buffers of any alignment, and in the fields of messages.h. */
#ifndef STAPES_WIRE_H
#define STAPES_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline uint16_t stapes_get_u16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (uint16_t)(bytes[1] << 8));
}

static inline uint32_t stapes_get_u32(const uint8_t *bytes) {
    return (uint32_t)stapes_get_u16(bytes) | (uint32_t)stapes_get_u16(bytes + 2) << 16;
}

static inline uint64_t stapes_get_u64(const uint8_t *bytes) {
    return stapes_get_u32(bytes) | (uint64_t)stapes_get_u32(bytes + 4) << 32;
}

static inline void stapes_put_u16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value & 0xFFu);
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void stapes_put_u32(uint8_t *bytes, uint32_t value) {
    stapes_put_u16(bytes, (uint16_t)(value & 0xFFFFu));
    stapes_put_u16(bytes + 2, (uint16_t)(value >> 16));
}

static inline void stapes_put_u64(uint8_t *bytes, uint64_t value) {
    stapes_put_u32(bytes, (uint32_t)(value & 0xFFFFFFFFu));
    stapes_put_u32(bytes + 4, (uint32_t)(value >> 32));
}

static inline void stapes_put(uint8_t *bytes, size_t count, uint64_t value) {
    switch (count) {
    case 1: bytes[0] = (uint8_t)(value & 0xFFu); break;
    case 2: stapes_put_u16(bytes, (uint16_t)(value & 0xFFFFu)); break;
    case 4: stapes_put_u32(bytes, (uint32_t)(value & 0xFFFFFFFFu)); break;
    default: stapes_put_u64(bytes, value); break;
    }
}

/* `value`, of any integer type, into a field of a message, cut to its width. */
#define STAPES_PUT(field, value) stapes_put((field), sizeof(field), (uint64_t)(value))

#ifdef __cplusplus
}
#endif

#endif
