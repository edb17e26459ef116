/* A device that listens for ever: to its own microphone, or to samples that come over the link. Events wait
 * in a queue until the host asks for them. docs/live.md and docs/link-protocol.md describe it. */
#include <stdbool.h>
#include <string.h>

#include "audio.h"
#include "board.h"
#include "device.h"
#include "live_event.h"
#include "stapes_app.h"

#ifndef STAPES_LIVE_QUEUE
#define STAPES_LIVE_QUEUE 32u /* events that wait */
#endif
#ifndef STAPES_LIVE_VIEW
#define STAPES_LIVE_VIEW 8u /* rows of features that wait */
#endif

#define ROW_BYTES STAPES_APP_MODEL_INPUT_ROW_BYTES
/* Samples on the stack: at most one row's. */
#define CHUNK       (STAPES_APP_HOP_LENGTH < 128u ? STAPES_APP_HOP_LENGTH : 128u)
#define WATCHDOG_MS 4000u
#define STATUS_HEAD 56u

typedef char status_fits_one_message[STATUS_HEAD + 4u * STAPES_APP_CLASSES <= STAPES_LINK_PAYLOAD ? 1 : -1];

static struct {
    stapes_link_t link;
    stapes_live_t live;
    live_queue_t queue;
    const stapes_audio_t *audio; /* that is listened to, NULL: samples come over the link */
    uint32_t audio_dropped;
    device_speed_t speed;
    int fault; /* why nothing but hello is answered */
    bool reboot;
    int64_t frames;    /* of the newest row in the view */
    uint32_t view_row; /* rows since the reset */
    uint32_t view_count;
    uint32_t last_ticks;
    uint64_t elapsed; /* ticks since the reset */
} app;

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static uint8_t events[STAPES_LIVE_QUEUE * LIVE_EVENT_BYTES];
static int8_t view[STAPES_LIVE_VIEW][ROW_BYTES];
static uint8_t request_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];
static uint8_t answer_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];

static void count_time(void) {
    const uint32_t now = board_ticks();
    app.elapsed += now - app.last_ticks;
    app.last_ticks = now;
}

static void reset_stream(void) {
    (void)stapes_live_reset(&app.live);
    app.queue = (live_queue_t){.events = events, .capacity = STAPES_LIVE_QUEUE};
    app.frames = 0;
    app.view_row = 0;
    app.view_count = 0;
    count_time();
    app.elapsed = 0;
}

/* At most CHUNK samples. */
static int take_samples(const int16_t *pcm, size_t count) {
    const int error = stapes_live_push(&app.live, pcm, count);
    if (app.live.frames != app.frames) {
        app.frames = app.live.frames;
        memcpy(view[app.view_row % STAPES_LIVE_VIEW], stapes_classifier_newest_row(&app.live.classifier),
               ROW_BYTES);
        app.view_row++;
        if (app.view_count < STAPES_LIVE_VIEW) {
            app.view_count++;
        }
    }
    return error;
}

static void lose_samples(uint32_t count) {
    (void)stapes_live_lose(&app.live, count);
    app.frames = app.live.frames;
}

/* Takes what the microphone has; false: nothing. */
static bool listen(void) {
    int16_t pcm[CHUNK];
    const size_t count = app.audio->read(app.audio->context, pcm, CHUNK);
    if (count == 0u) {
        return false;
    }
    const uint32_t dropped = app.audio->dropped(app.audio->context);
    lose_samples(dropped - app.audio_dropped);
    app.audio_dropped = dropped;
    (void)take_samples(pcm, count);
    return true;
}

static int answer_listen(const uint8_t *payload, size_t length) {
    if (length != 1u) {
        return STAPES_E_MESSAGE;
    }
    if (app.audio != NULL) {
        app.audio->stop(app.audio->context);
        app.audio = NULL;
    }
    if (payload[0] == 0u) {
        return 0;
    }
    const stapes_audio_t *audio = board_audio();
    if (audio == NULL) {
        return STAPES_E_STATE;
    }
    const int error = audio->start(audio->context, STAPES_APP_SAMPLE_RATE);
    if (error == STAPES_OK) {
        reset_stream();
        app.audio_dropped = 0;
        app.audio = audio;
    }
    return error;
}

static int answer_pcm(const uint8_t *payload, size_t length, uint8_t *answer) {
    if (length < 8u || length % 2u != 0u) {
        return STAPES_E_MESSAGE;
    }
    const uint64_t samples = stapes_live_samples(&app.live);
    const uint64_t position = stapes_get_u32(payload) | (uint64_t)stapes_get_u32(payload + 4) << 32;
    if (app.audio != NULL || position < samples || position - samples > UINT32_MAX) {
        return STAPES_E_STATE;
    }
    lose_samples((uint32_t)(position - samples));
    const uint8_t *bytes = payload + 8;
    size_t left = (length - 8u) / 2u;
    while (left > 0u) {
        int16_t chunk[CHUNK];
        const size_t count = left < CHUNK ? left : CHUNK;
        for (size_t i = 0; i < count; i++) {
            chunk[i] = (int16_t)stapes_get_u16(bytes + 2u * i);
        }
        const int error = take_samples(chunk, count);
        if (error < 0) {
            return error;
        }
        bytes += 2u * count;
        left -= count;
    }
    stapes_put_u64(answer, stapes_live_samples(&app.live));
    stapes_put_u16(answer + 8, (uint16_t)app.queue.count);
    return 10;
}

