#include "stapes/classifier.h"

#include <string.h>

#include "frontend_math.h"

/* Small rather than fast: what runs once a row or less often. */
#define COLD __attribute__((cold))

/* STAPES_OK where the classifier was initialised. */
static int check(const stapes_classifier_t *classifier) {
    if (classifier == NULL) {
        return STAPES_E_ARGUMENT;
    }
    return classifier->bundle == NULL ? STAPES_E_STATE : STAPES_OK;
}

static int8_t *row_at(const stapes_classifier_t *classifier, uint32_t place) {
    return classifier->rows + place * classifier->bundle->model->row_bytes;
}

/* Place of the row heard last. */
static uint32_t newest(const stapes_classifier_t *classifier) {
    return (classifier->next != 0u ? classifier->next : classifier->kept) - 1u;
}

/* Init. */

COLD static void *take(uint8_t **memory, size_t bytes) {
    void *start = *memory;
    *memory += STAPES_ALIGN(bytes);
    return start;
}

COLD int stapes_classifier_init(stapes_classifier_t *classifier, const stapes_bundle_t *bundle, void *memory,
                                size_t bytes) {
    if (classifier == NULL || bundle == NULL || memory == NULL) {
        return STAPES_E_ARGUMENT;
    }
    memset(classifier, 0, sizeof *classifier);
    if (bundle->api_version != STAPES_API_VERSION) {
        return STAPES_E_VERSION;
    }
    if (bytes < bundle->memory_bytes || (uintptr_t)memory % sizeof(uint64_t) != 0u) {
        return STAPES_E_MEMORY;
    }
    const stapes_frontend_tables_t *tables = bundle->frontend;
    const size_t decision_bytes = stapes_decision_bytes(bundle->decision);
    const size_t frontend_bytes = STAPES_FRONTEND_MEMORY(tables->frame_length, tables->bins);
    uint8_t *next = memory;
    void *frontend = take(&next, frontend_bytes);
    void *arena = take(&next, bundle->model->arena_bytes);
    classifier->squares_before = take(&next, bundle->open_windows * sizeof *classifier->squares_before);
    void *decision = take(&next, decision_bytes);
    classifier->rows = (int8_t *)next;
    const size_t room = bytes - (size_t)(next - (uint8_t *)memory);
    const size_t window = (size_t)bundle->window_frames * bundle->model->row_bytes;
    classifier->kept = room < window ? 1u : bundle->window_frames;
    if (bundle->stateful && room >= STAPES_ALIGN(window) + bundle->model->arena_bytes) {
        classifier->before = next + STAPES_ALIGN(window);
    }
    int error = stapes_frontend_init(&classifier->frontend, tables, frontend, frontend_bytes);
    if (error == STAPES_OK) {
        error = stapes_engine_init(&classifier->engine, bundle->model, arena, bundle->model->arena_bytes);
    }
    if (error == STAPES_OK) {
        error = stapes_decision_init(&classifier->decision, bundle->decision, decision, decision_bytes);
    }
    if (error == STAPES_OK) {
        classifier->bundle = bundle;
        error = stapes_classifier_reset(classifier);
    }
    return error;
}

COLD int stapes_classifier_reset(stapes_classifier_t *classifier) {
    const int error = stapes_classifier_restart(classifier);
    if (error != STAPES_OK) {
        return error;
    }
    stapes_frontend_reset(&classifier->frontend);
    stapes_decision_reset(&classifier->decision);
    classifier->frontend_ticks = 0;
    classifier->squares = 0;
    classifier->phase = 0;
    classifier->begun = 0;
    classifier->ended = 0;
    classifier->next = 0;
    classifier->has_row = 0;
    return STAPES_OK;
}

COLD int stapes_classifier_set_ticks(stapes_classifier_t *classifier, uint32_t (*ticks)(void)) {
    const int error = check(classifier);
    if (error == STAPES_OK) {
        classifier->ticks = ticks;
    }
    return error;
}

/* From samples to rows. */

COLD int stapes_classifier_hear(stapes_classifier_t *classifier, const int16_t *pcm, size_t count,
                                size_t *taken) {
    const int error = check(classifier);
    if (error != STAPES_OK || taken == NULL || (pcm == NULL && count != 0u)) {
        return error != STAPES_OK ? error : STAPES_E_ARGUMENT;
    }
    const stapes_bundle_t *bundle = classifier->bundle;
    const uint32_t hop = (uint32_t)bundle->window_hop_frames * bundle->frontend->hop_length;
    *taken = 0;
    while (*taken < count) {
        if (classifier->phase == 0u) {
            classifier->squares_before[classifier->begun] = classifier->squares;
            classifier->begun = classifier->begun + 1u < bundle->open_windows ? classifier->begun + 1u : 0u;
        }
        const int16_t *samples = pcm + *taken;
        size_t step = count - *taken;
        if (step > hop - classifier->phase) {
            step = hop - classifier->phase; /* stop where the next window begins */
        }
        const uint32_t start = classifier->ticks != NULL ? classifier->ticks() : 0u;
        size_t consumed = 0;
        const int result = stapes_frontend_push(&classifier->frontend, samples, step, &consumed,
                                                row_at(classifier, classifier->next));
        if (classifier->ticks != NULL) {
            classifier->frontend_ticks += classifier->ticks() - start;
        }
        if (result < 0) {
            return result;
        }
        classifier->squares += square_samples(samples, (uint32_t)consumed);
        *taken += consumed;
        classifier->phase += (uint32_t)consumed;
        if (classifier->phase == hop) {
            classifier->phase = 0;
        }
        if (result == 1) {
            classifier->next = classifier->next + 1u < classifier->kept ? classifier->next + 1u : 0u;
            classifier->has_rows = 0;
            classifier->has_row = 1;
            return 1;
        }
    }
    return 0;
}

