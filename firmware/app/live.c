/* A device that listens for ever: to its own microphone, or to samples that come over the link. Events wait
 * in a queue until the host asks for them. docs/live.md and docs/link-protocol.md describe it. */
#include <stdbool.h>
#include <string.h>

#include "audio.h"
#include "board.h"
#include "device.h"
#include "live_event.h"
#include "live_history.h"
#include "recording.h"
#include "stapes_app.h"

#ifndef STAPES_LIVE_QUEUE
#define STAPES_LIVE_QUEUE 32u /* events that wait */
#endif
#ifndef STAPES_LIVE_VIEW
#define STAPES_LIVE_VIEW 8u /* rows of features that wait */
#endif

#define ROW_BYTES STAPES_APP_MODEL_INPUT_ROW_BYTES
/* Samples on the stack: at most one row's. */
#define CHUNK (STAPES_APP_HOP_LENGTH < 128u ? STAPES_APP_HOP_LENGTH : 128u)

typedef char
    row_fits_one_message[sizeof(wire_live_rows_answer_t) + ROW_BYTES <= STAPES_LINK_PAYLOAD ? 1 : -1];

static struct {
    stapes_live_t live;
    live_queue_t queue;
    const stapes_audio_t *audio; /* that is listened to, NULL: samples come over the link */
    uint32_t audio_dropped;
    recording_t recording; /* the microphone only, or nothing */
    int fault;             /* why nothing but the device's own messages is answered */
    int64_t frames;        /* of the newest row in the view */
    uint32_t view_row;     /* rows since the reset */
    uint32_t view_count;
    uint32_t last_ticks;
    uint64_t elapsed; /* ticks since the reset */
} app;

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static uint8_t events[STAPES_LIVE_QUEUE * LIVE_EVENT_BYTES];
static int8_t view[STAPES_LIVE_VIEW][ROW_BYTES];

static void count_time(void) {
    const uint32_t now = board_ticks();
    app.elapsed += now - app.last_ticks;
    app.last_ticks = now;
}

static void reset_stream(void) {
    (void)stapes_live_reset(&app.live);
    app.queue = (live_queue_t){.events = events, .capacity = STAPES_LIVE_QUEUE};
#if STAPES_LIVE_HISTORY > 0
    live_history_reset();
#endif
    app.frames = 0;
    app.view_row = 0;
    app.view_count = 0;
    count_time();
    app.elapsed = 0;
}

