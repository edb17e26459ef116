/* The harness's server: sound in over the link, every stage's result out. docs/link-protocol.md describes the
 * messages. */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "crc32.h"
#include "device.h"
#include "stapes_app.h"
#include "wire.h"

#define STATIC_ASSERT(condition, name) typedef char name[(condition) ? 1 : -1]

#define FRAMES      ((uint32_t)STAPES_APP_WINDOW_FRAMES)
#define ROW_BYTES   STAPES_APP_MODEL_INPUT_ROW_BYTES
#define NOWHERE     0xD0000000u /* an address where no supported board has memory */
#define CHUNK       128u        /* samples on the stack */
#define HANG_MS     10u
#define WATCHDOG_MS 4000u /* fed at every row of a layer and in every turn of the main loop */

STATIC_ASSERT(24u + 8u * STAPES_APP_CLASSES <= STAPES_LINK_PAYLOAD, decision_fits_one_message);

static struct {
    stapes_link_t link;
    stapes_classifier_t classifier;
    int fault;      /* why nothing but hello is answered */
    bool reboot;    /* after the answer was sent */
    uint8_t raise;  /* a fault to raise after the answer was sent, 0: none */
    bool restarted; /* after `last_fault` */
    board_fault_t last_fault;
    device_speed_t speed;

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
static uint8_t request_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];
static uint8_t answer_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];

/* `stapes build` writes the size and CRC-32 of the constants here after linking; see
 * tools/stapes/firmware/checksum.py. */
typedef struct {
    int32_t offset; /* of the constants, from this structure */
    uint32_t size;  /* 0: not written */
    uint32_t crc;
} checksum_t;

__attribute__((section(".checksum"), used)) const checksum_t stapes_checksum = {0, 0, 0};

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
    return error;
}

/* Takes samples until all are taken (0) or a window is complete (1). */
static int take_samples(const int16_t *pcm, size_t count) {
    while (count > 0u) {
        size_t taken;
        int result = stapes_classifier_hear(&hil.classifier, pcm, count, &taken);
        if (result < 0) {
            return result;
        }
        hil.pcm_crc = stapes_crc32(hil.pcm_crc, pcm, taken * sizeof *pcm);
        hil.samples += (uint32_t)taken;
        pcm += taken;
        count -= taken;
        if (result == 1) {
            hil.frames++;
            result = stapes_classifier_keep(&hil.classifier);
            if (result == 1) {
                int error = complete_window();
                return error != STAPES_OK ? error : 1;
            }
            if (result < 0) {
                return result;
            }
        }
    }
    return 0;
}

static int answer_pcm(const uint8_t *payload, size_t length, uint8_t *answer) {
    if (length < 4u || length % 2u != 0u) {
        return STAPES_E_MESSAGE;
    }
    if (stapes_get_u32(payload) != hil.samples) {
        return STAPES_E_STATE;
    }
    const uint8_t *bytes = payload + 4;
    size_t left = (length - 4u) / 2u;
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
    stapes_put_u32(answer, hil.samples);
    stapes_put_u32(answer + 4, hil.frames);
    stapes_put_u32(answer + 8, hil.windows);
    answer[12] = (uint8_t)result;
    stapes_put_u32(answer + 13, hil.pcm_crc);
    return 17;
}

static int answer_window(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    if (length != 2u) {
        return STAPES_E_MESSAGE;
    }
    if (hil.windows == 0u) {
        return STAPES_E_STATE;
    }
    uint16_t first = stapes_get_u16(payload);
    const size_t head = 24u + STAPES_APP_CLASSES;
    if (first > STAPES_APP_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    size_t count = (capacity - head) / 8u;
    if (count > (size_t)(STAPES_APP_MODEL_LAYER_COUNT - first)) {
        count = (size_t)(STAPES_APP_MODEL_LAYER_COUNT - first);
    }
    stapes_put_u32(answer, hil.windows - 1u);
    stapes_put_u32(answer + 4, hil.features_crc);
    stapes_put_u32(answer + 8, hil.classifier.weight);
    stapes_put_u32(answer + 12, hil.frontend_ticks);
    stapes_put_u32(answer + 16, hil.engine_ticks);
    stapes_put_u16(answer + 20, first);
    stapes_put_u16(answer + 22, (uint16_t)count);
    memcpy(answer + 24, stapes_classifier_scores(&hil.classifier), STAPES_APP_CLASSES);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u32(answer + head + 8u * i, hil.layer_crc[first + i]);
        stapes_put_u32(answer + head + 8u * i + 4u, hil.layer_ticks[first + i]);
    }
    return (int)(head + 8u * count);
}

