/* What stapes_decision_init refuses, one result a line: see test_decision.py. */
#include <stdio.h>

#include "stapes/decision.h"
#include "stapes/error.h"

#define CLASSES 3u

/* The sizes that the header promises are those that the runtime computes. */
#define X(name, words, text) {&stapes_vote_##name, STAPES_DECISION_MEMORY(name, CLASSES)},
static const struct {
    const stapes_vote_t *vote;
    size_t bytes;
} sizes[] = {
#include "stapes/votes.def"
};
#undef X

static uint64_t memory[(STAPES_DECISION_MEMORY(majority, CLASSES) + 7u) / 8u + 1u];

static stapes_decision_rule_t good(void) {
    const stapes_decision_rule_t rule = {.vote = &stapes_vote_majority, .classes = CLASSES, .resolution = 1};
    return rule;
}

int main(void) {
    stapes_decision_t decision;
    const size_t bytes = STAPES_DECISION_MEMORY(majority, CLASSES);
    stapes_decision_rule_t rule = good();
    printf("good %d\n", stapes_decision_init(&decision, &rule, memory, bytes));
    printf("no decision %d\n", stapes_decision_init(NULL, &rule, memory, bytes));
    printf("no rule %d\n", stapes_decision_init(&decision, NULL, memory, bytes));
    printf("no memory %d\n", stapes_decision_init(&decision, &rule, NULL, bytes));
    printf("a byte less %d\n", stapes_decision_init(&decision, &rule, memory, bytes - 1u));
    printf("misaligned %d\n", stapes_decision_init(&decision, &rule, (uint8_t *)memory + 4, bytes));
    rule.vote = NULL;
    printf("no vote %d\n", stapes_decision_init(&decision, &rule, memory, bytes));
    rule = good();
    rule.classes = 0;
    printf("no class %d\n", stapes_decision_init(&decision, &rule, memory, bytes));
    rule.classes = 32768u;
    printf("too many classes %d\n", stapes_decision_init(&decision, &rule, memory, SIZE_MAX));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rule = good();
        rule.vote = sizes[i].vote;
        printf("size %d\n", stapes_decision_bytes(&rule) == sizes[i].bytes ? 0 : 1);
    }
    return 0;
}
