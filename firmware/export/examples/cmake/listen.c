/* Listens for ever: the microphone's DMA tells of full halves, a ring takes their samples out of the
 * interrupt, the main loop turns them into events. What your board gives is in microphone.h. */
#include <stdio.h>

#include "microphone.h"
#include "stapes_app.h"
#include "stapes_audio/audio.h"

#define FRAMES 256u /* in half of the DMA's buffer */
#define SLOTS  2u   /* left and right; the microphone's L/R pin is low: left */

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;
static uint32_t dma[2u * FRAMES * SLOTS];
static stapes_i2s_t converter;
static stapes_ring_t ring;
static int16_t waiting[4096]; /* a power of two: how long the main loop may be away */

static void print_time(uint64_t sample) {
    printf("%lu.%03lu", (unsigned long)(sample / STAPES_APP_SAMPLE_RATE),
           (unsigned long)(sample % STAPES_APP_SAMPLE_RATE * 1000u / STAPES_APP_SAMPLE_RATE));
}

/* Here your program reacts. */
static void on_event(void *context, const stapes_live_event_t *event) {
    (void)context;
    if (event->kind == STAPES_LIVE_LEVEL) {
        return; /* how loud it was */
    }
    const char *what = event->class_index >= 0 ? stapes_app.labels[event->class_index] : "lost";
    print_time(event->start);
    if (event->kind == STAPES_LIVE_BEGIN) {
        printf(" s: %s begins\n", what);
        return;
    }
    printf(" to ");
    print_time(event->end);
    printf(" s: %s\n", what);
}

static void take(const uint32_t *words) {
    static int16_t pcm[FRAMES];
    stapes_i2s_push(&converter, words, FRAMES, pcm);
    (void)stapes_ring_write(&ring, pcm, FRAMES);
}

void microphone_half_complete(void) {
    take(dma);
}

void microphone_complete(void) {
    take(dma + FRAMES * SLOTS);
}

int main(void) {
    int error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    if (error == STAPES_OK) {
        error = stapes_i2s_init(&converter, SLOTS, 0u, 0u, MICROPHONE_GAIN);
    }
    if (error == STAPES_OK) {
        error = stapes_ring_init(&ring, waiting, sizeof waiting / sizeof waiting[0]);
    }
    if (error == STAPES_OK &&
        microphone_start(dma, sizeof dma / sizeof dma[0], STAPES_APP_SAMPLE_RATE) != 0) {
        error = STAPES_E_HARDWARE;
    }
    uint32_t dropped = 0;
    while (error == STAPES_OK) {
        int16_t pcm[128];
        const size_t count = stapes_ring_read(&ring, pcm, sizeof pcm / sizeof pcm[0]);
        if (count == 0u) {
            microphone_wait();
            continue;
        }
        const uint32_t lost = stapes_ring_dropped(&ring) - dropped;
        dropped += lost;
        error = stapes_live_lose(&live, lost);
        if (error == STAPES_OK) {
            error = stapes_live_push(&live, pcm, count);
        }
    }
    printf("%s\n", stapes_error_text(error));
    return 1;
}
