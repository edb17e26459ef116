/* CRC-32 as in zlib, Ethernet and PNG: polynomial 0x04C11DB7 reflected, start and end inverted. */
#ifndef STAPES_CRC32_H
#define STAPES_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns `crc` (0 to start) continued over `count` bytes; what every call returns is a complete checksum. */
uint32_t stapes_crc32(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
