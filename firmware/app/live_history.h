/* The newest sound that a listening device heard, for a host that keeps up with it: the message LIVE_HISTORY.
 * A ring without a gap: where samples were lost it begins anew. With STAPES_LIVE_HISTORY = 0, the default,
 * there is none, and not a byte of it in the image. */
#ifndef STAPES_LIVE_HISTORY_H
#define STAPES_LIVE_HISTORY_H

#ifndef STAPES_LIVE_HISTORY
#define STAPES_LIVE_HISTORY 0 /* samples that are kept */
#endif

#if STAPES_LIVE_HISTORY > 0
#include "stapes/error.h"
#include "wire.h"

static struct {
    uint64_t first; /* sample of the stream, the oldest one here */
    uint64_t end;   /* behind the newest */
    uint32_t place; /* of the next sample */
    int16_t samples[STAPES_LIVE_HISTORY];
} live_history;

static inline void live_history_reset(void) {
    live_history.first = 0;
    live_history.end = 0;
}

static inline void live_history_add(const int16_t *pcm, size_t count) {
    for (size_t i = 0; i < count; i++) {
        live_history.samples[live_history.place] = pcm[i];
        live_history.place = live_history.place + 1u == STAPES_LIVE_HISTORY ? 0u : live_history.place + 1u;
    }
    live_history.end += count;
    if (live_history.end - live_history.first > STAPES_LIVE_HISTORY) {
        live_history.first = live_history.end - STAPES_LIVE_HISTORY;
    }
}

static inline void live_history_lose(uint32_t count) {
    if (count != 0u) {
        live_history.end += count;
        live_history.first = live_history.end;
    }
}

/* Answers the message. */
static inline int live_history_answer(const uint8_t *payload, size_t length, uint8_t *answer,
                                      size_t capacity) {
    const wire_live_history_request_t *request = (const wire_live_history_request_t *)payload;
    wire_live_history_answer_t *head = (wire_live_history_answer_t *)answer;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    uint64_t from = stapes_get_u64(request->position);
    from = from > live_history.first ? from : live_history.first;
    from = from < live_history.end ? from : live_history.end;
    const size_t most = (capacity - sizeof *head) / 2u;
    const uint32_t waiting = (uint32_t)(live_history.end - from);
    const size_t count = waiting < most ? waiting : most;
    uint32_t place = live_history.place >= waiting ? live_history.place - waiting
                                                   : live_history.place + STAPES_LIVE_HISTORY - waiting;
    STAPES_PUT(head->capacity, STAPES_LIVE_HISTORY);
    STAPES_PUT(head->position, from);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u16(head->pcm + 2u * i, (uint16_t)live_history.samples[place]);
        place = place + 1u == STAPES_LIVE_HISTORY ? 0u : place + 1u;
    }
    return (int)(sizeof *head + 2u * count);
}
#endif

#endif
