/* Every window has one vote, for its best class, the first of equals. */
#include "stapes/decision.h"
#include "stapes/integer.h"

static int is_above(const void *values, uint16_t a, uint16_t b) {
    const int8_t *scores = values;
    return scores[a] > scores[b];
}

static void add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight) {
    (void)weight;
    decision->words[stapes_argmax(scores, decision->rule->classes, is_above)]++;
}

static uint32_t rank(const stapes_decision_t *decision, uint16_t c) {
    return decision->words[c];
}

/* The share of windows that voted for the class. */
static int32_t score(const stapes_decision_t *decision, uint16_t c) {
    return (int32_t)((int64_t)decision->words[c] * decision->rule->full_score / decision->windows);
}

const stapes_vote_t stapes_vote_majority = {
    .words = stapes_vote_majority_words,
    .add = add,
    .rank = rank,
    .score = score,
};
