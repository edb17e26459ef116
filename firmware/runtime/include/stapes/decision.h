/* From window scores to one decision, in integers. tools/stapes/reference/decision.py is the same, line by
 * line. */
#ifndef STAPES_DECISION_H
#define STAPES_DECISION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_MAX_CLASSES 64
#define STAPES_UNKNOWN     (-1)

typedef enum {
    STAPES_VOTE_MEAN = 0,  /* every window counts the same */
    STAPES_VOTE_ENERGY = 1 /* a window counts as much as its root mean square */
} stapes_vote_t;

typedef struct {
    uint16_t classes;
    int16_t zero_point; /* of the scores */
    stapes_vote_t vote;
    int16_t threshold; /* least confidence, in steps of the score; below it the class is STAPES_UNKNOWN */
} stapes_decision_rule_t;

/* Exact for up to 2^32 - 1 windows. */
typedef struct {
    const stapes_decision_rule_t *rule;
    int64_t sum[STAPES_MAX_CLASSES]; /* weighted scores less the zero point */
    uint64_t weight;
    uint32_t windows;
} stapes_decision_t;

typedef struct {
    int16_t class_index; /* or STAPES_UNKNOWN */
    int16_t best;        /* the class with the highest vote, unknown or not */
    int32_t confidence;  /* in steps of the score, rounded down: weighted mean score of `best` above the zero
                          * point, or the share of windows in a majority that voted for it */
} stapes_verdict_t;

/* Returns STAPES_E_ARGUMENT for a NULL pointer or a rule with no class or more than STAPES_MAX_CLASSES. */
int stapes_decision_init(stapes_decision_t *decision, const stapes_decision_rule_t *rule);
void stapes_decision_reset(stapes_decision_t *decision);

/* The largest root with root * root <= value. */
uint32_t stapes_integer_sqrt(uint64_t value);

/* Weight of a window of `samples` samples whose squares sum to `square_sum`: at least 1. */
uint32_t stapes_decision_weight(const stapes_decision_rule_t *rule, uint64_t square_sum, uint32_t samples);

/* Adds the scores of one window. */
void stapes_decision_add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight);

/* The vote so far; STAPES_E_STATE when no window was added. */
int stapes_decision_verdict(const stapes_decision_t *decision, stapes_verdict_t *verdict);

/* A majority: every window has one vote, for its best class; between equally many votes the larger sum
 * decides. These two take the place of the two above, so that other votes need no counters. The rule says
 * STAPES_VOTE_MEAN. `votes` is one counter a class, the same at every call; what it holds before the first
 * window does not matter. */
void stapes_majority_add(stapes_decision_t *decision, uint32_t *votes, const int8_t *scores);

/* `full_score` is the confidence when all windows voted for one class, at least 1, in steps of the score.
 * STAPES_E_STATE when no window was added. */
int stapes_majority_verdict(const stapes_decision_t *decision, const uint32_t *votes, int16_t full_score,
                            stapes_verdict_t *verdict);

#ifdef __cplusplus
}
#endif

#endif
