/* The harness server under libFuzzer, or with FUZZ_LIVE the program that listens. An input is either raw
 * bytes of the line (first byte even) or a list of requests (odd): type, flags, length, payload. The latter
 * are sealed and numbered here, so that the fuzzer gets past the CRC. */
#include <stdlib.h>

#include "audio.h"

#define main app_main
#ifdef FUZZ_LIVE
#include "../app/live.c"
#else
#include "../app/hil.c"
#endif
#undef main

#define LONGEST 255u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t ticks;
static uint8_t sent[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD) * 2u];
static size_t sent_count;
static const stapes_board_info_t info = {"fuzz", STAPES_COUNTER_NONE, 1u, 1u, 1000u, 1000000u};

void board_init(void) {}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    (void)bytes;
    (void)capacity;
    return 0;
}

void board_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sent[sent_count++ % sizeof sent] = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

uint32_t board_ticks(void) {
    return ticks++;
}

uint32_t board_stack_high_water(void) {
    return 0;
}

void board_reset(void) {}

void board_exit(int status) {
    exit(status);
}

static uint8_t stuffed[2048];
static size_t stuffed_count;

static void collect(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        stuffed[stuffed_count++] = bytes[i];
    }
}

static void request(uint16_t sequence, uint8_t type, const uint8_t *payload, size_t length) {
    uint8_t frame[STAPES_REQUEST_HEADER_BYTES + LONGEST + STAPES_FRAME_CRC_BYTES];
    stapes_put_u16(frame, sequence);
    frame[2] = type;
    memcpy(frame + STAPES_REQUEST_HEADER_BYTES, payload, length);
    stuffed_count = 0;
    stapes_frame_send(frame, stapes_frame_seal(frame, STAPES_REQUEST_HEADER_BYTES + length), collect);
    device_receive(stuffed, stuffed_count);
}

/* A microphone that has something to say at most calls, and loses some. */
static int hear(void *context, uint32_t sample_rate) {
    (void)context;
    return sample_rate > 48000u ? STAPES_E_ARGUMENT : STAPES_OK;
}

static size_t take(void *context, int16_t *pcm, size_t capacity) {
    (void)context;
    const size_t count = ticks++ % (capacity + 1u);
    for (size_t i = 0; i < count; i++) {
        pcm[i] = (int16_t)(ticks * i);
    }
    return count;
}

static uint32_t dropped(void *context) {
    (void)context;
    return ticks / 7u;
}

static void silence(void *context) {
    (void)context;
}

static uint32_t gain(void *context) {
    (void)context;
    return 2048u;
}

const stapes_audio_t *board_audio(void) {
    static const stapes_audio_t source = {hear, take, dropped, silence, gain, NULL};
    return &source;
}

/* Without the right count of samples hardly any sound would be taken. */
#ifdef FUZZ_LIVE
static void put_position(uint8_t type, uint8_t *payload, size_t length) {
    if (type == STAPES_MESSAGE_LIVE_PCM && length >= 8u) {
        stapes_put_u64(payload, stapes_live_samples(&app.live) + payload[7]); /* sometimes some are lost */
    }
}

static int initialise(void) {
    return stapes_live_init(&app.live, &stapes_app, memory, sizeof memory, live_queue_add, &app.queue);
}
#else
static void put_position(uint8_t type, uint8_t *payload, size_t length) {
    if (type == STAPES_MESSAGE_PCM && length >= 4u) {
        stapes_put_u32(payload, hil.samples);
    }
}

static int initialise(void) {
    return stapes_classifier_init(&hil.classifier, &stapes_app, memory, sizeof memory);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready;
    if (!ready && initialise() != STAPES_OK) {
        abort();
    }
    ready = true;
    reset_stream();
    device_start(answer);
    if (size == 0u) {
        return 0;
    }
    if (data[0] % 2u == 0u) {
        device_receive(data + 1, size - 1u);
        return 0;
    }
    static const uint8_t hello[5] = {1, 2, 3, 4, STAPES_PROTOCOL_VERSION};
    uint16_t sequence = 1;
    request(sequence, STAPES_MESSAGE_HELLO, hello, sizeof hello);
    for (size_t at = 1; at + 3u <= size;) {
        uint8_t type = data[at], flags = data[at + 1];
        size_t length = data[at + 2];
        at += 3u;
        if (length > size - at) {
            length = size - at;
        }
        uint8_t payload[LONGEST];
        memcpy(payload, data + at, length);
        at += length;
        if ((flags & 2u) == 0u) {
            put_position(type, payload, length);
        }
        sequence = (uint16_t)(sequence + ((flags & 1u) == 0u ? 1u : 0u));
        request(sequence, type, payload, length);
    }
    return 0;
}