COLD const int8_t *stapes_classifier_newest_row(const stapes_classifier_t *classifier) {
    return check(classifier) == STAPES_OK ? row_at(classifier, newest(classifier)) : NULL;
}

/* From rows to windows. */

COLD int stapes_classifier_restart(stapes_classifier_t *classifier) {
    const int error = check(classifier);
    if (error != STAPES_OK) {
        return error;
    }
    stapes_engine_reset(&classifier->engine);
    classifier->frames = 0;
    classifier->fed = 0;
    classifier->is_flowing = 0;
    classifier->is_sliding = 0;
    classifier->has_rows = 0;
    classifier->has_scores = 0;
    classifier->has_vote = 0;
    return STAPES_OK;
}

COLD int stapes_classifier_fill(stapes_classifier_t *classifier, const int8_t *row) {
    if (row == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const int error = stapes_classifier_restart(classifier);
    if (error != STAPES_OK) {
        return error;
    }
    classifier->is_flowing = 1;
    for (uint32_t i = 0; i < classifier->kept; i++) {
        if (!classifier->has_row || i != newest(classifier)) {
            memcpy(row_at(classifier, i), row, classifier->bundle->model->row_bytes);
        }
    }
    if (classifier->bundle->slide == NULL) {
        return STAPES_OK;
    }
    classifier->is_sliding = 1;
    return stapes_slide_fill(&classifier->engine, classifier->bundle->slide, row);
}

/* The newest row is the last of a window. */
COLD static void end_window(stapes_classifier_t *classifier) {
    const uint32_t ended = classifier->ended;
    classifier->window_squares = classifier->squares - classifier->squares_before[ended];
    classifier->ended = ended + 1u < classifier->bundle->open_windows ? ended + 1u : 0u;
    classifier->frames = 0;
    classifier->fed = 0;
    classifier->is_flowing = 1;
    classifier->has_rows = classifier->kept == classifier->bundle->window_frames;
    classifier->has_vote = 1;
    classifier->has_before = 0;
}

/* Rows between the ends of the last window and the next. */
static uint32_t window_distance(const stapes_classifier_t *classifier) {
    return classifier->is_flowing ? classifier->bundle->window_hop_frames : classifier->bundle->window_frames;
}

/* What the network has kept goes on, or is forgotten. */
COLD static int begin_window(stapes_classifier_t *classifier) {
    stapes_engine_t *engine = &classifier->engine;
    return classifier->bundle->stateful ? stapes_engine_next(engine) : stapes_engine_reset(engine);
}

/* Gives rows of the next window to a network that does not slide: of the first as they come, later as many as
 * make the work even over the frames of a hop. 1: the window is complete. */
COLD static int feed_rows(stapes_classifier_t *classifier) {
    const uint32_t rows = classifier->bundle->window_frames;
    const uint32_t hop = window_distance(classifier);
    const uint32_t frames = ++classifier->frames;
    uint32_t target = frames;
    if (classifier->is_flowing) {
        const uint32_t there = frames + rows > hop ? frames + rows - hop : 0u;
        target = (frames * rows + hop - 1u) / hop;
        target = target < there ? target : there;
    }
    if (classifier->fed == 0u) {
        const int error = begin_window(classifier);
        if (error != STAPES_OK) {
            return error;
        }
    }
    /* The window ends in hop - frames rows, and as many before its first are the oldest that are kept. */
    const uint32_t first = newest(classifier) + 1u + hop - frames;
    while (classifier->fed < target) {
        const int8_t *row = row_at(classifier, (first + classifier->fed) % rows);
        const int result = stapes_engine_push_row(&classifier->engine, row);
        if (result < 0) {
            return result;
        }
        classifier->fed++;
    }
    return frames == hop;
}

/* STAPES_OK where a row has been heard that is to be taken; takes it. */
COLD static int take_row(stapes_classifier_t *classifier) {
    const int error = check(classifier);
    if (error != STAPES_OK || !classifier->has_row) {
        return error != STAPES_OK ? error : STAPES_E_STATE;
    }
    classifier->has_row = 0;
    return STAPES_OK;
}

COLD int stapes_classifier_feed(stapes_classifier_t *classifier) {
    int result = take_row(classifier);
    if (result != STAPES_OK) {
        return result;
    }
    const stapes_slide_t *slide = classifier->bundle->slide;
    classifier->has_scores = 0;
    if (slide != NULL) {
        classifier->is_sliding = 1;
        result = stapes_slide_row(&classifier->engine, slide, row_at(classifier, newest(classifier)));
    } else {
        result = feed_rows(classifier);
    }
    if (result == 1) {
        end_window(classifier);
        classifier->has_scores = 1;
    }
    return result;
}

COLD int stapes_classifier_keep(stapes_classifier_t *classifier) {
    int result = take_row(classifier);
    if (result != STAPES_OK) {
        return result;
    }
    if (classifier->kept != classifier->bundle->window_frames) {
        return STAPES_E_STATE;
    }
    classifier->frames++;
    if (classifier->frames < window_distance(classifier)) {
        return 0;
    }
    end_window(classifier);
    classifier->has_scores = 0;
    return 1;
}

COLD const int8_t *stapes_classifier_row(const stapes_classifier_t *classifier, uint32_t index) {
    if (check(classifier) != STAPES_OK || !classifier->has_rows || index >= classifier->kept) {
        return NULL;
    }
    return row_at(classifier, (classifier->next + index) % classifier->kept); /* `next`: the oldest */
}

COLD int stapes_classifier_repeat(stapes_classifier_t *classifier) {
    int result = check(classifier);
    if (result != STAPES_OK) {
        return result;
    }
    if (!classifier->has_rows || classifier->is_sliding) {
        return STAPES_E_STATE;
    }
    if (classifier->has_before) {
        memcpy(classifier->engine.arena, classifier->before, classifier->bundle->model->arena_bytes);
    } else if (classifier->bundle->stateful && (classifier->before == NULL || classifier->has_scores)) {
        return STAPES_E_STATE;
    }
    result = begin_window(classifier);
    if (result != STAPES_OK) {
        return result;
    }
    if (classifier->before != NULL) {
        memcpy(classifier->before, classifier->engine.arena, classifier->bundle->model->arena_bytes);
        classifier->has_before = 1;
    }
    uint32_t row = classifier->next; /* the oldest */
    for (uint32_t i = 0; i < classifier->kept && result >= 0; i++) {
        result = stapes_engine_push_row(&classifier->engine, row_at(classifier, row));
        row = row + 1u < classifier->kept ? row + 1u : 0u;
    }
    if (result != 1) {
        return result < 0 ? result : STAPES_E_STATE;
    }
    classifier->has_scores = 1;
    return STAPES_OK;
}

/* From windows to a vote. */

COLD int stapes_classifier_vote(stapes_classifier_t *classifier) {
    const int error = check(classifier);
    if (error != STAPES_OK || !classifier->has_vote || !classifier->has_scores) {
        return error != STAPES_OK ? error : STAPES_E_STATE;
    }
    const stapes_bundle_t *bundle = classifier->bundle;
    const int8_t *scores = stapes_engine_output(&classifier->engine, 0);
    const uint32_t samples =
        STAPES_SAMPLES(bundle->frontend->frame_length, bundle->frontend->hop_length, bundle->window_frames);
    classifier->weight = stapes_decision_weight(bundle->decision, classifier->window_squares, samples);
    stapes_decision_add(&classifier->decision, scores, classifier->weight);
    classifier->has_vote = 0;
    return STAPES_OK;
}

int stapes_classifier_push(stapes_classifier_t *classifier, const int16_t *pcm, size_t count, size_t *taken) {
    if (taken == NULL) {
        return STAPES_E_ARGUMENT;
    }
    *taken = 0;
    for (;;) {
        size_t step = 0;
        const int16_t *samples = pcm != NULL ? pcm + *taken : NULL;
        int result = stapes_classifier_hear(classifier, samples, count - *taken, &step);
        *taken += step;
        if (result != 1) {
            return result; /* an error, or no samples are left */
        }
        result = stapes_classifier_feed(classifier);
        if (result == 1) {
            const int error = stapes_classifier_vote(classifier);
            return error != STAPES_OK ? error : 1;
        }
        if (result < 0) {
            return result;
        }
    }
}

COLD const int8_t *stapes_classifier_scores(const stapes_classifier_t *classifier) {
    if (check(classifier) != STAPES_OK || !classifier->has_scores) {
        return NULL;
    }
    return stapes_engine_output(&classifier->engine, 0);
}

COLD int stapes_classifier_verdict(const stapes_classifier_t *classifier, stapes_verdict_t *verdict) {
    const int error = check(classifier);
    if (error != STAPES_OK || verdict == NULL) {
        return error != STAPES_OK ? error : STAPES_E_ARGUMENT;
    }
    return stapes_decision_verdict(&classifier->decision, verdict);
}
