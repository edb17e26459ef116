/* Every public function, for NULL and before init: an error, or nothing, and no fault. */
#include <stdio.h>
#include <string.h>

#include "stapes_my_bells_2.h"
#include "stapes_audio/audio.h"

static int wrong;

#define IS_ERROR(call)                                                                                       \
    do {                                                                                                     \
        if ((call) >= 0) {                                                                                   \
            printf("%s is no error\n", #call);                                                               \
            wrong = 1;                                                                                       \
        }                                                                                                    \
    } while (0)
#define IS_NOTHING(call)                                                                                     \
    do {                                                                                                     \
        if ((call) != 0) {                                                                                   \
            printf("%s is something\n", #call);                                                              \
            wrong = 1;                                                                                       \
        }                                                                                                    \
    } while (0)

static void of_classifier(stapes_classifier_t *c) {
    int16_t pcm[4] = {0};
    int8_t row[256] = {0};
    size_t taken;
    stapes_verdict_t verdict;
    IS_ERROR(stapes_classifier_reset(c));
    IS_ERROR(stapes_classifier_push(c, pcm, 4u, &taken));
    IS_ERROR(stapes_classifier_verdict(c, &verdict));
    IS_ERROR(stapes_classifier_hear(c, pcm, 4u, &taken));
    IS_ERROR(stapes_classifier_feed(c));
    IS_ERROR(stapes_classifier_keep(c));
    IS_ERROR(stapes_classifier_vote(c));
    IS_ERROR(stapes_classifier_repeat(c));
    IS_ERROR(stapes_classifier_restart(c));
    IS_ERROR(stapes_classifier_fill(c, row));
    IS_ERROR(stapes_classifier_set_ticks(c, NULL));
    IS_NOTHING(stapes_classifier_scores(c));
    IS_NOTHING(stapes_classifier_row(c, 0u));
    IS_NOTHING(stapes_classifier_newest_row(c));
}

static void of_live(stapes_live_t *live) {
    int16_t pcm[4] = {0};
    IS_ERROR(stapes_live_reset(live));
    IS_ERROR(stapes_live_push(live, pcm, 4u));
    IS_ERROR(stapes_live_lose(live, 5u));
    IS_ERROR(stapes_live_lose(live, 0u));
    IS_ERROR(stapes_live_flush(live));
    IS_ERROR(stapes_live_set_ticks(live, NULL));
    IS_NOTHING(stapes_live_samples(live));
}

static void of_decision(stapes_decision_t *decision) {
    int8_t scores[4] = {0};
    stapes_verdict_t verdict;
    stapes_decision_reset(decision);
    stapes_decision_add(decision, scores, 1u);
    IS_NOTHING(stapes_decision_score(decision, 0u));
    IS_NOTHING(stapes_decision_mean(decision, 0u));
    IS_ERROR(stapes_decision_verdict(decision, &verdict));
}

static void of_engine(stapes_engine_t *engine) {
    int8_t row[4096] = {0};
    IS_ERROR(stapes_engine_reset(engine));
    IS_ERROR(stapes_engine_next(engine));
    IS_ERROR(stapes_engine_push_row(engine, row));
    IS_ERROR(stapes_engine_push_input_row(engine, 0u, row));
    IS_ERROR(stapes_engine_run(engine, row, row));
    IS_ERROR(stapes_engine_set_observer(engine, NULL, NULL));
    IS_ERROR(stapes_engine_set_profile(engine, NULL, NULL));
    IS_NOTHING(stapes_engine_output(engine, 0u));
}

static void of_frontend(stapes_frontend_t *frontend) {
    int16_t pcm[4] = {0};
    int8_t row[256];
    size_t consumed;
    IS_ERROR(stapes_frontend_push(frontend, pcm, 4u, &consumed, row));
    IS_ERROR(stapes_frontend_reset(frontend));
}

int main(void) {
    static uint64_t memory[(STAPES_MY_BELLS_2_MEMORY_BYTES + 7u) / 8u];
    static stapes_classifier_t classifier;
    static stapes_live_t live;
    static stapes_decision_t decision;
    static stapes_engine_t engine;
    static stapes_frontend_t frontend;
    const stapes_selftest_t no_test = {NULL, NULL, 0u};
    stapes_ring_t ring;
    of_classifier(NULL);
    of_classifier(&classifier);
    of_live(NULL);
    of_live(&live);
    of_decision(NULL);
    of_decision(&decision);
    of_engine(NULL);
    of_engine(&engine);
    of_frontend(NULL);
    of_frontend(&frontend);
    IS_ERROR(stapes_ring_init(&ring, NULL, 4u));
    IS_ERROR(stapes_selftest_run(NULL, &classifier, memory, sizeof memory));
    IS_ERROR(stapes_selftest_run(&no_test, &classifier, memory, sizeof memory));
    IS_ERROR(stapes_selftest_run(&stapes_my_bells_2_selftest, NULL, memory, sizeof memory));
    IS_ERROR(stapes_selftest_run(&stapes_my_bells_2_selftest, &classifier, NULL, sizeof memory));
    IS_ERROR(stapes_selftest_run(&stapes_my_bells_2_selftest, &classifier, memory, sizeof memory - 8u));
    of_classifier(&classifier); /* an init that failed is none */
    if (stapes_selftest_run(&stapes_my_bells_2_selftest, &classifier, memory, sizeof memory) != 1) {
        printf("the self-test does not initialise\n");
        wrong = 1;
    }
    return wrong;
}
