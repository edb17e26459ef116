/* Does this device compute what Python computed? Two windows of noise, the same everywhere, must give the
 * scores that the reference gave when the bundle was exported. An export defines `const stapes_selftest_t
 * stapes_<name>_selftest`.
 */
#ifndef STAPES_SELFTEST_H
#define STAPES_SELFTEST_H

#include "stapes/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const stapes_bundle_t *bundle;
    const int8_t *scores; /* of one window after the other */
    uint32_t windows;
} stapes_selftest_t;

/* Returns 1: every score is equal, 0: one is not, less than 0: an error (STAPES_E_VERSION: the bundle is
 * another). Initialises `classifier` with `memory` (see stapes_classifier_init) and the test's bundle; init
 * it again before other use of it. */
int stapes_selftest_run(const stapes_selftest_t *test, stapes_classifier_t *classifier, void *memory,
                        size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
