/* A program that listens and does nothing else: what `stapes export` measures. */
#include "board.h"
#include "stapes_app.h"

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;
static volatile int16_t microphone;
static volatile uint32_t events;

static void on_event(void *context, const stapes_live_event_t *event) {
    (void)context;
    events = events + event->kind;
}

int main(void) {
    board_init();
    int error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    while (error == STAPES_OK) {
        const int16_t sample = microphone;
        error = stapes_live_push(&live, &sample, 1u);
    }
    board_exit(error);
}
