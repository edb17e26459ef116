#include "stapes/decision.h"

#include <stddef.h>

#include "stapes/error.h"

int stapes_decision_init(stapes_decision_t *decision, const stapes_decision_rule_t *rule) {
    if (decision == NULL || rule == NULL || rule->classes == 0 || rule->classes > STAPES_MAX_CLASSES) {
        return STAPES_E_ARGUMENT;
    }
    decision->rule = rule;
    stapes_decision_reset(decision);
    return STAPES_OK;
}

void stapes_decision_reset(stapes_decision_t *decision) {
    for (size_t c = 0; c < STAPES_MAX_CLASSES; c++) {
        decision->sum[c] = 0;
    }
    decision->weight = 0;
    decision->windows = 0;
}

/* Bit by bit. */
uint32_t stapes_integer_sqrt(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

uint32_t stapes_decision_weight(const stapes_decision_rule_t *rule, uint64_t square_sum, uint32_t samples) {
    if (rule->vote == STAPES_VOTE_MEAN || samples == 0) {
        return 1;
    }
    uint32_t root = stapes_integer_sqrt(square_sum / samples);
    return root == 0 ? 1 : root;
}

void stapes_decision_add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight) {
    for (uint16_t c = 0; c < decision->rule->classes; c++) {
        decision->sum[c] += (int64_t)(scores[c] - decision->rule->zero_point) * (int64_t)weight;
    }
    decision->weight += weight;
    decision->windows++;
}

int stapes_decision_verdict(const stapes_decision_t *decision, stapes_verdict_t *verdict) {
    if (decision->windows == 0) {
        return STAPES_E_STATE;
    }
    uint16_t best = 0;
    for (uint16_t c = 1; c < decision->rule->classes; c++) {
        if (decision->sum[c] > decision->sum[best]) {
            best = c;
        }
    }
    /* The network's scores need not be probabilities: a negative sum rounds down too. */
    int64_t weight = (int64_t)decision->weight;
    int64_t mean = decision->sum[best] / weight;
    if (decision->sum[best] < 0 && mean * weight != decision->sum[best]) {
        mean--;
    }
    verdict->best = (int16_t)best;
    verdict->confidence = (int32_t)mean;
    verdict->class_index = mean < decision->rule->threshold ? (int16_t)STAPES_UNKNOWN : (int16_t)best;
    return STAPES_OK;
}

void stapes_majority_add(stapes_decision_t *decision, uint32_t *votes, const int8_t *scores) {
    uint16_t best = 0;
    for (uint16_t c = 0; c < decision->rule->classes; c++) {
        if (decision->windows == 0) {
            votes[c] = 0;
        }
        if (scores[c] > scores[best]) {
            best = c;
        }
    }
    votes[best]++;
    stapes_decision_add(decision, scores, 1);
}

int stapes_majority_verdict(const stapes_decision_t *decision, const uint32_t *votes, int16_t full_score,
                            stapes_verdict_t *verdict) {
    const stapes_decision_rule_t *rule = decision->rule;
    if (decision->windows == 0) {
        return STAPES_E_STATE;
    }
    uint16_t best = 0;
    for (uint16_t c = 1; c < rule->classes; c++) {
        if (votes[c] > votes[best] || (votes[c] == votes[best] && decision->sum[c] > decision->sum[best])) {
            best = c;
        }
    }
    verdict->best = (int16_t)best;
    verdict->confidence = (int32_t)((int64_t)votes[best] * full_score / decision->windows);
    verdict->class_index = verdict->confidence < rule->threshold ? (int16_t)STAPES_UNKNOWN : (int16_t)best;
    return STAPES_OK;
}
