/* From window scores to one decision, in integers. tools/stapes/reference/decision.py and votes.py are the
 * same; docs/adding-a-decision-rule.md says how another vote is added.
 *
 *     static uint64_t memory[(STAPES_DECISION_MEMORY(majority, 3u) + 7u) / 8u];
 *     stapes_decision_t decision;
 *     stapes_decision_init(&decision, &rule, memory, sizeof memory);
 *     for (every window) {
 *         stapes_decision_add(&decision, scores, stapes_decision_weight(&rule, square_sum, samples));
 *     }
 *     stapes_decision_verdict(&decision, &verdict);
 *
 * Only stapes_decision_init looks for NULL; what it has accepted may be given to the others. */
#ifndef STAPES_DECISION_H
#define STAPES_DECISION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_UNKNOWN (-1)

typedef struct stapes_decision stapes_decision_t;

/* How windows decide together. Functions are those that this vote needs, so that the linker leaves out the
 * other votes. */
typedef struct {
    uint16_t words; /* counters of each class, zero before the first window; as votes.def says */
    /* Returns the weight, at least 1, of a window of `samples` samples (at least 1) whose squares sum to
     * `square_sum`; NULL: every window weighs 1. */
    uint32_t (*weight)(uint64_t square_sum, uint32_t samples);
    /* Counts one window; NULL: the sums say enough. */
    void (*add)(stapes_decision_t *decision, const int8_t *scores, uint32_t weight);
    /* Returns what classes are compared by: the larger wins, between equals the larger sum, then the first;
     * NULL: the sum alone. */
    uint32_t (*rank)(const stapes_decision_t *decision, uint16_t c);
    /* Returns the score of class `c` after at least one window, in 1/resolution steps, rounded down. */
    int32_t (*score)(const stapes_decision_t *decision, uint16_t c);
} stapes_vote_t;

typedef struct {
    const stapes_vote_t *vote;
    uint16_t classes;    /* at most STAPES_LIMIT_CLASSES */
    int16_t zero_point;  /* of the network's scores */
    uint16_t resolution; /* scores of the vote are in 1/resolution steps of the network's, 1 to 256 */
    int32_t full_score;  /* of a class that has all votes, in the same */
    int32_t threshold;   /* least confidence, in the same; below it the class is STAPES_UNKNOWN */
} stapes_decision_rule_t;

/* Exact for up to 2^32 - 1 windows. */
struct stapes_decision {
    const stapes_decision_rule_t *rule;
    int64_t *sums;   /* of each class: its scores less the zero point, times the windows' weights */
    uint32_t *words; /* of each class, if its vote has any */
    uint64_t weight; /* of all windows */
    uint32_t windows;
};

typedef struct {
    int16_t class_index; /* or STAPES_UNKNOWN */
    int16_t best;        /* the class that wins the vote, unknown or not */
    int32_t confidence;  /* its score in the vote, in 1/resolution steps, rounded down: a weighted mean above
                          * the zero point, or the share of windows that voted for it */
} stapes_verdict_t;

/* `stapes_vote_<name>`, and the counters of each class as a constant. */
#define X(name, words, text)                                                                                 \
    extern const stapes_vote_t stapes_vote_##name;                                                           \
    enum { stapes_vote_##name##_words = (words) };
#include "stapes/votes.def"
#undef X

/* Bytes of caller-owned memory, aligned for uint64_t, that a decision by the vote `name` takes. */
#define STAPES_DECISION_MEMORY(name, classes)                                                                \
    ((size_t)(classes) * (sizeof(int64_t) + stapes_vote_##name##_words * sizeof(uint32_t)))

/* Returns the same for a rule that is known only when the program runs. */
size_t stapes_decision_bytes(const stapes_decision_rule_t *rule);

/* Returns STAPES_OK; STAPES_E_ARGUMENT for a NULL pointer or a rule without vote or classes or with too many
 * of these; STAPES_E_MEMORY for memory that is too small or misaligned. No window is counted yet. */
int stapes_decision_init(stapes_decision_t *decision, const stapes_decision_rule_t *rule, void *memory,
                         size_t bytes);

/* Forgets all windows; nothing before init. */
void stapes_decision_reset(stapes_decision_t *decision);

/* Returns the weight of a window of `samples` samples whose squares sum to `square_sum`: at least 1. */
uint32_t stapes_decision_weight(const stapes_decision_rule_t *rule, uint64_t square_sum, uint32_t samples);

/* Adds the scores of one window, one for each class; nothing before init. */
void stapes_decision_add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight);

/* Returns the score of class `c` in the vote so far, in 1/resolution steps, rounded down; 0 before init and
 * before the first window. */
int32_t stapes_decision_score(const stapes_decision_t *decision, uint16_t c);

/* Writes the vote so far and returns STAPES_OK; STAPES_E_STATE before init and when no window was added,
 * STAPES_E_ARGUMENT for NULL. */
int stapes_decision_verdict(const stapes_decision_t *decision, stapes_verdict_t *verdict);

/* Returns the weighted mean of class `c`'s scores; a `score` of votes; 0 as above. */
int32_t stapes_decision_mean(const stapes_decision_t *decision, uint16_t c);

#ifdef __cplusplus
}
#endif

#endif
