/* Listens for ever: samples from ESP-IDF's I2S driver, events out. */
#include <stdio.h>

#include "microphone.h"
#include "stapes_app.h"

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;

static void print_time(uint64_t sample) {
    printf("%lu.%03lu", (unsigned long)(sample / STAPES_APP_SAMPLE_RATE),
           (unsigned long)(sample % STAPES_APP_SAMPLE_RATE * 1000u / STAPES_APP_SAMPLE_RATE));
}

/* Here your program reacts. */
static void on_event(void *context, const stapes_live_event_t *event) {
    (void)context;
    if (event->kind == STAPES_LIVE_LEVEL) {
        return; /* how loud it was */
    }
    const char *what = event->class_index >= 0 ? stapes_app.labels[event->class_index] : "lost";
    print_time(event->start);
    if (event->kind == STAPES_LIVE_BEGIN) {
        printf(" s: %s begins\n", what);
        return;
    }
    printf(" to ");
    print_time(event->end);
    printf(" s: %s\n", what);
}

void app_main(void) {
    int error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    if (error == STAPES_OK) {
        error = microphone_start(STAPES_APP_SAMPLE_RATE);
    }
    while (error == STAPES_OK) {
        static int16_t pcm[MICROPHONE_SAMPLES];
        uint32_t lost = 0;
        const size_t count = microphone_read(pcm, &lost);
        error = stapes_live_lose(&live, lost);
        if (error == STAPES_OK) {
            error = stapes_live_push(&live, pcm, count);
        }
    }
    printf("%s\n", stapes_error_text(error));
}
