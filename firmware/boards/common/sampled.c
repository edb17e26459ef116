#include "common/sampled.h"

#include "level.h"
#include "stapes/error.h"

#ifndef SAMPLED_RING
#define SAMPLED_RING 4096u /* as on the boards with a microphone */
#endif
#define LOWEST_RATE  4000u
#define HIGHEST_RATE 48000u

static int16_t samples[SAMPLED_RING];
static stapes_ring_t ring;
static uint32_t rate; /* 0: stopped */
static uint64_t made; /* samples, lost ones included */

static void stop(void *context) {
    (void)context;
    rate = 0;
}

static int start(void *context, uint32_t sample_rate) {
    stop(context);
    if (sample_rate < LOWEST_RATE || sample_rate > HIGHEST_RATE) {
        return STAPES_E_ARGUMENT;
    }
    uint32_t room = 4096u; /* for a quarter of a second of the clock's time */
    while (room < 4096u * sampled_speed() && room < SAMPLED_RING) {
        room *= 2u;
    }
    const int error = stapes_ring_init(&ring, samples, room);
    if (error != STAPES_OK) {
        return error;
    }
    if (!sampled_open()) {
        return STAPES_E_HARDWARE;
    }
    made = 0;
    rate = sample_rate;
    return STAPES_OK;
}

static size_t read(void *context, int16_t *pcm, size_t capacity) {
    (void)context;
    if (rate == 0u) {
        return 0;
    }
    for (uint64_t due = sampled_due(rate); made < due;) {
        int16_t chunk[256];
        const size_t most = sizeof chunk / sizeof chunk[0];
        const size_t count = sampled_take(chunk, due - made < most ? (size_t)(due - made) : most);
        if (count == 0u) {
            break;
        }
        (void)stapes_ring_write(&ring, chunk, count);
        made += count;
    }
    return stapes_ring_read(&ring, pcm, capacity);
}

static uint32_t dropped(void *context) {
    (void)context;
    return stapes_ring_dropped(&ring);
}

static uint32_t gain(void *context) {
    (void)context;
    return STAPES_GAIN_ONE;
}

const stapes_audio_t *sampled_audio(void) {
    static const stapes_audio_t source = {start, read, dropped, stop, gain, NULL};
    return &source;
}
