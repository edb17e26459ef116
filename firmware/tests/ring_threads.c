/* A producer that never waits and a consumer that sometimes does, in two threads. Every sample that arrives
 * must be the one that its place (samples read + dropped) says. */
#define _XOPEN_SOURCE 600

#include <pthread.h>
#include <stdio.h>

#include "audio.h"

#define TOTAL 2000000u
#define BLOCK 61u

static int16_t samples[256];
static stapes_ring_t ring;
static int done;

static void *produce(void *context) {
    uint32_t made = 0;
    while (made < TOTAL) {
        int16_t block[BLOCK];
        for (uint32_t i = 0; i < BLOCK; i++) {
            block[i] = (int16_t)(uint16_t)(made + i);
        }
        (void)stapes_ring_write(&ring, block, BLOCK);
        made += BLOCK;
        for (volatile uint32_t wait = made % 500u; wait != 0u; wait--) {
        }
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    return context;
}

int main(void) {
    pthread_t producer;
    uint32_t taken = 0;
    uint32_t wrong = 0;
    if (stapes_ring_init(&ring, samples, 256) != 0 || pthread_create(&producer, NULL, produce, NULL) != 0) {
        return 1;
    }
    for (;;) {
        int16_t pcm[97];
        const int last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
        const size_t count = stapes_ring_read(&ring, pcm, 1u + taken % 97u);
        for (size_t i = 0; i < count; i++) {
            wrong += pcm[i] != (int16_t)(uint16_t)(taken + i + stapes_ring_dropped(&ring));
        }
        taken += (uint32_t)count;
        if (count == 0 && last) {
            break;
        }
        for (volatile uint32_t wait = taken % 911u; wait != 0u; wait--) {
        }
    }
    (void)pthread_join(producer, NULL);
    printf("%u %u %u %u\n", wrong, taken, ring.lost, (TOTAL + BLOCK - 1u) / BLOCK * BLOCK);
    return 0;
}
