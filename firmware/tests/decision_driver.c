/* Reads one case a line from standard input, prints the verdict: the C side of test_decision.py. */
#include <stdio.h>

#include "stapes/decision.h"
#include "stapes/error.h"

int main(void) {
    unsigned classes, windows, vote;
    int zero_point, threshold;
    while (scanf("%u %u %u %d %d", &classes, &windows, &vote, &zero_point, &threshold) == 5) {
        stapes_decision_rule_t rule = {(uint16_t)classes, (int16_t)zero_point, (stapes_vote_t)vote,
                                       (int16_t)threshold};
        stapes_decision_t decision;
        stapes_verdict_t verdict;
        if (stapes_decision_init(&decision, &rule) != STAPES_OK) {
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
            stapes_decision_add(&decision, scores, stapes_decision_weight(&rule, square_sum, samples));
        }
        int status = stapes_decision_verdict(&decision, &verdict);
        if (status != STAPES_OK) {
            printf("error %d\n", status);
        } else {
            printf("%d %d %ld\n", verdict.class_index, verdict.best, (long)verdict.confidence);
        }
        fflush(stdout);
    }
    return 0;
}
