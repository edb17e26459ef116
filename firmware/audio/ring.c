/* The buffer between an interrupt and the main loop. */
#include <string.h>

#include "audio.h"
#include "stapes/error.h"

#define LARGEST ((size_t)1 << 30)

/* Each index has one writer; its release makes the samples (or the room) before it seen. On one core this is
 * an ordinary access that the compiler does not move. */
static uint32_t acquire(const uint32_t *index) {
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void release(uint32_t *index, uint32_t value) {
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

int stapes_ring_init(stapes_ring_t *ring, int16_t *samples, size_t count) {
    if (ring == NULL || samples == NULL || count == 0 || count > LARGEST || (count & (count - 1)) != 0) {
        return STAPES_E_ARGUMENT;
    }
    ring->samples = samples;
    ring->mask = (uint32_t)count - 1u;
    stapes_ring_reset(ring);
    return STAPES_OK;
}

void stapes_ring_reset(stapes_ring_t *ring) {
    ring->head = 0;
    ring->tail = 0;
    ring->lost = 0;
    ring->published = 0;
    ring->dropped = 0;
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

size_t stapes_ring_write(stapes_ring_t *ring, const int16_t *pcm, size_t count) {
    const uint32_t head = ring->head;
    const uint32_t used = head - acquire(&ring->tail);
    uint32_t room = ring->mask + 1u - used;
    if (ring->lost != ring->published) {
        if (used != 0) {
            room = 0; /* what comes after the gap waits for what was before it */
        } else {
            ring->published = ring->lost;
        }
    }
    const uint32_t kept = count < room ? (uint32_t)count : room;
    const uint32_t place = head & ring->mask;
    const uint32_t first = smaller(kept, ring->mask + 1u - place);
    memcpy(ring->samples + place, pcm, first * sizeof *pcm);
    memcpy(ring->samples, pcm + first, (kept - first) * sizeof *pcm);
    ring->lost += (uint32_t)(count - kept);
    release(&ring->head, head + kept);
    return kept;
}

void stapes_ring_lose(stapes_ring_t *ring, size_t count) {
    ring->lost += (uint32_t)count;
}

size_t stapes_ring_read(stapes_ring_t *ring, int16_t *pcm, size_t capacity) {
    const uint32_t tail = ring->tail;
    const uint32_t waiting = acquire(&ring->head) - tail;
    const uint32_t count = capacity < waiting ? (uint32_t)capacity : waiting;
    if (waiting == 0) {
        return 0;
    }
    ring->dropped = ring->published;
    const uint32_t place = tail & ring->mask;
    const uint32_t first = smaller(count, ring->mask + 1u - place);
    memcpy(pcm, ring->samples + place, first * sizeof *pcm);
    memcpy(pcm + first, ring->samples, (count - first) * sizeof *pcm);
    release(&ring->tail, tail + count);
    return count;
}

uint32_t stapes_ring_dropped(const stapes_ring_t *ring) {
    return ring->dropped;
}
