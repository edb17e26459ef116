/* Does this device compute what Python computed? A window of noise, the same everywhere, must give the scores
 * that the reference gave when the library was exported. */
#ifndef STAPES_SELFTEST_H
#define STAPES_SELFTEST_H

#include "stapes_classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1: every score is equal, 0: one is not, less than 0: an error. Resets the classifier. */
int stapes_selftest(stapes_classifier_t *classifier);

#ifdef __cplusplus
}
#endif

#endif
