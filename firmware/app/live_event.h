/* Events of a listening device as bytes, and a queue of them. */
#ifndef STAPES_LIVE_EVENT_H
#define STAPES_LIVE_EVENT_H

#include <string.h>

#include "stapes/live.h"
#include "wire.h"

#define LIVE_EVENT_BYTES sizeof(wire_live_event_t)

/* The runtime's kinds are those of the link. */
#define LIVE_KIND(name, value, text)                                                                         \
    typedef char live_kind_##name##_is_the_links[STAPES_LIVE_##name == (value) ? 1 : -1];
#include "messages.def"

typedef struct {
    uint8_t *events;
    uint32_t capacity; /* events */
    uint32_t first, count;
    uint32_t lost; /* that found no place */
} live_queue_t;

static inline void live_event_put(uint8_t *out, const stapes_live_event_t *event) {
    wire_live_event_t *wire = (wire_live_event_t *)out;
    STAPES_PUT(wire->kind, event->kind);
    STAPES_PUT(wire->class_index, event->class_index);
    STAPES_PUT(wire->start, event->start);
    STAPES_PUT(wire->end, event->end);
    STAPES_PUT(wire->score, event->score);
    STAPES_PUT(wire->level, event->level);
    STAPES_PUT(wire->dropped, event->dropped);
}

/* A stapes_live_sink_t; `context` is the queue. */
static inline void live_queue_add(void *context, const stapes_live_event_t *event) {
    live_queue_t *queue = context;
    if (queue->count == queue->capacity) {
        queue->lost++;
        return;
    }
    const uint32_t place = (queue->first + queue->count) % queue->capacity;
    live_event_put(queue->events + place * LIVE_EVENT_BYTES, event);
    queue->count++;
}

/* Moves up to `most` events to `out`, the oldest first; returns how many. */
static inline uint32_t live_queue_take(live_queue_t *queue, uint8_t *out, uint32_t most) {
    uint32_t taken = 0;
    for (; taken < most && queue->count != 0; taken++) {
        memcpy(out + taken * LIVE_EVENT_BYTES, queue->events + queue->first * LIVE_EVENT_BYTES,
               LIVE_EVENT_BYTES);
        queue->first = (queue->first + 1u) % queue->capacity;
        queue->count--;
    }
    return taken;
}

#endif
