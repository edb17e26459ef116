/* The way from samples to a class: PCM -> rows of features -> windows -> scores -> a vote.
 *
 *     static uint64_t memory[(STAPES_BELLS_MEMORY_BYTES + 7u) / 8u];
 *     static stapes_classifier_t classifier;
 *     stapes_classifier_init(&classifier, &stapes_bells, memory, sizeof memory);
 *     while (there is sound) {
 *         size_t taken;
 *         int result = stapes_classifier_push(&classifier, pcm, count, &taken);
 *         ... result is 1 when a window is complete: look at the scores; go on with pcm + taken
 *     }
 *     stapes_verdict_t verdict;
 *     stapes_classifier_verdict(&classifier, &verdict);
 *
 * A push is `hear`, `feed` and `vote`; programs that do something between call these. For a stream without
 * end see stapes/live.h.
 *
 * Every function returns STAPES_E_ARGUMENT for a NULL pointer and STAPES_E_STATE before a successful init (of
 * a structure that is all zeros), those that return a pointer return NULL. Those that have nothing else to
 * say return STAPES_OK. */
#ifndef STAPES_CLASSIFIER_H
#define STAPES_CLASSIFIER_H

#include <stddef.h>
#include <stdint.h>

#include "stapes/bundle.h"
#include "stapes/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const stapes_bundle_t *bundle;
    stapes_frontend_t frontend;
    stapes_engine_t engine;
    stapes_decision_t decision;
    uint32_t (*ticks)(void);
    uint32_t frontend_ticks; /* that the front end took since the reset */

    /* In the caller's memory. */
    uint64_t *squares_before; /* `squares` at the start of each open window */
    int8_t *rows;             /* the newest `kept` ones, a ring */
    uint32_t kept;            /* 1 or a window of rows */
    uint8_t *before;          /* the arena before the window that was repeated last; NULL: no room for it */

    uint64_t squares;      /* of all samples, modulo 2^64 */
    uint32_t phase;        /* samples since the newest window began */
    uint32_t begun, ended; /* places in `squares_before`: of the next window, of the next that is complete */
    uint32_t next;         /* place of the next row in `rows` */
    uint32_t frames;       /* rows that the network was to hear since then, or since it began */
    uint32_t fed;          /* rows of the next window that it has heard, where windows do not share them */
    uint8_t is_flowing;    /* a window has ended since the network began */
    uint8_t is_sliding;    /* the engine is in the middle of a stream whose windows share rows */
    uint8_t has_rows;      /* of the last complete window are all kept: none was heard since */
    uint8_t has_scores;    /* of that window */
    uint8_t has_vote;      /* it has not voted yet */
    uint8_t has_row;       /* heard, and neither fed nor kept */
    uint8_t has_before;    /* `before` is of the last complete window */
    uint32_t weight;       /* of the last window that voted */
    uint64_t window_squares; /* of the last complete window */
} stapes_classifier_t;

/* Bytes of memory for `kept` rows; the generated STAPES_<NAME>_MEMORY_BYTES is this with as many rows as
 * feeding needs, STAPES_<NAME>_REPEAT_MEMORY_BYTES with those of a whole window. */
#define STAPES_CLASSIFIER_MEMORY(frontend_bytes, arena_bytes, open_windows, decision_bytes, kept, row_bytes) \
    (STAPES_ALIGN(frontend_bytes) + STAPES_ALIGN(arena_bytes) + 8u * (open_windows) +                        \
     STAPES_ALIGN(decision_bytes) + STAPES_ALIGN((size_t)(kept) * (row_bytes)))

/* `memory`, aligned for uint64_t, is at least bundle->memory_bytes long. Where windows share rows, that is
 * too little to keep a window of them, and where the network's state goes on, to repeat one: with
 * STAPES_<NAME>_REPEAT_MEMORY_BYTES they are kept, for stapes_classifier_keep, _repeat and _row. Returns
 * STAPES_OK; STAPES_E_MEMORY: too small or misaligned; STAPES_E_VERSION: generated code and runtime do not
 * belong together. */
int stapes_classifier_init(stapes_classifier_t *classifier, const stapes_bundle_t *bundle, void *memory,
                           size_t bytes);

/* Forgets all samples and votes. Returns STAPES_OK or an error. */
int stapes_classifier_reset(stapes_classifier_t *classifier);

/* Takes up to `count` samples and says in `*taken` how many. Stops and returns 1 when a window is complete
 * and has voted; returns 0 when all samples were taken, less than 0 for an error. The work of a window is
 * spread over its samples. */
int stapes_classifier_push(stapes_classifier_t *classifier, const int16_t *pcm, size_t count, size_t *taken);

/* Returns the scores of the window that has just been completed, one for each of bundle->labels; they stay
 * until the next push. NULL where there are none. */
const int8_t *stapes_classifier_scores(const stapes_classifier_t *classifier);

/* Writes the vote of all windows since the last reset and returns STAPES_OK; STAPES_E_STATE before the first.
 */
int stapes_classifier_verdict(const stapes_classifier_t *classifier, stapes_verdict_t *verdict);

/* Step 1: takes samples as stapes_classifier_push does. Returns 1 when a row is complete: feed or keep it. */
int stapes_classifier_hear(stapes_classifier_t *classifier, const int16_t *pcm, size_t count, size_t *taken);

/* Step 2: gives the network the row that has just been heard, or as many of the rows before it as make the
 * work even over the frames of a hop. Returns 1 when a window is complete: its scores are there. */
int stapes_classifier_feed(stapes_classifier_t *classifier);

/* Step 2, another way: only keeps the row. Returns 1 when a window is complete, which
 * stapes_classifier_repeat then runs. STAPES_E_STATE where rows are not kept. */
int stapes_classifier_keep(stapes_classifier_t *classifier);

/* Step 3: the window that has just been completed votes. Returns STAPES_OK, or STAPES_E_STATE where there is
 * none. */
int stapes_classifier_vote(stapes_classifier_t *classifier);

/* Runs the last complete window from scratch, all at once, from its rows: the same scores again. Where state
 * goes on, the first time from where the window before has left it, then from there again.
 * Returns STAPES_OK; STAPES_E_STATE when they are gone (a row was heard since, or rows are not kept) or the
 * network is in the middle of a stream. */
int stapes_classifier_repeat(stapes_classifier_t *classifier);

/* Returns row `index` of the last complete window, oldest first; NULL when it is gone, as above. */
const int8_t *stapes_classifier_row(const stapes_classifier_t *classifier, uint32_t index);

/* Returns the row heard last: bundle->model->row_bytes bytes, n_features of the front end. */
const int8_t *stapes_classifier_newest_row(const stapes_classifier_t *classifier);

/* The network forgets all rows; what was heard and voted stays. Returns STAPES_OK or an error. */
int stapes_classifier_restart(stapes_classifier_t *classifier);

/* The same, as if `row` had come for a whole window before the row that has just been heard: the next window
 * ends a hop after them. Returns STAPES_OK or an error. */
int stapes_classifier_fill(stapes_classifier_t *classifier, const int8_t *row);

/* Counts in `frontend_ticks` what the front end takes; `ticks` NULL: does not. Returns STAPES_OK or an error.
 */
int stapes_classifier_set_ticks(stapes_classifier_t *classifier, uint32_t (*ticks)(void));

#ifdef __cplusplus
}
#endif

#endif
