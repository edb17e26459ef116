/* Wrong use of what takes a bundle is answered; then the samples on stdin, pushed, and once more in steps
 * that keep the rows: the scores of every window, the verdict. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stapes/selftest.h"
#include "stapes_app.h"

static int16_t pcm[1 << 18];
static int8_t expected[STAPES_APP_CLASSES];

static void sink(void *context, const stapes_live_event_t *event) {
    (void)context;
    (void)event;
}

/* Every function of a structure that was not initialised, and of none. */
static void refuse(stapes_classifier_t *classifier, stapes_live_t *live, int error) {
    stapes_verdict_t verdict;
    size_t taken = 1;
    const int8_t row[STAPES_APP_MODEL_INPUT_ROW_BYTES] = {0};
    assert(stapes_classifier_push(classifier, pcm, 4, &taken) == error && taken == 0u);
    assert(stapes_classifier_hear(classifier, pcm, 4, &taken) == error);
    assert(stapes_classifier_reset(classifier) == error && stapes_classifier_restart(classifier) == error);
    assert(stapes_classifier_feed(classifier) == error && stapes_classifier_keep(classifier) == error);
    assert(stapes_classifier_vote(classifier) == error && stapes_classifier_repeat(classifier) == error);
    assert(stapes_classifier_fill(classifier, row) == error);
    assert(stapes_classifier_verdict(classifier, &verdict) == error);
    assert(stapes_classifier_set_ticks(classifier, NULL) == error);
    assert(stapes_classifier_scores(classifier) == NULL && stapes_classifier_row(classifier, 0) == NULL);
    assert(stapes_classifier_newest_row(classifier) == NULL);
    assert(stapes_live_push(live, pcm, 4) == error && stapes_live_reset(live) == error);
    assert(stapes_live_lose(live, 4) == error && stapes_live_flush(live) == error);
    assert(stapes_live_set_ticks(live, NULL) == error && stapes_live_samples(live) == 0u);
}

static void refuse_all(void) {
    static stapes_classifier_t classifier;
    static stapes_live_t live;
    static stapes_frontend_t frontend;
    static stapes_engine_t engine;
    int8_t row[STAPES_APP_MODEL_INPUT_ROW_BYTES] = {0};
    size_t consumed;
    refuse(NULL, NULL, STAPES_E_ARGUMENT);
    refuse(&classifier, &live, STAPES_E_STATE);
    assert(stapes_frontend_push(NULL, pcm, 4, &consumed, row) == STAPES_E_ARGUMENT);
    assert(stapes_frontend_push(&frontend, pcm, 4, &consumed, row) == STAPES_E_STATE);
    assert(stapes_frontend_reset(NULL) == STAPES_E_ARGUMENT);
    assert(stapes_engine_push_row(&engine, row) == STAPES_E_ARGUMENT);
    assert(stapes_engine_run(&engine, row, row) == STAPES_E_ARGUMENT);
    assert(stapes_engine_reset(NULL) < 0 && stapes_engine_reset(&engine) < 0);
    assert(stapes_engine_output(&engine, 0) == NULL);
    assert(stapes_engine_set_observer(NULL, NULL, NULL) < 0 &&
           stapes_engine_set_profile(NULL, NULL, NULL) < 0);
    const stapes_slide_t slide = {0};
    assert(stapes_slide_row(&engine, &slide, row) < 0 && stapes_slide_fill(&engine, &slide, row) < 0);
    assert(stapes_selftest_run(NULL, &classifier, row, 1) == STAPES_E_ARGUMENT);
}

static void refuse_memory(void) {
    stapes_classifier_t classifier;
    stapes_live_t live;
    stapes_bundle_t other = stapes_app;
    char *memory = malloc(STAPES_APP_LIVE_MEMORY_BYTES + 8u);
    const size_t bytes = STAPES_APP_MEMORY_BYTES, live_bytes = STAPES_APP_LIVE_MEMORY_BYTES;
    assert(bytes == stapes_app.memory_bytes && live_bytes == stapes_app.live_memory_bytes);
    other.api_version++;
    assert(stapes_classifier_init(NULL, &stapes_app, memory, bytes) == STAPES_E_ARGUMENT);
    assert(stapes_classifier_init(&classifier, NULL, memory, bytes) == STAPES_E_ARGUMENT);
    assert(stapes_classifier_init(&classifier, &stapes_app, NULL, bytes) == STAPES_E_ARGUMENT);
    assert(stapes_classifier_init(&classifier, &stapes_app, memory, bytes - 1u) == STAPES_E_MEMORY);
    assert(stapes_classifier_init(&classifier, &stapes_app, memory + 4, bytes) == STAPES_E_MEMORY);
    assert(stapes_classifier_init(&classifier, &other, memory, bytes) == STAPES_E_VERSION);
    assert(stapes_live_init(NULL, &stapes_app, memory, live_bytes, sink, NULL) == STAPES_E_ARGUMENT);
    assert(stapes_live_init(&live, NULL, memory, live_bytes, sink, NULL) == STAPES_E_ARGUMENT);
    assert(stapes_live_init(&live, &stapes_app, NULL, live_bytes, sink, NULL) == STAPES_E_ARGUMENT);
    assert(stapes_live_init(&live, &stapes_app, memory, live_bytes, NULL, NULL) == STAPES_E_ARGUMENT);
    assert(stapes_live_init(&live, &stapes_app, memory, live_bytes - 1u, sink, NULL) == STAPES_E_MEMORY);
    assert(stapes_live_init(&live, &stapes_app, memory + 4, live_bytes, sink, NULL) == STAPES_E_MEMORY);
    assert(stapes_live_init(&live, &other, memory, live_bytes, sink, NULL) == STAPES_E_VERSION);
    refuse(&classifier, &live, STAPES_E_STATE); /* after an init that failed */
    free(memory);
}

