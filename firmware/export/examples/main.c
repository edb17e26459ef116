/* Classifies a recording, or without one tests this device: main [FILE], a file of raw 16-bit mono PCM. */
#include <stdio.h>

#include "stapes_selftest.h"

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
                for (int i = 0; i < STAPES_LABEL_COUNT; i++) {
                    printf("%d%c", scores[i], i + 1 < STAPES_LABEL_COUNT ? ' ' : '\n');
                }
            }
        }
    }
    stapes_verdict_t verdict;
    int error = stapes_classifier_verdict(&classifier, &verdict);
    if (error == STAPES_OK) {
        printf("%s\n", verdict.class_index < 0 ? "unknown" : stapes_labels[verdict.class_index]);
    }
    return error;
}

int main(int argc, char **argv) {
    int error = stapes_classifier_init(&classifier);
    if (error != STAPES_OK) {
        fprintf(stderr, "%s\n", stapes_error_text(error));
        return 1;
    }
    if (argc < 2) {
        int result = stapes_selftest(&classifier);
        printf("self-test: %s\n", result == 1 ? "every score is equal" : "DIFFERENT from the reference");
        return result == 1 ? 0 : 1;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    error = classify(file);
    fclose(file);
    if (error != STAPES_OK) {
        fprintf(stderr, "%s\n", stapes_error_text(error));
    }
    return error == STAPES_OK ? 0 : 1;
}