static int answer_events(uint8_t *answer, size_t capacity) {
    const uint32_t taken =
        live_queue_take(&app.queue, answer + 6, (uint32_t)((capacity - 6u) / LIVE_EVENT_BYTES));
    stapes_put_u16(answer, (uint16_t)app.queue.count);
    stapes_put_u32(answer + 2, app.queue.lost);
    return (int)(6u + taken * LIVE_EVENT_BYTES);
}

static int answer_status(uint8_t *answer) {
    const stapes_live_t *live = &app.live;
    count_time();
    stapes_put_u64(answer, stapes_live_samples(live));
    stapes_put_u64(answer + 8, live->ticks_total);
    stapes_put_u64(answer + 16, app.elapsed);
    stapes_put_u64(answer + 24, live->dropped_total);
    stapes_put_u64(answer + 32, live->windows_total);
    stapes_put_u32(answer + 40, live->worst_ticks);
    stapes_put_u32(answer + 44, (uint32_t)live->level);
    stapes_put_u16(answer + 48, (uint16_t)live->decided);
    stapes_put_u16(answer + 50, (uint16_t)live->best);
    answer[52] = live->gate_is_open;
    answer[53] = app.audio != NULL;
    stapes_put_u16(answer + 54, STAPES_APP_CLASSES);
    for (size_t c = 0; c < STAPES_APP_CLASSES; c++) {
        stapes_put_u32(answer + STATUS_HEAD + 4u * c, (uint32_t)live->scores[c]);
    }
    return (int)(STATUS_HEAD + 4u * STAPES_APP_CLASSES);
}

/* The newest rows that were not asked for yet; the first one's number tells how many were left out. */
static int answer_rows(uint8_t *answer, size_t capacity) {
    uint32_t count = (uint32_t)((capacity - 4u) / ROW_BYTES);
    if (count > app.view_count) {
        count = app.view_count;
    }
    const uint32_t first = app.view_row - app.view_count;
    stapes_put_u32(answer, first);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(answer + 4u + i * ROW_BYTES, view[(first + i) % STAPES_LIVE_VIEW], ROW_BYTES);
    }
    app.view_count -= count;
    return (int)(4u + count * ROW_BYTES);
}

static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    if (type == STAPES_MESSAGE_HELLO) {
        return device_hello(out, capacity);
    }
    if (app.fault != STAPES_OK) {
        return app.fault;
    }
    switch (type) {
    case STAPES_MESSAGE_LIVE_PCM: return answer_pcm(payload, length, out);
    case STAPES_MESSAGE_LIVE_LISTEN: return answer_listen(payload, length);
    case STAPES_MESSAGE_BAUD: return device_baud(&app.speed, payload, length);
    default: break;
    }
    if (length != 0u) {
        return STAPES_E_MESSAGE;
    }
    switch (type) {
    case STAPES_MESSAGE_RESET: reset_stream(); return 0;
    case STAPES_MESSAGE_LIVE_EVENTS: return answer_events(out, capacity);
    case STAPES_MESSAGE_LIVE_STATUS: return answer_status(out);
    case STAPES_MESSAGE_LIVE_ROWS: return answer_rows(out, capacity);
    case STAPES_MESSAGE_LIVE_FLUSH: return stapes_live_flush(&app.live);
    case STAPES_MESSAGE_STATS: return device_stats(&app.link, out);
    case STAPES_MESSAGE_REBOOT: app.reboot = true; return 0;
    default: return STAPES_E_MESSAGE;
    }
}

int main(void) {
    board_init();
    board_watchdog_start(WATCHDOG_MS);
    app.fault = stapes_live_init(&app.live, &stapes_app, memory, sizeof memory, live_queue_add, &app.queue);
    if (app.fault == STAPES_OK) {
        (void)stapes_live_set_ticks(&app.live, board_ticks);
        app.last_ticks = board_ticks();
        reset_stream();
    }
    if (stapes_link_init(&app.link, request_buffer, answer_buffer, sizeof request_buffer, answer, NULL,
                         board_write) != STAPES_OK) {
        board_exit(1);
    }
    for (;;) {
        uint8_t bytes[64];
        bool is_idle = true;
        while (app.audio != NULL && listen()) {
            is_idle = false;
            board_watchdog_feed();
        }
        const size_t count = board_read(bytes, sizeof bytes);
        if (count != 0u) {
            is_idle = false;
            stapes_link_receive(&app.link, bytes, count);
        }
        count_time();
        board_watchdog_feed();
        device_change_speed(&app.speed, &app.link);
        if (app.reboot) {
            board_reset();
        }
        if (is_idle && !app.speed.trial) {
            board_sleep();
        }
    }
}
