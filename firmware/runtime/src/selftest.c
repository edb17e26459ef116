#include "stapes/selftest.h"

#include <string.h>

/* Noise (xorshift32) whose level changes; tools/stapes/codegen/selftest.py makes the same. */
static int16_t noise(uint32_t *state, uint32_t index) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    const int32_t level = (int32_t)(1u << (index / 2048u % 8u));
    return (int16_t)(((int32_t)(x >> 16) - 32768) / level);
}

int stapes_selftest_run(const stapes_selftest_t *test, stapes_classifier_t *classifier, void *memory,
                        size_t bytes) {
    if (test == NULL || test->bundle == NULL || test->scores == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const int error = stapes_classifier_init(classifier, test->bundle, memory, bytes);
    if (error != STAPES_OK) {
        return error;
    }
    const int8_t *expected = test->scores;
    const size_t classes = test->bundle->classes;
    uint32_t state = 1, index = 0;
    for (uint32_t window = 0; window < test->windows;) {
        const int16_t sample = noise(&state, index++);
        size_t taken;
        const int result = stapes_classifier_push(classifier, &sample, 1, &taken);
        if (result < 0) {
            return result;
        }
        if (result == 1) {
            if (memcmp(stapes_classifier_scores(classifier), expected, classes) != 0) {
                return 0;
            }
            expected += classes;
            window++;
        }
    }
    return test->windows != 0u;
}