/* Bytes of one page: what is left of `total` from `offset`, as far as it fits behind the 8-byte head. */
static size_t page(size_t total, size_t offset, size_t capacity) {
    size_t count = total - offset;
    return count < capacity - 8u ? count : capacity - 8u;
}

static int answer_features(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const size_t total = FRAMES * ROW_BYTES;
    if (length != 4u) {
        return STAPES_E_MESSAGE;
    }
    size_t offset = stapes_get_u32(payload);
    if (stapes_classifier_row(&hil.classifier, 0) == NULL) {
        return STAPES_E_STATE;
    }
    if (offset > total) {
        return STAPES_E_ARGUMENT;
    }
    size_t count = page(total, offset, capacity);
    stapes_put_u32(answer, (uint32_t)total);
    stapes_put_u32(answer + 4, (uint32_t)offset);
    for (size_t i = 0; i < count; i++) {
        size_t at = offset + i;
        const int8_t *row = stapes_classifier_row(&hil.classifier, (uint32_t)(at / ROW_BYTES));
        answer[8u + i] = (uint8_t)row[at % ROW_BYTES];
    }
    return (int)(8u + count);
}

static int answer_activations(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    if (length != 6u) {
        return STAPES_E_MESSAGE;
    }
    capture_t capture = {.layer = stapes_get_u16(payload), .offset = stapes_get_u32(payload + 2)};
    if (stapes_classifier_row(&hil.classifier, 0) == NULL) {
        return STAPES_E_STATE;
    }
    if (capture.layer >= STAPES_APP_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_tensor_t *tensor = stapes_layer_output(stapes_app.model, capture.layer);
    size_t total = (size_t)tensor->rows * stapes_row_bytes(tensor);
    if (capture.offset > total) {
        return STAPES_E_ARGUMENT;
    }
    capture.count = page(total, capture.offset, capacity);
    capture.bytes = answer + 8;
    memset(capture.bytes, 0, capture.count);
    (void)stapes_engine_set_observer(&hil.classifier.engine, capture_row, &capture);
    int error = run_window();
    (void)stapes_engine_set_observer(&hil.classifier.engine, NULL, NULL);
    if (error != STAPES_OK) {
        return error;
    }
    stapes_put_u32(answer, (uint32_t)total);
    stapes_put_u32(answer + 4, (uint32_t)capture.offset);
    return (int)(8u + capture.count);
}

static int answer_decision(uint8_t *answer) {
    stapes_verdict_t verdict;
    int error = stapes_classifier_verdict(&hil.classifier, &verdict);
    if (error < 0) {
        return error;
    }
    stapes_put_u16(answer, (uint16_t)verdict.class_index);
    stapes_put_u16(answer + 2, (uint16_t)verdict.best);
    stapes_put_u32(answer + 4, (uint32_t)verdict.confidence);
    stapes_put_u32(answer + 8, hil.classifier.decision.windows);
    stapes_put_u64(answer + 12, hil.classifier.decision.weight);
    for (size_t i = 0; i < STAPES_APP_CLASSES; i++) {
        stapes_put_u64(answer + 20 + 8u * i, (uint64_t)hil.classifier.decision.sums[i]);
    }
    return (int)(20u + 8u * STAPES_APP_CLASSES);
}

static int answer_self_test(uint8_t *answer) {
    const volatile checksum_t *checksum = &stapes_checksum; /* not what the compiler saw */
    const uint8_t *constants = (const uint8_t *)&stapes_checksum + checksum->offset;
    stapes_put_u32(answer, checksum->size);
    stapes_put_u32(answer + 4, checksum->crc);
    stapes_put_u32(answer + 8, stapes_crc32(0, constants, checksum->size));
    return 12;
}

enum { RAISE_NOTHING, RAISE_TRAP, RAISE_BUS_FAULT, RAISE_HANG, RAISES };

/* Why the last restart came; or raises a fault on purpose, to prove that a rig would see one. */
static int answer_fault(const uint8_t *payload, size_t length, uint8_t *answer) {
    if (length != 1u) {
        return STAPES_E_MESSAGE;
    }
    if (payload[0] >= RAISES) {
        return STAPES_E_ARGUMENT;
    }
    hil.raise = payload[0];
    if (!hil.restarted) {
        return 0;
    }
    const board_fault_t *fault = &hil.last_fault;
    const uint32_t words[] = {fault->cause, fault->pc,     fault->lr,     fault->psr,
                              fault->sp,    fault->status, fault->address};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        stapes_put_u32(answer + 4u * i, words[i]);
    }
    return (int)sizeof words;
}

