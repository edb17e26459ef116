#include "stapes_classifier.h"

typedef char stapes_one_score_per_label[STAPES_MODEL_OUTPUT_BYTES == STAPES_LABEL_COUNT ? 1 : -1];
typedef char stapes_rows_fit[STAPES_FRONTEND_ROW_BYTES == STAPES_MODEL_INPUT_ROW_BYTES ? 1 : -1];
typedef char stapes_windows_fit[STAPES_WINDOW_FRAMES == STAPES_MODEL_INPUT_ROWS ? 1 : -1];

int stapes_classifier_init(stapes_classifier_t *classifier) {
    if (classifier == NULL) {
        return STAPES_E_ARGUMENT;
    }
    int error = stapes_frontend_init(&classifier->frontend, &stapes_frontend_tables,
                                     classifier->frontend_memory, sizeof classifier->frontend_memory);
    if (error == STAPES_OK) {
        error = stapes_engine_init(&classifier->engine, &stapes_model, classifier->arena,
                                   sizeof classifier->arena);
    }
    if (error == STAPES_OK) {
        error = stapes_decision_init(&classifier->decision, &stapes_decision_rule,
                                     classifier->decision_memory, sizeof classifier->decision_memory);
    }
    if (error == STAPES_OK) {
        stapes_classifier_reset(classifier);
    }
    return error;
}

void stapes_classifier_reset(stapes_classifier_t *classifier) {
    stapes_frontend_reset(&classifier->frontend);
    stapes_engine_reset(&classifier->engine);
    stapes_decision_reset(&classifier->decision);
    classifier->squares = 0;
    classifier->phase = 0;
    classifier->newest = 0;
    classifier->oldest = 0;
    classifier->row = 0;
    classifier->missing = STAPES_WINDOW_FRAMES;
}

/* The oldest row is the one that the next will replace. */
static int run_window(stapes_classifier_t *classifier) {
    stapes_engine_reset(&classifier->engine);
    int result = 0;
    for (uint32_t i = 0; i < STAPES_WINDOW_FRAMES && result >= 0; i++) {
        uint32_t row = (classifier->row + i) % STAPES_WINDOW_FRAMES;
        result = stapes_engine_push_row(&classifier->engine, classifier->rows[row]);
    }
    if (result != 1) {
        return result < 0 ? result : STAPES_E_STATE;
    }
    uint64_t squares = classifier->squares - classifier->squares_before[classifier->oldest];
    classifier->oldest = (classifier->oldest + 1u) % STAPES_OPEN_WINDOWS;
    uint32_t weight = stapes_decision_weight(&stapes_decision_rule, squares, STAPES_WINDOW_SAMPLES);
    stapes_decision_add(&classifier->decision, stapes_engine_output(&classifier->engine, 0), weight);
    return 1;
}

int stapes_classifier_push(stapes_classifier_t *classifier, const int16_t *pcm, size_t count, size_t *taken) {
    *taken = 0;
    while (*taken < count) {
        if (classifier->phase == 0u) {
            classifier->squares_before[classifier->newest] = classifier->squares;
            classifier->newest = (classifier->newest + 1u) % STAPES_OPEN_WINDOWS;
        }
        const int16_t *next = pcm + *taken;
        size_t step = count - *taken;
        if (step > STAPES_WINDOW_HOP_SAMPLES - classifier->phase) {
            step = STAPES_WINDOW_HOP_SAMPLES - classifier->phase; /* stop where the next window starts */
        }
        size_t consumed = 0;
        int result = stapes_frontend_push(&classifier->frontend, next, step, &consumed,
                                          classifier->rows[classifier->row]);
        if (result < 0) {
            return result;
        }
        for (size_t i = 0; i < consumed; i++) {
            classifier->squares += (uint32_t)((int32_t)next[i] * next[i]);
        }
        *taken += consumed;
        classifier->phase = (classifier->phase + (uint32_t)consumed) % STAPES_WINDOW_HOP_SAMPLES;
        if (result == 1) {
            classifier->row = (classifier->row + 1u) % STAPES_WINDOW_FRAMES;
            classifier->missing--;
            if (classifier->missing == 0u) {
                classifier->missing = STAPES_WINDOW_HOP_FRAMES;
                return run_window(classifier);
            }
        }
    }
    return 0;
}

const int8_t *stapes_classifier_scores(const stapes_classifier_t *classifier) {
    return stapes_engine_output(&classifier->engine, 0);
}

int stapes_classifier_verdict(const stapes_classifier_t *classifier, stapes_verdict_t *verdict) {
    return stapes_decision_verdict(&classifier->decision, verdict);
}
