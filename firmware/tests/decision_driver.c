/* Reads one case a line from standard input, prints the verdict and every class's score: the C side of
 * test_decision.py. All windows count `times` times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stapes/decision.h"
#include "stapes/error.h"

static const struct {
    const char *name;
    const stapes_vote_t *vote;
} votes[] = {
#define X(name, words, text) {#name, &stapes_vote_##name},
#include "stapes/votes.def"
#undef X
};

static const stapes_vote_t *vote_named(const char *name) {
    for (size_t i = 0; i < sizeof votes / sizeof votes[0]; i++) {
        if (strcmp(votes[i].name, name) == 0) {
            return votes[i].vote;
        }
    }
    exit(2);
}

int main(void) {
    char name[32];
    unsigned classes, windows, times, resolution;
    int zero_point, threshold, full_score;
    while (scanf("%31s %u %u %d %d %d %u %u", name, &classes, &windows, &zero_point, &threshold, &full_score,
                 &resolution, &times) == 8) {
        const stapes_decision_rule_t rule = {
            .vote = vote_named(name),
            .classes = (uint16_t)classes,
            .zero_point = (int16_t)zero_point,
            .resolution = (uint16_t)resolution,
            .full_score = full_score,
            .threshold = threshold,
        };
        /* Exactly as many bytes, so that a sanitizer sees one too many. */
        const size_t bytes = stapes_decision_bytes(&rule);
        void *memory = malloc(bytes);
        int8_t *scores = malloc(classes);
        stapes_decision_t decision;
        stapes_verdict_t verdict;
        if (memory == NULL || scores == NULL ||
            stapes_decision_init(&decision, &rule, memory, bytes) != STAPES_OK) {
            return 2;
        }
        for (unsigned w = 0; w < windows; w++) {
            unsigned long long square_sum;
            unsigned samples;
            if (scanf("%llu %u", &square_sum, &samples) != 2) {
                return 2;
            }
            for (unsigned c = 0; c < classes; c++) {
                int score;
                if (scanf("%d", &score) != 1) {
                    return 2;
                }
                scores[c] = (int8_t)score;
            }
            stapes_decision_add(&decision, scores, stapes_decision_weight(&rule, square_sum, samples));
        }
        for (unsigned c = 0; c < classes; c++) {
            decision.sums[c] *= times;
        }
        for (unsigned i = 0; i < classes * rule.vote->words; i++) {
            decision.words[i] *= times;
        }
        decision.weight *= times;
        decision.windows *= times;
        const int status = stapes_decision_verdict(&decision, &verdict);
        if (status != STAPES_OK) {
            printf("error %d", status);
        } else {
            printf("%d %d %ld", verdict.class_index, verdict.best, (long)verdict.confidence);
            for (unsigned c = 0; c < classes; c++) {
                printf(" %ld", (long)stapes_decision_score(&decision, (uint16_t)c));
            }
        }
        printf("\n");
        fflush(stdout);
        free(scores);
        free(memory);
    }
    return 0;
}
