/* A whole bundle behind four functions: 16-bit PCM in, scores of every window and a decision out.
 *
 *     static stapes_classifier_t classifier;
 *     stapes_classifier_init(&classifier);
 *     while (there is sound) {
 *         size_t taken;
 *         int result = stapes_classifier_push(&classifier, pcm, count, &taken);
 *         ... result is 1 when a window is complete: look at the scores; go on with pcm + taken
 *     }
 *     stapes_verdict_t verdict;
 *     stapes_classifier_verdict(&classifier, &verdict);
 *
 * Samples are signed, mono, STAPES_SAMPLE_RATE a second. For a stream without end see stapes/live.h. */
#ifndef STAPES_CLASSIFIER_H
#define STAPES_CLASSIFIER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "stapes/decision.h"
#include "stapes/engine.h"
#include "stapes/error.h"
#include "stapes/frontend.h"
#include "stapes_bundle.h"
#include "stapes_frontend_tables.h"
#include "stapes_model.h"

#define STAPES_WINDOW_SAMPLES                                                                                \
    (STAPES_FRAME_LENGTH + ((uint32_t)STAPES_WINDOW_FRAMES - 1u) * STAPES_HOP_LENGTH)
#define STAPES_WINDOW_HOP_SAMPLES ((uint32_t)STAPES_WINDOW_HOP_FRAMES * STAPES_HOP_LENGTH)
/* Windows that have begun and are not complete, at most. */
#define STAPES_OPEN_WINDOWS                                                                                  \
    ((STAPES_WINDOW_SAMPLES + STAPES_WINDOW_HOP_SAMPLES - 1u) / STAPES_WINDOW_HOP_SAMPLES + 1u)

/* All memory that a bundle needs; holds pointers into itself, so it must stay where it is. */
typedef struct {
    stapes_frontend_t frontend;
    stapes_engine_t engine;
    stapes_decision_t decision;
    uint64_t frontend_memory[(STAPES_FRONTEND_MEMORY_BYTES + 7u) / 8u];
    uint64_t arena[(STAPES_MODEL_ARENA_BYTES + 7u) / 8u];
    uint64_t decision_memory[(STAPES_DECISION_MEMORY_BYTES + 7u) / 8u];
    uint64_t squares;                             /* of all samples */
    uint64_t squares_before[STAPES_OPEN_WINDOWS]; /* the same at each open window's start */
    uint32_t phase;                               /* samples since the last window began */
    uint32_t newest, oldest;                      /* open windows, places in `squares_before` */
    uint32_t row;                                 /* where the next one goes */
    uint32_t missing;                             /* rows until a window is complete */
    int8_t rows[STAPES_WINDOW_FRAMES][STAPES_MODEL_INPUT_ROW_BYTES];
} stapes_classifier_t;

/* STAPES_E_VERSION when generated files and runtime do not belong together. */
int stapes_classifier_init(stapes_classifier_t *classifier);

/* Forgets all samples and votes. */
void stapes_classifier_reset(stapes_classifier_t *classifier);

/* Takes up to `count` samples and says in `*taken` how many. Stops and returns 1 when a window is complete;
 * returns 0 when all samples were taken, less than 0 for an error. */
int stapes_classifier_push(stapes_classifier_t *classifier, const int16_t *pcm, size_t count, size_t *taken);

/* Scores of the last complete window, one for each of stapes_labels; they stay until the next push. */
const int8_t *stapes_classifier_scores(const stapes_classifier_t *classifier);

/* The vote of all windows since the last reset; STAPES_E_STATE before the first. */
int stapes_classifier_verdict(const stapes_classifier_t *classifier, stapes_verdict_t *verdict);

#ifdef __cplusplus
}
#endif

#endif