int main(int argc, char **argv) {
    const size_t count = fread(pcm, sizeof pcm[0], sizeof pcm / sizeof pcm[0], stdin);
    const size_t piece = argc > 1 ? (size_t)atoi(argv[1]) : 1u;
    /* Exactly as long as the header says, so that the sanitizer sees every byte beyond. */
    void *memory = malloc(STAPES_APP_MEMORY_BYTES);
    void *kept = malloc(STAPES_APP_REPEAT_MEMORY_BYTES);
    stapes_classifier_t pushed, stepped;
    stapes_verdict_t verdict, other;
    refuse_all();
    refuse_memory();
    assert(stapes_classifier_init(&pushed, &stapes_app, memory, STAPES_APP_MEMORY_BYTES) == STAPES_OK);
    assert(stapes_classifier_init(&stepped, &stapes_app, kept, STAPES_APP_REPEAT_MEMORY_BYTES) == STAPES_OK);
    assert(stapes_classifier_verdict(&pushed, &verdict) == STAPES_E_STATE);
    assert(stapes_classifier_feed(&pushed) == STAPES_E_STATE && stapes_classifier_scores(&pushed) == NULL);
    assert(stapes_classifier_vote(&stepped) == STAPES_E_STATE);
    assert(stapes_classifier_repeat(&stepped) == STAPES_E_STATE);
    size_t at = 0;
    while (at < count) {
        size_t taken;
        const size_t offered = count - at < piece ? count - at : piece;
        const int result = stapes_classifier_push(&pushed, pcm + at, offered, &taken);
        assert(result >= 0 && taken <= offered);
        if (result == 1) {
            memcpy(expected, stapes_classifier_scores(&pushed), sizeof expected);
            for (size_t i = 0; i < sizeof expected; i++) {
                printf("%d ", expected[i]);
            }
            printf("\n");
            /* Only rows that are kept can be run again, and only where no stream is in the middle of them. */
            const int can_repeat = stapes_app.slide == NULL;
            assert((stapes_classifier_row(&pushed, 0) != NULL) == can_repeat);
            assert(stapes_classifier_repeat(&pushed) == (can_repeat ? STAPES_OK : STAPES_E_STATE));
            assert(memcmp(expected, stapes_classifier_scores(&pushed), sizeof expected) == 0);
            assert(stapes_classifier_vote(&pushed) == STAPES_E_STATE); /* has voted */
        }
        for (size_t step = 0; step < taken;) {
            size_t heard;
            int row = stapes_classifier_hear(&stepped, pcm + at + step, taken - step, &heard);
            step += heard;
            assert(row >= 0);
            row = row == 1 ? stapes_classifier_keep(&stepped) : 0;
            assert(row == (result == 1 && step == taken));
            if (row == 1) {
                assert(stapes_classifier_scores(&stepped) == NULL && stapes_classifier_vote(&stepped) < 0);
                assert(stapes_classifier_repeat(&stepped) == STAPES_OK);
                assert(stapes_classifier_repeat(&stepped) == STAPES_OK);
                assert(memcmp(expected, stapes_classifier_scores(&stepped), sizeof expected) == 0);
                assert(stapes_classifier_vote(&stepped) == STAPES_OK && stepped.weight == pushed.weight);
            }
        }
        at += taken;
    }
    assert(stapes_classifier_verdict(&pushed, &verdict) == stapes_classifier_verdict(&stepped, &other));
    assert(memcmp(&verdict, &other, sizeof verdict) == 0);
    printf("%d %d %d\n", verdict.class_index, verdict.best, (int)verdict.confidence);
    free(memory);
    free(kept);
    return 0;
}