/* At most CHUNK samples. */
static int take_samples(const int16_t *pcm, size_t count) {
    const int error = stapes_live_push(&app.live, pcm, count);
#if STAPES_LIVE_HISTORY > 0
    live_history_add(pcm, count);
#endif
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
#if STAPES_LIVE_HISTORY > 0
    live_history_lose(count);
#endif
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
    const wire_live_listen_request_t *request = (const wire_live_listen_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    if (app.audio != NULL) {
        app.audio->stop(app.audio->context);
        app.audio = NULL;
    }
    recording_stop(&app.recording);
    if (request->on[0] == 0u) {
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

static int answer_record(const uint8_t *payload, size_t length, uint8_t *answer) {
    if (app.audio != NULL) {
        app.audio->stop(app.audio->context);
        app.audio = NULL;
    }
    return recording_start(&app.recording, payload, length, answer);
}

static int answer_pcm(const uint8_t *payload, size_t length, uint8_t *answer) {
    const wire_live_pcm_request_t *request = (const wire_live_pcm_request_t *)payload;
    if (length < sizeof *request || (length - sizeof *request) % 2u != 0u) {
        return STAPES_E_MESSAGE;
    }
    const uint64_t samples = stapes_live_samples(&app.live);
    const uint64_t position = stapes_get_u64(request->position);
    if (app.audio != NULL || position < samples || position - samples > UINT32_MAX) {
        return STAPES_E_STATE;
    }
    lose_samples((uint32_t)(position - samples));
    const uint8_t *bytes = request->pcm;
    size_t left = (length - sizeof *request) / 2u;
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
    wire_live_pcm_answer_t *pushed = (wire_live_pcm_answer_t *)answer;
    STAPES_PUT(pushed->samples, stapes_live_samples(&app.live));
    STAPES_PUT(pushed->waiting, app.queue.count);
    return (int)sizeof *pushed;
}

static int answer_events(uint8_t *answer, size_t capacity) {
    wire_live_events_answer_t *head = (wire_live_events_answer_t *)answer;
    const size_t most = (capacity - sizeof *head) / LIVE_EVENT_BYTES;
    const uint32_t taken = live_queue_take(&app.queue, head->events, (uint32_t)most);
    STAPES_PUT(head->waiting, app.queue.count);
    STAPES_PUT(head->lost, app.queue.lost);
    return (int)(sizeof *head + taken * LIVE_EVENT_BYTES);
}

static int answer_status(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_live_status_request_t *request = (const wire_live_status_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    const size_t first = stapes_get_u16(request->first_class);
    if (first > STAPES_APP_CLASSES) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_live_t *live = &app.live;
    wire_live_status_answer_t *head = (wire_live_status_answer_t *)answer;
    count_time();
    STAPES_PUT(head->samples, stapes_live_samples(live));
    STAPES_PUT(head->busy, live->ticks_total);
    STAPES_PUT(head->elapsed, app.elapsed);
    STAPES_PUT(head->dropped, live->dropped_total);
    STAPES_PUT(head->windows, live->windows_total);
    STAPES_PUT(head->worst_step, live->worst_ticks);
    STAPES_PUT(head->level, live->level);
    STAPES_PUT(head->decided, live->decided);
    STAPES_PUT(head->best, live->best);
    STAPES_PUT(head->gate_is_open, live->gate_is_open);
    STAPES_PUT(head->listening, app.audio != NULL);
    STAPES_PUT(head->class_count, STAPES_APP_CLASSES);
    STAPES_PUT(head->first_class, first);
    const size_t count = device_page(STAPES_APP_CLASSES, first, capacity - sizeof *head, 4u);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u32(head->scores + 4u * i, (uint32_t)live->scores[first + i]);
    }
    return (int)(sizeof *head + 4u * count);
}

/* The newest rows that were not asked for yet; the first one's number tells how many were left out. */
static int answer_rows(uint8_t *answer, size_t capacity) {
    wire_live_rows_answer_t *head = (wire_live_rows_answer_t *)answer;
    uint32_t count = (uint32_t)((capacity - sizeof *head) / ROW_BYTES);
    if (count > app.view_count) {
        count = app.view_count;
    }
    const uint32_t first = app.view_row - app.view_count;
    STAPES_PUT(head->first, first);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(head->rows + i * ROW_BYTES, view[(first + i) % STAPES_LIVE_VIEW], ROW_BYTES);
    }
    app.view_count -= count;
    return (int)(sizeof *head + count * ROW_BYTES);
}

static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    if (app.fault != STAPES_OK) {
        return app.fault;
    }
    switch (type) {
    case STAPES_MESSAGE_LIVE_PCM: return answer_pcm(payload, length, out);
    case STAPES_MESSAGE_LIVE_LISTEN: return answer_listen(payload, length);
#if STAPES_LIVE_HISTORY > 0
    case STAPES_MESSAGE_LIVE_HISTORY: return live_history_answer(payload, length, out, capacity);
#endif
    case STAPES_MESSAGE_RECORD: return answer_record(payload, length, out);
    case STAPES_MESSAGE_LIVE_STATUS: return answer_status(payload, length, out, capacity);
    default: break;
    }
    if (length != 0u) {
        return STAPES_E_MESSAGE;
    }
    switch (type) {
    case STAPES_MESSAGE_RESET: reset_stream(); return 0;
    case STAPES_MESSAGE_LIVE_EVENTS: return answer_events(out, capacity);
    case STAPES_MESSAGE_LIVE_ROWS: return answer_rows(out, capacity);
    case STAPES_MESSAGE_SAMPLES: return recording_take(&app.recording, out, capacity);
    case STAPES_MESSAGE_LIVE_FLUSH: return stapes_live_flush(&app.live);
    default: return STAPES_E_MESSAGE;
    }
}

int main(void) {
    board_init();
    device_start(answer);
    app.fault = stapes_live_init(&app.live, &stapes_app, memory, sizeof memory, live_queue_add, &app.queue);
    if (app.fault == STAPES_OK) {
        (void)stapes_live_set_ticks(&app.live, board_ticks);
        app.last_ticks = board_ticks();
        reset_stream();
    }
    for (;;) {
        bool is_idle = true;
        while (app.audio != NULL && listen()) {
            is_idle = false;
            board_watchdog_feed();
        }
        if (device_turn()) {
            is_idle = false;
        }
        count_time();
        if (is_idle) {
            board_sleep();
        }
    }
}
