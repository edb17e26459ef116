/* The harness's server: sound in over the link, every stage's result out. docs/link-protocol.md describes the
 * messages. */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "crc32.h"
#include "device.h"
#include "stapes/decision.h"
#include "stapes/engine.h"
#include "stapes/frontend.h"
#include "stapes_bundle.h"
#include "stapes_frontend_tables.h"
#include "stapes_model.h"
#include "wire.h"

#define STATIC_ASSERT(condition, name) typedef char name[(condition) ? 1 : -1]

#define FRAMES             ((uint32_t)STAPES_WINDOW_FRAMES)
#define WINDOW_SAMPLES     (STAPES_FRAME_LENGTH + (FRAMES - 1u) * STAPES_HOP_LENGTH)
#define WINDOW_HOP_SAMPLES ((uint32_t)STAPES_WINDOW_HOP_FRAMES * STAPES_HOP_LENGTH)
/* Windows that have begun and are not complete, at most. */
#define OPEN_WINDOWS ((WINDOW_SAMPLES + WINDOW_HOP_SAMPLES - 1u) / WINDOW_HOP_SAMPLES + 1u)
#define CHUNK        128u /* samples on the stack */

STATIC_ASSERT(STAPES_MODEL_OUTPUT_BYTES == STAPES_LABEL_COUNT, one_score_per_label);

static struct {
    stapes_frontend_t frontend;
    stapes_engine_t engine;
    stapes_decision_t decision;
    int fault; /* why nothing but the device's own messages is answered */

    uint32_t samples; /* taken since the last reset */
    uint32_t pcm_crc; /* of all of them */
    uint32_t frames;
    uint32_t windows;
    uint64_t squares;                      /* of all samples */
    uint64_t squares_before[OPEN_WINDOWS]; /* the same at each window's start */

    /* The last complete window. */
    uint32_t first_frame;
    uint32_t features_crc;
    uint32_t weight;
    uint32_t frontend_ticks; /* since the window before it */
    uint32_t engine_ticks;
    uint32_t layer_crc[STAPES_MODEL_LAYER_COUNT];
    uint32_t layer_ticks[STAPES_MODEL_LAYER_COUNT];
    uint32_t running_frontend_ticks;
    uint32_t observer_ticks;
} hil;

/* Which bytes of which layer to keep while a window runs again. */
typedef struct {
    uint8_t *bytes;
    size_t offset, count;
    uint16_t layer;
} capture_t;

static int8_t rows[STAPES_WINDOW_FRAMES][STAPES_N_FEATURES];
static uint64_t frontend_memory[(STAPES_FRONTEND_MEMORY_BYTES + 7u) / 8u];
static uint64_t arena[(STAPES_MODEL_ARENA_BYTES + 7u) / 8u];
static uint64_t decision_memory[(STAPES_DECISION_MEMORY_BYTES + 7u) / 8u];

static void reset_stream(void) {
    stapes_frontend_reset(&hil.frontend);
    stapes_engine_reset(&hil.engine);
    stapes_decision_reset(&hil.decision);
    hil.samples = 0;
    hil.pcm_crc = 0;
    hil.frames = 0;
    hil.windows = 0;
    hil.squares = 0;
    hil.running_frontend_ticks = 0;
}

static int initialise(void) {
    if (stapes_model.row_bytes != STAPES_N_FEATURES || stapes_model.rows != STAPES_WINDOW_FRAMES ||
        stapes_model.layer_count != STAPES_MODEL_LAYER_COUNT) {
        return STAPES_E_VERSION;
    }
    int error =
        stapes_frontend_init(&hil.frontend, &stapes_frontend_tables, frontend_memory, sizeof frontend_memory);
    if (error == STAPES_OK) {
        error = stapes_engine_init(&hil.engine, &stapes_model, arena, sizeof arena);
    }
    if (error == STAPES_OK) {
        error = stapes_decision_init(&hil.decision, &stapes_decision_rule, decision_memory,
                                     sizeof decision_memory);
    }
    return error;
}

