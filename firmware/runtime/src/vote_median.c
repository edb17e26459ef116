/* The median of each class's scores, by counting them: 256 counters a class. Of an even number of windows it
 * is the mean of the two in the middle, so twice the median is what is compared. */
#include "stapes/decision.h"
#include "stapes/integer.h"

#define SCORES 256u /* that an int8 may be */

static void add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight) {
    (void)weight;
    for (uint16_t c = 0; c < decision->rule->classes; c++) {
        decision->words[c * SCORES + (uint32_t)(scores[c] - INT8_MIN)]++;
    }
}

/* Returns the sum of the two scores in the middle, both above INT8_MIN; of an odd number of windows they are
 * one. */
static uint32_t rank(const stapes_decision_t *decision, uint16_t c) {
    const uint32_t *counts = decision->words + c * SCORES;
    const uint32_t lower = (decision->windows - 1u) / 2u, upper = decision->windows / 2u;
    uint32_t score = 0, seen = counts[0]; /* windows with this score or less */
    while (seen <= lower) {
        seen += counts[++score];
    }
    const uint32_t first = score;
    while (seen <= upper) {
        seen += counts[++score];
    }
    return first + score;
}

static int32_t score(const stapes_decision_t *decision, uint16_t c) {
    const stapes_decision_rule_t *rule = decision->rule;
    const int32_t twice = (int32_t)rank(decision, c) + 2 * (INT8_MIN - rule->zero_point);
    return (int32_t)stapes_floor_divide((int64_t)twice * rule->resolution, 2);
}

const stapes_vote_t stapes_vote_median = {
    .words = stapes_vote_median_words,
    .add = add,
    .rank = rank,
    .score = score,
};
