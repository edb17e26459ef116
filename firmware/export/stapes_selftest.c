#include "stapes_selftest.h"

#include "stapes_selftest_data.h"

typedef char stapes_one_expectation_per_label[STAPES_SELFTEST_SCORES == STAPES_LABEL_COUNT ? 1 : -1];

/* Noise (xorshift32) whose level changes; tools/stapes/codegen/selftest.py makes the same. */
static int16_t noise(uint32_t *state, uint32_t index) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    int32_t level = (int32_t)(1u << (index / 2048u % 8u));
    return (int16_t)(((int32_t)(x >> 16) - 32768) / level);
}

int stapes_selftest(stapes_classifier_t *classifier) {
    uint32_t state = 1;
    int result = 0;
    stapes_classifier_reset(classifier);
    for (uint32_t i = 0; i < STAPES_WINDOW_SAMPLES && result == 0; i++) {
        int16_t sample = noise(&state, i);
        size_t taken;
        result = stapes_classifier_push(classifier, &sample, 1, &taken);
    }
    if (result == 1) {
        const int8_t *scores = stapes_classifier_scores(classifier);
        for (uint32_t i = 0; i < STAPES_LABEL_COUNT; i++) {
            if (scores[i] != stapes_selftest_scores[i]) {
                result = 0;
            }
        }
    }
    stapes_classifier_reset(classifier);
    return result;
}