/* Gives the kept rows to the engine, oldest first. */
static int run_window(void) {
    board_led(1);
    stapes_engine_reset(&hil.engine);
    int result = 0;
    for (uint32_t i = 0; i < FRAMES && result >= 0; i++) {
        result = stapes_engine_push_row(&hil.engine, rows[(hil.first_frame + i) % FRAMES]);
    }
    board_led(0);
    return result < 0 ? result : result == 1 ? STAPES_OK : STAPES_E_STATE;
}

static void checksum_row(void *context, uint16_t layer, uint32_t row, const int8_t *data, size_t bytes) {
    (void)context;
    (void)row;
    uint32_t start = board_ticks();
    board_watchdog_feed();
    hil.layer_crc[layer] = stapes_crc32(hil.layer_crc[layer], data, bytes);
    hil.observer_ticks += board_ticks() - start;
}

static void capture_row(void *context, uint16_t layer, uint32_t row, const int8_t *data, size_t bytes) {
    const capture_t *capture = context;
    size_t start = (size_t)row * bytes;
    board_watchdog_feed();
    if (layer != capture->layer || start >= capture->offset + capture->count ||
        start + bytes <= capture->offset) {
        return;
    }
    size_t from = start < capture->offset ? capture->offset - start : 0u;
    size_t to = bytes;
    if (start + to > capture->offset + capture->count) {
        to = capture->offset + capture->count - start;
    }
    memcpy(capture->bytes + (start + from - capture->offset), data + from, to - from);
}

static int complete_window(void) {
    hil.first_frame = hil.frames - FRAMES;
    hil.frontend_ticks = hil.running_frontend_ticks;
    hil.running_frontend_ticks = 0;
    hil.features_crc = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        hil.features_crc =
            stapes_crc32(hil.features_crc, rows[(hil.first_frame + i) % FRAMES], STAPES_N_FEATURES);
    }
    uint64_t before = hil.squares_before[hil.windows % OPEN_WINDOWS];
    hil.weight = stapes_decision_weight(&stapes_decision_rule, hil.squares - before, WINDOW_SAMPLES);

    memset(hil.layer_crc, 0, sizeof hil.layer_crc);
    memset(hil.layer_ticks, 0, sizeof hil.layer_ticks);
    hil.observer_ticks = 0;
    stapes_engine_set_observer(&hil.engine, checksum_row, NULL);
    stapes_engine_set_profile(&hil.engine, board_ticks, hil.layer_ticks);
    uint32_t start = board_ticks();
    int error = run_window();
    hil.engine_ticks = board_ticks() - start - hil.observer_ticks;
    stapes_engine_set_observer(&hil.engine, NULL, NULL);
    stapes_engine_set_profile(&hil.engine, NULL, NULL);
    if (error != STAPES_OK) {
        return error;
    }
    stapes_decision_add(&hil.decision, stapes_engine_output(&hil.engine, 0), hil.weight);
    hil.windows++;
    return STAPES_OK;
}

/* Takes samples until all are taken (0) or a window is complete (1). */
static int take_samples(const int16_t *pcm, size_t count) {
    size_t taken = 0;
    while (taken < count) {
        uint32_t phase = hil.samples % WINDOW_HOP_SAMPLES;
        if (phase == 0u) {
            hil.squares_before[hil.samples / WINDOW_HOP_SAMPLES % OPEN_WINDOWS] = hil.squares;
        }
        size_t step = count - taken;
        if (step > WINDOW_HOP_SAMPLES - phase) {
            step = WINDOW_HOP_SAMPLES - phase; /* stop where the next window starts */
        }
        size_t consumed = 0;
        uint32_t start = board_ticks();
        int result =
            stapes_frontend_push(&hil.frontend, pcm + taken, step, &consumed, rows[hil.frames % FRAMES]);
        hil.running_frontend_ticks += board_ticks() - start;
        if (result < 0) {
            return result;
        }
        for (size_t i = 0; i < consumed; i++) {
            int32_t sample = pcm[taken + i];
            hil.squares += (uint32_t)(sample * sample);
        }
        hil.pcm_crc = stapes_crc32(hil.pcm_crc, pcm + taken, consumed * sizeof *pcm);
        taken += consumed;
        hil.samples += (uint32_t)consumed;
        if (result == 1) {
            hil.frames++;
            if (hil.frames == hil.windows * STAPES_WINDOW_HOP_FRAMES + FRAMES) {
                int error = complete_window();
                return error != STAPES_OK ? error : 1;
            }
        }
    }
    return 0;
}

