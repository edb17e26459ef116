/* Two exported bundles, or one, in a program without an operating system. */
#include <stdio.h>

#include "stapes_esc10_nano.h"
#ifdef TWO
#include "stapes_esc10_tiny.h"
#endif

extern const int16_t sound[];
extern const size_t sound_count;
void _start(void);

__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x20400000, _start};

static void classify(const stapes_bundle_t *bundle, void *memory, size_t bytes) {
    static stapes_classifier_t classifier;
    stapes_verdict_t verdict = {STAPES_UNKNOWN, 0, 0};
    int error = stapes_classifier_init(&classifier, bundle, memory, bytes);
    for (size_t start = 0, taken = 0; error >= 0 && start < sound_count; start += taken) {
        error = stapes_classifier_push(&classifier, sound + start, sound_count - start, &taken);
    }
    if (error >= 0) {
        error = stapes_classifier_verdict(&classifier, &verdict);
    }
    printf("%s: %s %ld %d\n", bundle->name, bundle->labels[verdict.best], (long)verdict.confidence, error);
}

int main(void) {
    static uint64_t nano[STAPES_ESC10_NANO_MEMORY_BYTES / 8u];
    classify(&stapes_esc10_nano, nano, sizeof nano);
#ifdef TWO
    static uint64_t tiny[STAPES_ESC10_TINY_MEMORY_BYTES / 8u];
    classify(&stapes_esc10_tiny, tiny, sizeof tiny);
#endif
    return 0;
}
