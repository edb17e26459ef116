/* Frames on a byte stream: consistent overhead byte stuffing, CRC-32 at the end, 0x00 between frames.
 * docs/link-protocol.md is the specification. No function here looks for NULL. */
#ifndef STAPES_FRAME_H
#define STAPES_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stapes/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_FRAME_CRC_BYTES 4u

/* Takes a stream apart. The content is decoded straight into the caller's buffer. */
typedef struct {
    uint8_t *buffer;
    size_t capacity;
    size_t length; /* decoded so far */
    uint8_t left;  /* bytes until the next code byte */
    bool zero;     /* a zero belongs before the next block */
    bool damaged;  /* too long or malformed: skip to the next 0x00 */
    bool started;
} stapes_frame_receiver_t;

/* `buffer` holds the longest content and its CRC. */
void stapes_frame_receiver_init(stapes_frame_receiver_t *receiver, uint8_t *buffer, size_t capacity);

/* Takes one byte of the stream. Returns 0: no frame yet; >0: the frame's content is in the buffer, that many
 * bytes, CRC checked and cut off; STAPES_E_FRAME: a damaged frame ended here. Empty frames are skipped. */
int stapes_frame_receive(stapes_frame_receiver_t *receiver, uint8_t byte);

typedef void (*stapes_frame_write_t)(const uint8_t *bytes, size_t count);

/* Appends the CRC to `length` bytes of content (the buffer has room for it) and returns the length of both.
 */
size_t stapes_frame_seal(uint8_t *content, size_t length);

/* Sends a sealed frame with a 0x00 before and after it. */
void stapes_frame_send(const uint8_t *sealed, size_t length, stapes_frame_write_t write);

#ifdef __cplusplus
}
#endif

#endif