static int answer_pcm(const uint8_t *payload, size_t length, uint8_t *answer) {
    const wire_pcm_request_t *request = (const wire_pcm_request_t *)payload;
    if (length < sizeof *request || (length - sizeof *request) % 2u != 0u) {
        return STAPES_E_MESSAGE;
    }
    if (stapes_get_u32(request->samples) != hil.samples) {
        return STAPES_E_STATE;
    }
    const uint8_t *bytes = request->pcm;
    size_t left = (length - sizeof *request) / 2u;
    int result = 0;
    while (left > 0u && result == 0) {
        int16_t chunk[CHUNK];
        size_t count = left < CHUNK ? left : CHUNK;
        for (size_t i = 0; i < count; i++) {
            chunk[i] = (int16_t)stapes_get_u16(bytes + 2u * i);
        }
        uint32_t before = hil.samples;
        result = take_samples(chunk, count);
        bytes += 2u * (hil.samples - before);
        left -= hil.samples - before;
    }
    if (result < 0) {
        return result;
    }
    wire_pcm_answer_t *pushed = (wire_pcm_answer_t *)answer;
    STAPES_PUT(pushed->samples, hil.samples);
    STAPES_PUT(pushed->frames, hil.frames);
    STAPES_PUT(pushed->windows, hil.windows);
    STAPES_PUT(pushed->window_ready, result);
    STAPES_PUT(pushed->pcm_crc, hil.pcm_crc);
    return (int)sizeof *pushed;
}

