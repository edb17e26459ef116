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
#define NOWHERE      0xD0000000u /* an address where no supported board has memory */
#define CHUNK        128u        /* samples on the stack */
#define HANG_MS      10u
#define WATCHDOG_MS  4000u /* fed at every row of a layer and in every turn of the main loop */

STATIC_ASSERT(STAPES_MODEL_OUTPUT_BYTES == STAPES_LABEL_COUNT, one_score_per_label);
STATIC_ASSERT(24u + 8u * STAPES_LABEL_COUNT <= STAPES_LINK_PAYLOAD, decision_fits_one_message);

static struct {
    stapes_link_t link;
    stapes_frontend_t frontend;
    stapes_engine_t engine;
    stapes_decision_t decision;
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

static int8_t rows[STAPES_WINDOW_FRAMES][STAPES_N_MELS];
static uint64_t frontend_memory[(STAPES_FRONTEND_MEMORY_BYTES + 7u) / 8u];
static uint64_t arena[(STAPES_MODEL_ARENA_BYTES + 7u) / 8u];
static uint64_t decision_memory[(STAPES_DECISION_MEMORY_BYTES + 7u) / 8u];
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
    if (stapes_model.row_bytes != STAPES_N_MELS || stapes_model.rows != STAPES_WINDOW_FRAMES ||
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
            stapes_crc32(hil.features_crc, rows[(hil.first_frame + i) % FRAMES], STAPES_N_MELS);
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
    const size_t head = 24u + STAPES_LABEL_COUNT;
    if (first > STAPES_MODEL_LAYER_COUNT) {
        return STAPES_E_ARGUMENT;
    }
    size_t count = (capacity - head) / 8u;
    if (count > (size_t)(STAPES_MODEL_LAYER_COUNT - first)) {
        count = (size_t)(STAPES_MODEL_LAYER_COUNT - first);
    }
    stapes_put_u32(answer, hil.windows - 1u);
    stapes_put_u32(answer + 4, hil.features_crc);
    stapes_put_u32(answer + 8, hil.weight);
    stapes_put_u32(answer + 12, hil.frontend_ticks);
    stapes_put_u32(answer + 16, hil.engine_ticks);
    stapes_put_u16(answer + 20, first);
    stapes_put_u16(answer + 22, (uint16_t)count);
    memcpy(answer + 24, stapes_engine_output(&hil.engine, 0), STAPES_LABEL_COUNT);
    for (size_t i = 0; i < count; i++) {
        stapes_put_u32(answer + head + 8u * i, hil.layer_crc[first + i]);
        stapes_put_u32(answer + head + 8u * i + 4u, hil.layer_ticks[first + i]);
    }
    return (int)(head + 8u * count);
}

/* Whether all rows of the last complete window are still there: no frame came after it. */
static bool rows_kept(void) {
    return hil.windows > 0u && hil.frames == hil.first_frame + FRAMES;
}

/* Bytes of one page: what is left of `total` from `offset`, as far as it fits behind the 8-byte head. */
static size_t page(size_t total, size_t offset, size_t capacity) {
    size_t count = total - offset;
    return count < capacity - 8u ? count : capacity - 8u;
}

static int answer_features(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    const size_t total = sizeof rows;
    if (length != 4u) {
        return STAPES_E_MESSAGE;
    }
    size_t offset = stapes_get_u32(payload);
    if (!rows_kept()) {
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
        uint32_t row = (hil.first_frame + (uint32_t)(at / STAPES_N_MELS)) % FRAMES;
        answer[8u + i] = (uint8_t)rows[row][at % STAPES_N_MELS];
    }
    return (int)(8u + count);
}

static int answer_activations(const uint8_t *payload, size_t length, uint8_t *answer, size_t capacity) {
    if (length != 6u) {
        return STAPES_E_MESSAGE;
    }
    capture_t capture = {.layer = stapes_get_u16(payload), .offset = stapes_get_u32(payload + 2)};
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
    capture.count = page(total, capture.offset, capacity);
    capture.bytes = answer + 8;
    memset(capture.bytes, 0, capture.count);
    stapes_engine_set_observer(&hil.engine, capture_row, &capture);
    int error = run_window();
    stapes_engine_set_observer(&hil.engine, NULL, NULL);
    if (error != STAPES_OK) {
        return error;
    }
    stapes_put_u32(answer, (uint32_t)total);
    stapes_put_u32(answer + 4, (uint32_t)capture.offset);
    return (int)(8u + capture.count);
}

static int answer_decision(uint8_t *answer) {
    stapes_verdict_t verdict;
    int error = stapes_decision_verdict(&hil.decision, &verdict);
    if (error < 0) {
        return error;
    }
    stapes_put_u16(answer, (uint16_t)verdict.class_index);
    stapes_put_u16(answer + 2, (uint16_t)verdict.best);
    stapes_put_u32(answer + 4, (uint32_t)verdict.confidence);
    stapes_put_u32(answer + 8, hil.decision.windows);
    stapes_put_u64(answer + 12, hil.decision.weight);
    for (size_t i = 0; i < STAPES_LABEL_COUNT; i++) {
        stapes_put_u64(answer + 20 + 8u * i, (uint64_t)hil.decision.sums[i]);
    }
    return (int)(20u + 8u * STAPES_LABEL_COUNT);
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
    hil.fault = initialise();
    if (hil.fault == STAPES_OK) {
        reset_stream();
    }
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
