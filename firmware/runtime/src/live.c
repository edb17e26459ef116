/* tools/stapes/reference/live.py is the same, line by line. */
#include "stapes/live.h"

#include <string.h>

#include "stapes/integer.h"

#define NEVER (INT64_MIN / 2)

/* STAPES_OK where the device was initialised. */
static int check(const stapes_live_t *live) {
    if (live == NULL) {
        return STAPES_E_ARGUMENT;
    }
    return live->config == NULL ? STAPES_E_STATE : STAPES_OK;
}

static const stapes_frontend_tables_t *frontend_of(const stapes_live_t *live) {
    return live->classifier.bundle->frontend;
}

static uint64_t sample_of(const stapes_live_t *live, int64_t frame) {
    return live->base + (uint64_t)frame * frontend_of(live)->hop_length;
}

uint64_t stapes_live_samples(const stapes_live_t *live) {
    if (check(live) != STAPES_OK) {
        return 0;
    }
    /* The first frame took frame_length samples, every other one hop_length. */
    uint64_t samples = live->base + live->square_count;
    if (live->frames > 0) {
        samples +=
            (uint64_t)(live->frames - 1) * frontend_of(live)->hop_length + frontend_of(live)->frame_length;
    }
    return samples;
}

/* Events. */

static void emit(stapes_live_t *live, stapes_live_event_t event) {
    event.dropped = live->dropped;
    live->dropped = 0;
    live->sink(live->context, &event);
}

static void emit_class(stapes_live_t *live, uint16_t c, stapes_live_kind_t kind) {
    const stapes_live_class_t *state = &live->events[c];
    stapes_live_event_t event = {.class_index = (int16_t)c, .kind = (uint8_t)kind};
    event.start = sample_of(live, state->start);
    event.end = sample_of(live, state->end);
    event.score = state->score;
    event.level = state->level;
    emit(live, event);
}

static int is_long_enough(const stapes_live_t *live, const stapes_live_class_t *state) {
    return state->end - state->start >= (int64_t)live->config->minimum;
}

/* The event can no longer be continued. */
static void finish(stapes_live_t *live, uint16_t c) {
    stapes_live_class_t *state = &live->events[c];
    if (state->state != STAPES_LIVE_IDLE && (state->announced || is_long_enough(live, state))) {
        emit_class(live, c, STAPES_LIVE_END);
        state->free_from = state->end + (int64_t)live->config->refractory;
    }
    state->state = STAPES_LIVE_IDLE;
}

static void finish_all(stapes_live_t *live) {
    for (uint16_t c = 0; c < live->config->classes; c++) {
        finish(live, c);
    }
}

/* Where an event ends if this is its last window. */
static int64_t end_now(const stapes_live_t *live, int64_t start) {
    int64_t end = live->frames - (int64_t)live->config->end_lag;
    if (live->config->has_gate && end > live->last_loud + 1) {
        end = live->last_loud + 1;
    }
    return end > start ? end : start + 1;
}

/* Since the gate opened, no more was heard than the smoothed windows cover. */
static int is_opening(const stapes_live_t *live) {
    const stapes_live_config_t *config = live->config;
    const uint32_t hops = config->window_hops + (config->smoothing != NULL ? config->windows - 1u : 0u);
    return config->has_gate && live->frames - live->gate_since <= (int64_t)(hops * config->hop);
}

static void begin(stapes_live_t *live, stapes_live_class_t *state) {
    int64_t start = live->frames - (int64_t)live->config->start_lag;
    /* What broke the silence is what these windows hold, however late they are sure of it. */
    if (start < live->gate_since || (is_opening(live) && live->gate_since >= state->free_from)) {
        start = live->gate_since;
    }
    if (start < state->free_from) {
        return;
    }
    if (state->state == STAPES_LIVE_IDLE) {
        state->start = start;
        state->announced = 0;
        state->score = INT32_MIN;
        state->level = INT32_MIN;
    }
    state->state = STAPES_LIVE_ACTIVE;
}