/* A function of its own, so that the report names it. */
__attribute__((noinline)) static void raise_fault(void) {
    switch (hil.raise) {
    case RAISE_TRAP: __builtin_trap();
    case RAISE_BUS_FAULT: (void)*(const volatile uint32_t *)(uintptr_t)NOWHERE; break;
    case RAISE_HANG:
        board_watchdog_start(HANG_MS); /* the same dog, less patient where it can be told */
        for (;;) {
        }
    default: break;
    }
}

static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    if (type == STAPES_MESSAGE_HELLO) {
        return device_hello(out, capacity);
    }
    if (type == STAPES_MESSAGE_FAULT) {
        return answer_fault(payload, length, out);
    }
    if (hil.fault != STAPES_OK) {
        return hil.fault;
    }
    switch (type) {
    case STAPES_MESSAGE_PCM: return answer_pcm(payload, length, out);
    case STAPES_MESSAGE_WINDOW: return answer_window(payload, length, out, capacity);
    case STAPES_MESSAGE_FEATURES: return answer_features(payload, length, out, capacity);
    case STAPES_MESSAGE_BAUD: return device_baud(&hil.speed, payload, length);
    case STAPES_MESSAGE_ACTIVATIONS: return answer_activations(payload, length, out, capacity);
    default: break;
    }
    if (length != 0u) {
        return STAPES_E_MESSAGE;
    }
    switch (type) {
    case STAPES_MESSAGE_RESET: reset_stream(); return 0;
    case STAPES_MESSAGE_DECISION: return answer_decision(out);
    case STAPES_MESSAGE_STATS: return device_stats(&hil.link, out);
    case STAPES_MESSAGE_SELF_TEST: return answer_self_test(out);
    case STAPES_MESSAGE_REBOOT: hil.reboot = true; return 0;
    default: return STAPES_E_MESSAGE;
    }
}

int main(void) {
    board_init();
    hil.restarted = board_fault(&hil.last_fault) == 1;
    board_watchdog_start(WATCHDOG_MS);
    hil.fault = stapes_classifier_init(&hil.classifier, &stapes_app, memory, sizeof memory);
    (void)stapes_classifier_set_ticks(&hil.classifier, board_ticks);
    int error = stapes_link_init(&hil.link, request_buffer, answer_buffer, sizeof request_buffer, answer,
                                 NULL, board_write);
    if (error != STAPES_OK) {
        board_exit(1);
    }
    for (;;) {
        uint8_t bytes[64];
        stapes_link_receive(&hil.link, bytes, board_read(bytes, sizeof bytes));
        board_watchdog_feed();
        device_change_speed(&hil.speed, &hil.link);
        if (hil.reboot) {
            board_reset();
        }
        raise_fault();
    }
}
