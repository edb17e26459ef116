/* The harness's server: sound in over the link, every stage's result out. docs/link-protocol.md describes the
 * messages. */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "crc32.h"
#include "device.h"
#include "stapes_app.h"
#include "wire.h"

#define FRAMES    ((uint32_t)STAPES_APP_WINDOW_FRAMES)
#define ROW_BYTES STAPES_APP_MODEL_INPUT_ROW_BYTES
#define CHUNK     128u /* samples on the stack */

static struct {
    stapes_classifier_t classifier;
    int fault; /* why nothing but the device's own messages is answered */

    uint32_t samples; /* taken since the last reset */
    uint32_t pcm_crc; /* of all of them */
    uint32_t frames;
    uint32_t windows;

    /* The last complete window. */
    uint32_t features_crc;
    uint32_t frontend_ticks; /* since the window before it */
    uint32_t engine_ticks;
    uint32_t layer_crc[STAPES_APP_MODEL_LAYER_COUNT];
    uint32_t layer_ticks[STAPES_APP_MODEL_LAYER_COUNT];
    uint32_t observer_ticks;
} hil;

/* Which bytes of which layer to keep while a window runs again. */
typedef struct {
    uint8_t *bytes;
    size_t offset, count;
    uint16_t layer;
} capture_t;

static uint64_t memory[(STAPES_APP_REPEAT_MEMORY_BYTES + 7u) / 8u];

static void reset_stream(void) {
    (void)stapes_classifier_reset(&hil.classifier);
    hil.samples = 0;
    hil.pcm_crc = 0;
    hil.frames = 0;
    hil.windows = 0;
}

/* Runs the window whose rows are kept. */
static int run_window(void) {
    board_led(1);
    int error = stapes_classifier_repeat(&hil.classifier);
    board_led(0);
    return error;
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
    stapes_engine_t *engine = &hil.classifier.engine;
    hil.frontend_ticks = hil.classifier.frontend_ticks;
    hil.classifier.frontend_ticks = 0;
    hil.features_crc = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        hil.features_crc =
            stapes_crc32(hil.features_crc, stapes_classifier_row(&hil.classifier, i), ROW_BYTES);
    }
    memset(hil.layer_crc, 0, sizeof hil.layer_crc);
    memset(hil.layer_ticks, 0, sizeof hil.layer_ticks);
    hil.observer_ticks = 0;
    (void)stapes_engine_set_observer(engine, checksum_row, NULL);
    (void)stapes_engine_set_profile(engine, board_ticks, hil.layer_ticks);
    uint32_t start = board_ticks();
    int error = run_window();
    hil.engine_ticks = board_ticks() - start - hil.observer_ticks;
    (void)stapes_engine_set_observer(engine, NULL, NULL);
    (void)stapes_engine_set_profile(engine, NULL, NULL);
    if (error == STAPES_OK) {
        error = stapes_classifier_vote(&hil.classifier);
        hil.windows++;
    }
    return error != STAPES_OK ? error : 1;
}