/* One class after a window: `begins`, or at least `continues`. */
static void follow(stapes_live_t *live, uint16_t c, int begins, int continues) {
    const stapes_live_config_t *config = live->config;
    stapes_live_class_t *state = &live->events[c];
    if (state->state == STAPES_LIVE_ENDED &&
        live->frames - (int64_t)config->start_lag - state->end > (int64_t)config->merge) {
        finish(live, c);
    }
    if (state->state == STAPES_LIVE_ACTIVE) {
        if (!continues) {
            state->state = STAPES_LIVE_ENDED;
        }
    } else if (begins) {
        begin(live, state);
    }
    if (state->state != STAPES_LIVE_ACTIVE) {
        return;
    }
    state->end = end_now(live, state->start);
    state->score = live->scores[c] > state->score ? live->scores[c] : state->score;
    state->level = live->hop_level > state->level ? live->hop_level : state->level;
    if (!state->announced && is_long_enough(live, state)) {
        state->announced = 1;
        emit_class(live, c, STAPES_LIVE_BEGIN);
    }
}

/* Scores. */

static void smooth_over_windows(stapes_live_t *live) {
    const stapes_live_config_t *config = live->config;
    const uint32_t count = live->windows < config->windows ? live->windows : config->windows;
    stapes_decision_reset(&live->smoothed);
    for (uint32_t w = 0; w < count; w++) {
        stapes_decision_add(&live->smoothed, live->history + w * config->classes, live->weights[w]);
    }
    for (uint16_t c = 0; c < config->classes; c++) {
        live->scores[c] = stapes_decision_score(&live->smoothed, c);
    }
}

static void smooth_exponentially(stapes_live_t *live, const int8_t *scores) {
    const stapes_live_config_t *config = live->config;
    for (uint16_t c = 0; c < config->classes; c++) {
        const int32_t value = (scores[c] - config->zero_point) * 65536;
        int64_t step = (int64_t)value - live->running[c];
        if (live->windows > 1u) {
            step = (step * config->factor) >> 15;
        }
        live->running[c] = (int32_t)(live->running[c] + step);
        live->scores[c] = live->running[c] >> 8;
    }
}

static int is_above(const void *values, uint16_t a, uint16_t b) {
    const int32_t *scores = values;
    return scores[a] > scores[b];
}

static void decide(stapes_live_t *live) {
    const stapes_live_config_t *config = live->config;
    const uint16_t best = stapes_argmax(live->scores, config->classes, is_above);
    int32_t second = INT32_MIN;
    for (uint16_t c = 0; c < config->classes; c++) {
        if (c != best && live->scores[c] > second) {
            second = live->scores[c];
        }
    }
    const int is_known = live->scores[best] >= config->on[best] && (int16_t)best != config->other &&
                         (config->classes == 1 || live->scores[best] - second >= config->margin);
    live->best = (int16_t)best;
    live->decided = is_known ? (int16_t)best : STAPES_LIVE_NONE;
}

/* A window has ended with the newest frame. */
static void window_ended(stapes_live_t *live) {
    const stapes_live_config_t *config = live->config;
    const int8_t *scores = stapes_classifier_scores(&live->classifier);
    live->windows_total++;
    live->hop_squares[live->windows % config->window_hops] = live->hop_sum;
    const uint32_t place = live->windows % config->windows;
    live->windows++;
    if (config->smoothing == NULL) {
        smooth_exponentially(live, scores);
    } else {
        uint64_t squares = 0;
        for (uint32_t i = 0; i < config->window_hops; i++) {
            squares += live->hop_squares[i];
        }
        live->weights[place] = stapes_decision_weight(config->smoothing, squares,
                                                      (uint32_t)config->window_hops * config->hop *
                                                          frontend_of(live)->hop_length);
        memcpy(live->history + place * config->classes, scores, config->classes);
        smooth_over_windows(live);
    }
    decide(live);
    for (uint16_t c = 0; c < config->classes; c++) {
        int begins, continues;
        if (config->multi_label) {
            begins = live->scores[c] >= config->on[c] && (int16_t)c != config->other;
            continues = live->scores[c] >= config->off[c];
        } else {
            begins = live->decided == (int16_t)c;
            continues = live->scores[c] >= config->off[c] &&
                        (live->decided == STAPES_LIVE_NONE || live->decided == (int16_t)c);
        }
        follow(live, c, begins, continues);
    }
    live->hop_sum = 0;
    live->hop_level = STAPES_LEVEL_SILENT;
}

/* The network. */

