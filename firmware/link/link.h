/* The message loop: requests in, one answer each. An answer is kept until the next request, so that a request
 * whose answer was lost can be sent again and is not carried out twice. docs/link-protocol.md is the
 * specification. */
#ifndef STAPES_LINK_H
#define STAPES_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "messages.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_REQUEST_HEADER_BYTES sizeof(wire_request_header_t)
#define STAPES_ANSWER_HEADER_BYTES  sizeof(wire_answer_header_t)
/* Bytes that a buffer needs for messages with a payload of `payload` bytes. */
#define STAPES_LINK_BUFFER_BYTES(payload) (STAPES_ANSWER_HEADER_BYTES + (payload) + STAPES_FRAME_CRC_BYTES)

/* Carries out one request. Writes up to `capacity` bytes to `answer` and returns how many, or an error. */
typedef int (*stapes_link_handler_t)(void *context, uint8_t type, const uint8_t *payload, size_t length,
                                     uint8_t *answer, size_t capacity);

typedef struct {
    stapes_frame_receiver_t receiver;
    stapes_frame_write_t write;
    stapes_link_handler_t handler;
    void *context;
    uint8_t *answer; /* the last one, sealed */
    size_t answer_capacity;
    size_t answer_length;
    uint32_t request_crc; /* of the last request */
    uint32_t session;
    uint16_t sequence; /* of the last request */
    bool open;         /* a hello was answered */
    uint32_t frames_good, frames_bad, replays;
} stapes_link_t;

/* Both buffers are STAPES_LINK_BUFFER_BYTES(payload) long. Returns STAPES_OK; STAPES_E_ARGUMENT for NULL
 * (`context` may be), STAPES_E_MEMORY when the buffers are too short for any message. */
int stapes_link_init(stapes_link_t *link, uint8_t *request, uint8_t *answer, size_t buffer_bytes,
                     stapes_link_handler_t handler, void *context, stapes_frame_write_t write);

/* Takes what the line brought, answers what is complete. */
void stapes_link_receive(stapes_link_t *link, const uint8_t *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