static int answer_window(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_window_request_t *request = (const wire_window_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    if (hil.windows == 0u) {
        return STAPES_E_STATE;
    }
    const size_t first_class = stapes_get_u16(request->first_class);
    const size_t first_layer = stapes_get_u16(request->first_layer);
    if (first_class > STAPES_LABEL_COUNT || first_layer > STAPES_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    wire_window_answer_t *head = (wire_window_answer_t *)answer;
    const size_t room = capacity - sizeof *head;
    const size_t scores = device_page(STAPES_LABEL_COUNT, first_class, room, 1u);
    const size_t layers =
        first_class + scores < STAPES_LABEL_COUNT
            ? 0u
            : device_page(STAPES_MODEL_LAYER_COUNT, first_layer, room - scores, sizeof(wire_window_layer_t));
    STAPES_PUT(head->index, hil.windows - 1u);
    STAPES_PUT(head->features_crc, hil.features_crc);
    STAPES_PUT(head->weight, hil.weight);
    STAPES_PUT(head->frontend_ticks, hil.frontend_ticks);
    STAPES_PUT(head->engine_ticks, hil.engine_ticks);
    STAPES_PUT(head->class_count, STAPES_LABEL_COUNT);
    STAPES_PUT(head->first_class, first_class);
    STAPES_PUT(head->scores_here, scores);
    STAPES_PUT(head->layer_count, STAPES_MODEL_LAYER_COUNT);
    STAPES_PUT(head->first_layer, first_layer);
    memcpy(head->scores, stapes_engine_output(&hil.engine, 0) + first_class, scores);
    wire_window_layer_t *layer = (wire_window_layer_t *)(head->scores + scores);
    for (size_t i = 0; i < layers; i++) {
        STAPES_PUT(layer[i].crc, hil.layer_crc[first_layer + i]);
        STAPES_PUT(layer[i].ticks, hil.layer_ticks[first_layer + i]);
    }
    return (int)(sizeof *head + scores + layers * sizeof *layer);
}

/* Whether all rows of the last complete window are still there: no frame came after it. */
static bool rows_kept(void) {
    return hil.windows > 0u && hil.frames == hil.first_frame + FRAMES;
}

static int answer_features(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_features_request_t *request = (const wire_features_request_t *)payload;
    const size_t total = sizeof rows;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    size_t offset = stapes_get_u32(request->offset);
    if (!rows_kept()) {
        return STAPES_E_STATE;
    }
    if (offset > total) {
        return STAPES_E_ARGUMENT;
    }
    wire_page_answer_t *page = (wire_page_answer_t *)answer;
    size_t count = device_page(total, offset, capacity - sizeof *page, 1u);
    STAPES_PUT(page->total, total);
    STAPES_PUT(page->offset, offset);
    for (size_t i = 0; i < count; i++) {
        size_t at = offset + i;
        uint32_t row = (hil.first_frame + (uint32_t)(at / STAPES_N_FEATURES)) % FRAMES;
        page->bytes[i] = (uint8_t)rows[row][at % STAPES_N_FEATURES];
    }
    return (int)(sizeof *page + count);
}

static int answer_activations(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_activations_request_t *request = (const wire_activations_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    capture_t capture = {.layer = stapes_get_u16(request->layer), .offset = stapes_get_u32(request->offset)};
    if (!rows_kept()) {
        return STAPES_E_STATE;
    }
    if (capture.layer >= STAPES_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_tensor_t *tensor = stapes_layer_output(&stapes_model, capture.layer);
    size_t total = (size_t)tensor->rows * stapes_row_bytes(tensor);
    if (capture.offset > total) {
        return STAPES_E_ARGUMENT;
    }
    wire_page_answer_t *page = (wire_page_answer_t *)answer;
    capture.count = device_page(total, capture.offset, capacity - sizeof *page, 1u);
    capture.bytes = page->bytes;
    memset(capture.bytes, 0, capture.count);
    stapes_engine_set_observer(&hil.engine, capture_row, &capture);
    int error = run_window();
    stapes_engine_set_observer(&hil.engine, NULL, NULL);
    if (error != STAPES_OK) {
        return error;
    }
    STAPES_PUT(page->total, total);
    STAPES_PUT(page->offset, capture.offset);
    return (int)(sizeof *page + capture.count);
}

static int answer_decision(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_decision_request_t *request = (const wire_decision_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    const size_t first = stapes_get_u16(request->first_class);
    if (first > STAPES_LABEL_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    stapes_verdict_t verdict;
    int error = stapes_decision_verdict(&hil.decision, &verdict);
    if (error < 0) {
        return error;
    }
    wire_decision_answer_t *head = (wire_decision_answer_t *)answer;
    STAPES_PUT(head->class_index, verdict.class_index);
    STAPES_PUT(head->best, verdict.best);
    STAPES_PUT(head->confidence, verdict.confidence);
    STAPES_PUT(head->windows, hil.decision.windows);
    STAPES_PUT(head->weight, hil.decision.weight);
    STAPES_PUT(head->class_count, STAPES_LABEL_COUNT);
    STAPES_PUT(head->first_class, first);
    const size_t count = device_page(STAPES_LABEL_COUNT, first, capacity - sizeof *head, 8u);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u64(head->sums + 8u * i, (uint64_t)hil.decision.sums[first + i]);
    }
    return (int)(sizeof *head + 8u * count);
}

static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    if (hil.fault != STAPES_OK) {
        return hil.fault;
    }
    switch (type) {
    case STAPES_MESSAGE_RESET:
        if (length != 0u) {
            return STAPES_E_MESSAGE;
        }
        reset_stream();
        return 0;
    case STAPES_MESSAGE_PCM: return answer_pcm(payload, length, out);
    case STAPES_MESSAGE_WINDOW: return answer_window(payload, length, out, capacity);
    case STAPES_MESSAGE_FEATURES: return answer_features(payload, length, out, capacity);
    case STAPES_MESSAGE_ACTIVATIONS: return answer_activations(payload, length, out, capacity);
    case STAPES_MESSAGE_DECISION: return answer_decision(payload, length, out, capacity);
    default: return STAPES_E_MESSAGE;
    }
}

int main(void) {
    board_init();
    device_start(answer);
    hil.fault = initialise();
    if (hil.fault == STAPES_OK) {
        reset_stream();
    }
    for (;;) {
        (void)device_turn();
    }
}