/* Forgets all windows. */
static void forget(stapes_live_t *live) {
    (void)stapes_classifier_restart(&live->classifier);
    memset(live->hop_squares, 0, live->config->window_hops * sizeof *live->hop_squares);
    memset(live->running, 0, live->config->classes * sizeof *live->running);
    memset(live->scores, 0, live->config->classes * sizeof *live->scores);
    live->windows = 0;
    live->hop_sum = 0;
    live->hop_level = STAPES_LEVEL_SILENT;
    live->decided = STAPES_LIVE_NONE;
    live->best = STAPES_LIVE_NONE;
}

/* The network hears from the newest frame on; before that, a window of silence. */
static int open_gate(stapes_live_t *live) {
    forget(live);
    live->gate_is_open = 1;
    live->gate_since = live->frames - 1;
    return stapes_classifier_fill(&live->classifier, live->silent);
}

static int feed(stapes_live_t *live, uint64_t squares) {
    live->hop_sum += squares;
    live->hop_level = live->level > live->hop_level ? live->level : live->hop_level;
    const int result = stapes_classifier_feed(&live->classifier);
    if (result == 1) {
        window_ended(live);
    }
    return result < 0 ? result : STAPES_OK;
}

/* The gate. */

static int pass_gate(stapes_live_t *live) {
    const stapes_live_config_t *config = live->config;
    if (live->level >= config->gate_close) {
        live->last_loud = live->frames - 1;
        live->quiet = 0;
    } else {
        live->quiet++;
    }
    if (!live->gate_is_open) {
        return live->level >= config->gate_open ? open_gate(live) : STAPES_OK;
    }
    if (live->quiet >= config->gate_hold) {
        finish_all(live);
        forget(live);
        live->gate_is_open = 0;
    }
    return STAPES_OK;
}

static void monitor(stapes_live_t *live, uint64_t squares) {
    const uint32_t period = live->config->level_samples;
    if (period == 0) {
        return;
    }
    live->level_squares += squares;
    live->level_count += live->square_count;
    if (live->level_count >= period) {
        stapes_live_event_t event = {.class_index = STAPES_LIVE_NONE, .kind = STAPES_LIVE_LEVEL};
        event.level = stapes_sound_level(live->level_squares, live->level_count);
        event.end = stapes_live_samples(live);
        event.start = event.end - live->level_count;
        live->level_squares = 0;
        live->level_count = 0;
        emit(live, event);
    }
}

/* A row is complete. */
static int frame_ended(stapes_live_t *live) {
    const uint64_t squares = live->classifier.squares - live->squares_before;
    live->squares_before = live->classifier.squares;
    live->level = stapes_sound_level(squares, live->square_count);
    monitor(live, squares);
    live->square_count = 0;
    live->frames++;
    int status = live->config->has_gate ? pass_gate(live) : STAPES_OK;
    if (status == STAPES_OK && live->gate_is_open) {
        status = feed(live, squares);
    }
    return status;
}

/* The stream. */

static void *take(uint8_t **memory, size_t bytes) {
    void *start = *memory;
    *memory += STAPES_ALIGN(bytes);
    return start;
}

static size_t smoothing_bytes(const stapes_live_config_t *config) {
    return config->smoothing != NULL ? stapes_decision_bytes(config->smoothing) : 0u;
}

/* The front end's row for zeros. */
static int learn_silence(stapes_live_t *live) {
    static const int16_t zeros[32];
    for (;;) {
        size_t consumed;
        const int result =
            stapes_frontend_push(&live->classifier.frontend, zeros, 32, &consumed, live->silent);
        if (result != 0) {
            return result < 0 ? result : STAPES_OK;
        }
    }
}

static void begin_stream(stapes_live_t *live) {
    (void)stapes_classifier_reset(&live->classifier);
    for (uint16_t c = 0; c < live->config->classes; c++) {
        memset(&live->events[c], 0, sizeof live->events[c]);
        live->events[c].free_from = NEVER;
    }
    forget(live);
    live->frames = 0;
    live->squares_before = 0;
    live->square_count = 0;
    live->level_squares = 0;
    live->level_count = 0;
    live->gate_since = 0;
    live->last_loud = NEVER;
    live->quiet = 0;
    live->gate_is_open = !live->config->has_gate;
    live->level = STAPES_LEVEL_SILENT;
}

