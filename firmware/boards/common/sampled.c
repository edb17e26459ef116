#include "common/sampled.h"

#include "level.h"
#include "stapes/error.h"

#define RING         4096u /* as on the boards with a microphone */
#define LOWEST_RATE  4000u
#define HIGHEST_RATE 48000u

static int16_t samples[RING];
static stapes_ring_t ring;
static uint32_t rate; /* 0: stopped */
static uint64_t made; /* samples, lost ones included */
static uint64_t used; /* samples that were read */

static void stop(void *context) {
    (void)context;
    rate = 0;
}

static int start(void *context, uint32_t sample_rate) {
    stop(context);
    if (sample_rate < LOWEST_RATE || sample_rate > HIGHEST_RATE) {
        return STAPES_E_ARGUMENT;
    }
    const int error = stapes_ring_init(&ring, samples, RING);
    if (error != STAPES_OK) {
        return error;
    }
    if (!sampled_open()) {
        return STAPES_E_HARDWARE;
    }
    made = 0;
    used = 0;
    rate = sample_rate;
    return STAPES_OK;
}

static size_t read(void *context, int16_t *pcm, size_t capacity) {
    (void)context;
    if (rate == 0u) {
        return 0;
    }
    uint64_t due = sampled_due(rate);
    if (sampled_speed() > 1u && due > used + RING) {
        due = used + RING; /* nobody hears faster than the clock: a test's reader, which is waited for */
    }
    while (made < due) {
        int16_t chunk[256];
        const size_t most = sizeof chunk / sizeof chunk[0];
        const size_t count = sampled_take(chunk, due - made < most ? (size_t)(due - made) : most);
        if (count == 0u) {
            break;
        }
        (void)stapes_ring_write(&ring, chunk, count);
        made += count;
    }
    const size_t count = stapes_ring_read(&ring, pcm, capacity);
    used += count;
    return count;
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
