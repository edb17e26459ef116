/* Received bytes between an interrupt and the main loop: one producer, one consumer, no locks. */
#ifndef STAPES_BYTE_RING_H
#define STAPES_BYTE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A power of two. */
#ifndef STAPES_UART_RING
#define STAPES_UART_RING 1024u
#endif

typedef struct {
    volatile uint32_t head; /* bytes ever received */
    volatile uint32_t tail; /* bytes ever taken */
    volatile uint8_t bytes[STAPES_UART_RING];
} byte_ring_t;

/* Producer. A full ring takes nothing: leave the byte where it is. */
static inline bool byte_ring_full(const byte_ring_t *ring) {
    return ring->head - ring->tail == STAPES_UART_RING;
}

static inline void byte_ring_put(byte_ring_t *ring, uint8_t byte) {
    const uint32_t head = ring->head;
    ring->bytes[head % STAPES_UART_RING] = byte;
    ring->head = head + 1u;
}

/* Consumer: up to `capacity` bytes. */
static inline size_t byte_ring_take(byte_ring_t *ring, uint8_t *bytes, size_t capacity) {
    uint32_t tail = ring->tail;
    size_t count = 0;
    while (count < capacity && tail != ring->head) {
        bytes[count++] = ring->bytes[tail++ % STAPES_UART_RING];
    }
    ring->tail = tail;
    return count;
}

#endif