int stapes_live_reset(stapes_live_t *live) {
    const int error = check(live);
    if (error != STAPES_OK) {
        return error;
    }
    live->base = 0;
    live->dropped = 0;
    live->dropped_total = 0;
    live->windows_total = 0;
    live->worst_ticks = 0;
    live->ticks_total = 0;
    begin_stream(live);
    return STAPES_OK;
}

int stapes_live_init(stapes_live_t *live, const stapes_bundle_t *bundle, void *memory, size_t bytes,
                     stapes_live_sink_t sink, void *context) {
    if (live == NULL || bundle == NULL || memory == NULL || sink == NULL) {
        return STAPES_E_ARGUMENT;
    }
    memset(live, 0, sizeof *live);
    if (bundle->api_version != STAPES_API_VERSION) {
        return STAPES_E_VERSION;
    }
    if (bytes < bundle->live_memory_bytes || (uintptr_t)memory % sizeof(uint64_t) != 0) {
        return STAPES_E_MEMORY;
    }
    const stapes_live_config_t *config = bundle->live;
    uint8_t *next = memory;
    void *classifier = take(&next, bundle->memory_bytes);
    void *smoothed = take(&next, smoothing_bytes(config));
    live->events = take(&next, config->classes * sizeof *live->events);
    live->scores = take(&next, 2u * config->classes * sizeof *live->scores);
    live->running = live->scores + config->classes;
    live->history = take(&next, (size_t)config->windows * config->classes);
    live->weights = take(&next, config->windows * sizeof *live->weights);
    live->hop_squares = take(&next, config->window_hops * sizeof *live->hop_squares);
    live->silent = (int8_t *)next;
    int error = stapes_classifier_init(&live->classifier, bundle, classifier, bundle->memory_bytes);
    if (error == STAPES_OK && config->smoothing != NULL) {
        error = stapes_decision_init(&live->smoothed, config->smoothing, smoothed, smoothing_bytes(config));
    }
    if (error == STAPES_OK) {
        error = learn_silence(live);
    }
    if (error == STAPES_OK) {
        live->config = config;
        live->sink = sink;
        live->context = context;
        error = stapes_live_reset(live);
    }
    return error;
}

int stapes_live_push(stapes_live_t *live, const int16_t *pcm, size_t count) {
    int status = check(live);
    if (status != STAPES_OK || (pcm == NULL && count != 0)) {
        return status != STAPES_OK ? status : STAPES_E_ARGUMENT;
    }
    while (count != 0) {
        const uint32_t start = live->ticks != NULL ? live->ticks() : 0u;
        size_t taken;
        status = stapes_classifier_hear(&live->classifier, pcm, count, &taken);
        if (status < 0) {
            return status;
        }
        live->square_count += (uint32_t)taken;
        pcm += taken;
        count -= taken;
        if (status == 1) {
            status = frame_ended(live);
        }
        if (live->ticks != NULL) {
            const uint32_t step = live->ticks() - start;
            live->ticks_total += step;
            live->worst_ticks = step > live->worst_ticks ? step : live->worst_ticks;
        }
        if (status < 0) {
            return status;
        }
    }
    return STAPES_OK;
}

int stapes_live_lose(stapes_live_t *live, uint32_t count) {
    const int error = check(live);
    if (error != STAPES_OK || count == 0) {
        return error;
    }
    finish_all(live);
    stapes_live_event_t event = {.class_index = STAPES_LIVE_NONE, .kind = STAPES_LIVE_GAP};
    event.level = STAPES_LEVEL_SILENT;
    event.start = stapes_live_samples(live);
    event.end = event.start + count;
    live->dropped += count;
    live->dropped_total += count;
    live->base = event.end;
    begin_stream(live);
    emit(live, event);
    return STAPES_OK;
}

int stapes_live_flush(stapes_live_t *live) {
    const int error = check(live);
    if (error == STAPES_OK) {
        finish_all(live);
    }
    return error;
}

int stapes_live_set_ticks(stapes_live_t *live, uint32_t (*ticks)(void)) {
    const int error = check(live);
    if (error == STAPES_OK) {
        live->ticks = ticks;
    }
    return error;
}
