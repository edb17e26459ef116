/* A listening device as a library for the host: tools/stapes/live/host.py builds it and calls it. */
#include "live_event.h"
#include "stapes_app.h"

#define EVENTS 1024u

typedef struct {
    uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
    stapes_live_t live;
    live_queue_t queue;
    uint8_t events[EVENTS * LIVE_EVENT_BYTES];
} library_t;

size_t stapes_library_bytes(void);
int stapes_library_open(library_t *library);
int stapes_library_push(library_t *library, const int16_t *pcm, size_t count);
void stapes_library_lose(library_t *library, uint32_t count);
void stapes_library_flush(library_t *library);
uint32_t stapes_library_take(library_t *library, uint8_t *out, uint32_t most);
uint32_t stapes_library_lost_events(const library_t *library);
uint64_t stapes_library_windows(const library_t *library);

size_t stapes_library_bytes(void) {
    return sizeof(library_t);
}

int stapes_library_open(library_t *library) {
    library->queue = (live_queue_t){.events = library->events, .capacity = EVENTS};
    return stapes_live_init(&library->live, &stapes_app, library->memory, sizeof library->memory,
                            live_queue_add, &library->queue);
}

int stapes_library_push(library_t *library, const int16_t *pcm, size_t count) {
    return stapes_live_push(&library->live, pcm, count);
}

void stapes_library_lose(library_t *library, uint32_t count) {
    (void)stapes_live_lose(&library->live, count);
}

void stapes_library_flush(library_t *library) {
    (void)stapes_live_flush(&library->live);
}

uint32_t stapes_library_take(library_t *library, uint8_t *out, uint32_t most) {
    return live_queue_take(&library->queue, out, most);
}

uint32_t stapes_library_lost_events(const library_t *library) {
    return library->queue.lost;
}

uint64_t stapes_library_windows(const library_t *library) {
    return library->live.windows_total;
}
