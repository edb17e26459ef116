/* Reads one case a line from standard input, prints the verdict: the C side of test_decision.py. All windows
 * count `times` times. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "stapes/decision.h"
#include "stapes/error.h"

int main(void) {
    unsigned classes, windows, vote, times;
    int zero_point, threshold, full_score;
    while (scanf("%u %u %u %d %d %d %u", &classes, &windows, &vote, &zero_point, &threshold, &full_score,
                 &times) == 7) {
        const bool is_majority = vote == 2u;
        stapes_decision_rule_t rule = {(uint16_t)classes, (int16_t)zero_point,
                                       is_majority ? STAPES_VOTE_MEAN : (stapes_vote_t)vote,
                                       (int16_t)threshold};
        uint32_t *votes = malloc(classes * sizeof *votes); /* so that a sanitizer sees one too many */
        stapes_decision_t decision;
        stapes_verdict_t verdict;
        if (votes == NULL || stapes_decision_init(&decision, &rule) != STAPES_OK) {
            return 2;
        }
        for (unsigned w = 0; w < windows; w++) {
            unsigned long long square_sum;
            unsigned samples;
            int8_t scores[STAPES_MAX_CLASSES];
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
            uint32_t weight = stapes_decision_weight(&rule, square_sum, samples);
            if (is_majority) {
                stapes_majority_add(&decision, votes, scores);
            } else {
                stapes_decision_add(&decision, scores, weight);
            }
        }
        for (unsigned c = 0; c < classes; c++) {
            decision.sum[c] *= times;
            if (is_majority && windows > 0) {
                votes[c] *= times;
            }
        }
        decision.weight *= times;
        decision.windows *= times;
        int status = is_majority ? stapes_majority_verdict(&decision, votes, (int16_t)full_score, &verdict)
                                 : stapes_decision_verdict(&decision, &verdict);
        free(votes);
        if (status != STAPES_OK) {
            printf("error %d\n", status);
        } else {
            printf("%d %d %ld\n", verdict.class_index, verdict.best, (long)verdict.confidence);
        }
        fflush(stdout);
    }
    return 0;
}
