/* Tests whether this device computes what Python computed, and says what it can tell apart. */
#include <stdio.h>

#include "stapes_selftest.h"

static stapes_classifier_t classifier;

int main(void) {
    int error = stapes_classifier_init(&classifier);
    if (error != STAPES_OK) {
        printf("%s\n", stapes_error_text(error));
        return 1;
    }
    for (int i = 0; i < STAPES_LABEL_COUNT; i++) {
        printf("class %d: %s\n", i, stapes_labels[i]);
    }
    int result = stapes_selftest(&classifier);
    printf("self-test: %s\n", result == 1 ? "every score is equal" : "DIFFERENT from the reference");
    return result == 1 ? 0 : 1;
}
