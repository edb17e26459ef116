/* Classifies a recording, or without one tests this device: main [FILE], a file of raw 16-bit mono PCM. */
#include <stdio.h>

#include "stapes_app.h"

static uint64_t memory[(STAPES_APP_MEMORY_BYTES + 7u) / 8u];
static stapes_classifier_t classifier;

static int classify(FILE *file) {
    int16_t pcm[512];
    size_t count;
    while ((count = fread(pcm, sizeof pcm[0], sizeof pcm / sizeof pcm[0], file)) > 0u) {
        for (size_t start = 0; start < count;) {
            size_t taken;
            int result = stapes_classifier_push(&classifier, pcm + start, count - start, &taken);
            if (result < 0) {
                return result;
            }
            start += taken;
            if (result == 1) {
                const int8_t *scores = stapes_classifier_scores(&classifier);
                for (int i = 0; i < STAPES_APP_CLASSES; i++) {
                    printf("%d%c", scores[i], i + 1 < STAPES_APP_CLASSES ? ' ' : '\n');
                }
            }
        }
    }
    stapes_verdict_t verdict;
    int error = stapes_classifier_verdict(&classifier, &verdict);
    if (error == STAPES_OK) {
        printf("%s\n", verdict.class_index < 0 ? "unknown" : stapes_app.labels[verdict.class_index]);
    }
    return error;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        int result = stapes_selftest_run(&stapes_app_selftest, &classifier, memory, sizeof memory);
        printf("self-test: %s\n", result == 1 ? "every score is equal" : "DIFFERENT from the reference");
        return result == 1 ? 0 : 1;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    int error = stapes_classifier_init(&classifier, &stapes_app, memory, sizeof memory);
    if (error == STAPES_OK) {
        error = classify(file);
    }
    fclose(file);
    if (error != STAPES_OK) {
        fprintf(stderr, "%s\n", stapes_error_text(error));
    }
    return error == STAPES_OK ? 0 : 1;
}
