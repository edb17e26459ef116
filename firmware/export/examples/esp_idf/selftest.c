/* Tests whether this chip computes what Python computed, and says what it can tell apart. */
#include <stdio.h>

#include "stapes_app.h"

static uint64_t memory[(STAPES_APP_MEMORY_BYTES + 7u) / 8u];
static stapes_classifier_t classifier;

void app_main(void);

void app_main(void) {
    for (int i = 0; i < STAPES_APP_CLASSES; i++) {
        printf("class %d: %s\n", i, stapes_app.labels[i]);
    }
    int result = stapes_selftest_run(&stapes_app_selftest, &classifier, memory, sizeof memory);
    if (result < 0) {
        printf("%s\n", stapes_error_text(result));
        return;
    }
    printf("self-test: %s\n", result == 1 ? "every score is equal" : "DIFFERENT from the reference");
}
