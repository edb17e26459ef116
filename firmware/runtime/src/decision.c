#include "stapes/decision.h"

#include <string.h>

#include "stapes/error.h"
#include "stapes/integer.h"
#include "stapes/limits.h"

/* Whether the decision was initialised. */
static int is_ready(const stapes_decision_t *decision) {
    return decision != NULL && decision->rule != NULL;
}

size_t stapes_decision_bytes(const stapes_decision_rule_t *rule) {
    return rule->classes * (sizeof(int64_t) + rule->vote->words * sizeof(uint32_t));
}

int stapes_decision_init(stapes_decision_t *decision, const stapes_decision_rule_t *rule, void *memory,
                         size_t bytes) {
    if (decision == NULL || rule == NULL || memory == NULL || rule->vote == NULL || rule->classes == 0u ||
        rule->classes > STAPES_LIMIT_CLASSES) {
        return STAPES_E_ARGUMENT;
    }
    if (bytes < stapes_decision_bytes(rule) || (uintptr_t)memory % sizeof(uint64_t) != 0u) {
        return STAPES_E_MEMORY;
    }
    decision->rule = rule;
    decision->sums = memory;
    decision->words = (uint32_t *)(decision->sums + rule->classes);
    stapes_decision_reset(decision);
    return STAPES_OK;
}

void stapes_decision_reset(stapes_decision_t *decision) {
    if (!is_ready(decision)) {
        return;
    }
    memset(decision->sums, 0, stapes_decision_bytes(decision->rule));
    decision->weight = 0;
    decision->windows = 0;
}

uint32_t stapes_decision_weight(const stapes_decision_rule_t *rule, uint64_t square_sum, uint32_t samples) {
    return rule->vote->weight == NULL || samples == 0u ? 1u : rule->vote->weight(square_sum, samples);
}

void stapes_decision_add(stapes_decision_t *decision, const int8_t *scores, uint32_t weight) {
    if (!is_ready(decision) || scores == NULL) {
        return;
    }
    const stapes_decision_rule_t *rule = decision->rule;
    for (uint16_t c = 0; c < rule->classes; c++) {
        decision->sums[c] += (int64_t)(scores[c] - rule->zero_point) * (int64_t)weight;
    }
    if (rule->vote->add != NULL) {
        rule->vote->add(decision, scores, weight);
    }
    decision->weight += weight;
    decision->windows++;
}

int32_t stapes_decision_score(const stapes_decision_t *decision, uint16_t c) {
    if (!is_ready(decision) || decision->windows == 0u || c >= decision->rule->classes) {
        return 0;
    }
    return decision->rule->vote->score(decision, c);
}

static int is_above(const void *values, uint16_t a, uint16_t b) {
    const stapes_decision_t *decision = values;
    const stapes_vote_t *vote = decision->rule->vote;
    if (vote->rank != NULL) {
        const uint32_t first = vote->rank(decision, a), second = vote->rank(decision, b);
        if (first != second) {
            return first > second;
        }
    }
    return decision->sums[a] > decision->sums[b];
}

int stapes_decision_verdict(const stapes_decision_t *decision, stapes_verdict_t *verdict) {
    if (decision == NULL || verdict == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_decision_rule_t *rule = decision->rule;
    if (rule == NULL || decision->windows == 0u) {
        return STAPES_E_STATE;
    }
    verdict->best = (int16_t)stapes_argmax(decision, rule->classes, is_above);
    verdict->confidence = stapes_decision_score(decision, (uint16_t)verdict->best);
    verdict->class_index = verdict->confidence < rule->threshold ? (int16_t)STAPES_UNKNOWN : verdict->best;
    return STAPES_OK;
}

/* A sum of 255 * 2^15 in every window stays below 2^63 / 256. The network's scores need not be probabilities:
 * sums may be negative. */
int32_t stapes_decision_mean(const stapes_decision_t *decision, uint16_t c) {
    if (!is_ready(decision) || decision->weight == 0u || c >= decision->rule->classes) {
        return 0;
    }
    return (int32_t)stapes_floor_divide(decision->sums[c] * decision->rule->resolution,
                                        (int64_t)decision->weight);
}
