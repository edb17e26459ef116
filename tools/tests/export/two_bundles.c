/* Two bundles in one program, valid as C and as C++: reads raw PCM, prints what each bundle's self-test, classifier,
 * front end and listening device say. Every block of memory is as long as the bundle asks for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stapes_esc10_nano.h"
#include "stapes_esc10_tiny.h"

static int16_t pcm[1 << 17];
static size_t count;

static void fail(const char *what, int error) {
    printf("%s: %s\n", what, stapes_error_text(error));
    exit(1);
}

static void test_itself(const stapes_selftest_t *own, const stapes_selftest_t *other) {
    stapes_classifier_t classifier;
    const size_t bytes = own->bundle->memory_bytes;
    void *memory = malloc(bytes);
    stapes_selftest_t crossed = *own;
    crossed.scores = other->scores;
    printf("%s selftest %d", own->bundle->name, stapes_selftest_run(own, &classifier, memory, bytes));
    printf(" %d\n", stapes_selftest_run(&crossed, &classifier, memory, bytes));
    free(memory);
}

static void classify(const stapes_bundle_t *bundle) {
    stapes_classifier_t classifier;
    void *memory = malloc(bundle->memory_bytes);
    int error = stapes_classifier_init(&classifier, bundle, memory, bundle->memory_bytes);
    for (size_t at = 0; error >= 0 && at < count;) {
        size_t taken;
        error = stapes_classifier_push(&classifier, pcm + at, count - at < 777u ? count - at : 777u, &taken);
        at += taken;
        if (error == 1) {
            printf("%s scores", bundle->name);
            for (uint32_t i = 0; i < bundle->classes; i++) {
                printf(" %d", stapes_classifier_scores(&classifier)[i]);
            }
            printf("\n");
        }
    }
    stapes_verdict_t verdict;
    if (error >= 0) {
        error = stapes_classifier_verdict(&classifier, &verdict);
    }
    if (error < 0) {
        fail("classifier", error);
    }
    printf("%s verdict %d %d %s\n", bundle->name, verdict.class_index, (int)verdict.confidence,
           bundle->labels[verdict.best]);
    free(memory);
}

/* FNV-1a of all rows. */
static void features(const stapes_bundle_t *bundle) {
    const stapes_frontend_tables_t *tables = bundle->frontend;
    const size_t bytes = STAPES_FRONTEND_MEMORY(tables->frame_length, tables->bins);
    stapes_frontend_t frontend;
    void *memory = malloc(bytes);
    int8_t *row = (int8_t *)malloc(tables->n_features);
    uint32_t hash = 2166136261u;
    int error = stapes_frontend_init(&frontend, tables, memory, bytes);
    for (size_t at = 0; error >= 0 && at < count;) {
        size_t consumed;
        error = stapes_frontend_push(&frontend, pcm + at, count - at, &consumed, row);
        at += consumed;
        for (uint32_t i = 0; error == 1 && i < tables->n_features; i++) {
            hash = (hash ^ (uint8_t)row[i]) * 16777619u;
        }
    }
    if (error < 0) {
        fail("front end", error);
    }
    printf("%s features %u\n", bundle->name, (unsigned)hash);
    free(memory);
    free(row);
}

static void print_event(void *context, const stapes_live_event_t *event) {
    printf("%s event %d %d %ld %ld %d %d\n", (const char *)context, event->kind, event->class_index,
           (long)event->start, (long)event->end, (int)event->score, (int)event->level);
}

static void listen(const stapes_bundle_t *bundle, char *name) {
    stapes_live_t live;
    void *memory = malloc(bundle->live_memory_bytes);
    int error = stapes_live_init(&live, bundle, memory, bundle->live_memory_bytes, print_event, name);
    if (error == STAPES_OK) {
        error = stapes_live_push(&live, pcm, count);
    }
    if (error < 0) {
        fail("live", error);
    }
    (void)stapes_live_flush(&live);
    free(memory);
}

int main(int argc, char **argv) {
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    count = fread(pcm, sizeof pcm[0], sizeof pcm / sizeof pcm[0], file);
    (void)fclose(file);
    test_itself(&stapes_esc10_nano_selftest, &stapes_esc10_tiny_selftest);
    test_itself(&stapes_esc10_tiny_selftest, &stapes_esc10_nano_selftest);
    const stapes_bundle_t *bundles[2] = {&stapes_esc10_nano, &stapes_esc10_tiny};
    static char names[2][16] = {"esc10-nano", "esc10-tiny"};
    for (size_t i = 0; i < 2u; i++) {
        classify(bundles[i]);
        features(bundles[i]);
        listen(bundles[i], names[i]);
    }
    return 0;
}