/* Takes samples until all are taken (0) or a window is complete (1). */
static int take_samples(const int16_t *pcm, size_t count) {
    while (count > 0u) {
        size_t taken = 0;
        int result = stapes_classifier_hear(&hil.classifier, pcm, count, &taken);
        hil.pcm_crc = stapes_crc32(hil.pcm_crc, pcm, taken * sizeof *pcm);
        hil.samples += (uint32_t)taken;
        pcm += taken;
        count -= taken;
        if (result == 1) {
            hil.frames++;
            result = stapes_classifier_keep(&hil.classifier);
        }
        if (result == 1) {
            result = complete_window();
        }
        if (result != 0) {
            return result;
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
    if (first_class > STAPES_APP_CLASSES || first_layer > STAPES_APP_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    wire_window_answer_t *head = (wire_window_answer_t *)answer;
    const size_t room = capacity - sizeof *head;
    const size_t scores = device_page(STAPES_APP_CLASSES, first_class, room, 1u);
    const size_t layers = first_class + scores < STAPES_APP_CLASSES
                              ? 0u
                              : device_page(STAPES_APP_MODEL_LAYER_COUNT, first_layer, room - scores,
                                            sizeof(wire_window_layer_t));
    STAPES_PUT(head->index, hil.windows - 1u);
    STAPES_PUT(head->features_crc, hil.features_crc);
    STAPES_PUT(head->weight, hil.classifier.weight);
    STAPES_PUT(head->frontend_ticks, hil.frontend_ticks);
    STAPES_PUT(head->engine_ticks, hil.engine_ticks);
    STAPES_PUT(head->class_count, STAPES_APP_CLASSES);
    STAPES_PUT(head->first_class, first_class);
    STAPES_PUT(head->scores_here, scores);
    STAPES_PUT(head->layer_count, STAPES_APP_MODEL_LAYER_COUNT);
    STAPES_PUT(head->first_layer, first_layer);
    memcpy(head->scores, stapes_classifier_scores(&hil.classifier) + first_class, scores);
    wire_window_layer_t *layer = (wire_window_layer_t *)(head->scores + scores);
    for (size_t i = 0; i < layers; i++) {
        STAPES_PUT(layer[i].crc, hil.layer_crc[first_layer + i]);
        STAPES_PUT(layer[i].ticks, hil.layer_ticks[first_layer + i]);
    }
    return (int)(sizeof *head + scores + layers * sizeof *layer);
}

static int answer_features(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_features_request_t *request = (const wire_features_request_t *)payload;
    const size_t total = FRAMES * ROW_BYTES;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    size_t offset = stapes_get_u32(request->offset);
    if (stapes_classifier_row(&hil.classifier, 0) == NULL) {
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
        const int8_t *row = stapes_classifier_row(&hil.classifier, (uint32_t)(at / ROW_BYTES));
        page->bytes[i] = (uint8_t)row[at % ROW_BYTES];
    }
    return (int)(sizeof *page + count);
}

static int answer_activations(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const wire_activations_request_t *request = (const wire_activations_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    capture_t capture = {.layer = stapes_get_u16(request->layer), .offset = stapes_get_u32(request->offset)};
    if (stapes_classifier_row(&hil.classifier, 0) == NULL) {
        return STAPES_E_STATE;
    }
    if (capture.layer >= STAPES_APP_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_tensor_t *tensor = stapes_layer_output(stapes_app.model, capture.layer);
    /* What it keeps from the window before it does not make in this one. */
    size_t total =
        (size_t)(tensor->rows - stapes_kept_rows(stapes_app.model, tensor)) * stapes_row_bytes(tensor);
    if (capture.offset > total) {
        return STAPES_E_ARGUMENT;
    }
    wire_page_answer_t *page = (wire_page_answer_t *)answer;
    capture.count = device_page(total, capture.offset, capacity - sizeof *page, 1u);
    capture.bytes = page->bytes;
    memset(capture.bytes, 0, capture.count);
    (void)stapes_engine_set_observer(&hil.classifier.engine, capture_row, &capture);
    int error = run_window();
    (void)stapes_engine_set_observer(&hil.classifier.engine, NULL, NULL);
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
    if (first > STAPES_APP_CLASSES) {
        return STAPES_E_ARGUMENT;
    }
    stapes_verdict_t verdict;
    int error = stapes_classifier_verdict(&hil.classifier, &verdict);
    if (error < 0) {
        return error;
    }
    wire_decision_answer_t *head = (wire_decision_answer_t *)answer;
    STAPES_PUT(head->class_index, verdict.class_index);
    STAPES_PUT(head->best, verdict.best);
    STAPES_PUT(head->confidence, verdict.confidence);
    STAPES_PUT(head->windows, hil.classifier.decision.windows);
    STAPES_PUT(head->weight, hil.classifier.decision.weight);
    STAPES_PUT(head->class_count, STAPES_APP_CLASSES);
    STAPES_PUT(head->first_class, first);
    const size_t count = device_page(STAPES_APP_CLASSES, first, capacity - sizeof *head, 8u);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u64(head->sums + 8u * i, (uint64_t)hil.classifier.decision.sums[first + i]);
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
    hil.fault = stapes_classifier_init(&hil.classifier, &stapes_app, memory, sizeof memory);
    (void)stapes_classifier_set_ticks(&hil.classifier, board_ticks);
    for (;;) {
        (void)device_turn();
    }
}
