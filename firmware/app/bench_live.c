/* What a hop costs a network whose windows share rows, and what it would cost to run every window from
 * scratch; both ways must give the same bytes. Prints one line, which tools/stapes/bench/live.py reads. */
#include <string.h>

#include "board.h"
#include "print.h"
#include "stapes_app.h"

#define HOPS 24u
#define ROWS STAPES_APP_MODEL_INPUT_ROWS

static uint64_t arena[(STAPES_APP_MODEL_ARENA_BYTES + 7u) / 8u];
static uint64_t other_arena[(STAPES_APP_MODEL_ARENA_BYTES + 7u) / 8u];
static int8_t history[ROWS][STAPES_APP_MODEL_INPUT_ROW_BYTES];
static stapes_engine_t engine, other;
static uint32_t profile[STAPES_APP_MODEL_LAYER_COUNT];
static uint32_t random_state = 1;
static uint32_t rows; /* so far */

static const int8_t *next_row(void) {
    int8_t *row = history[rows++ % ROWS];
    for (uint32_t i = 0; i < STAPES_APP_MODEL_INPUT_ROW_BYTES; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        row[i] = (int8_t)(uint8_t)(random_state >> 24);
    }
    return row;
}

/* The window that has just ended, from scratch; returns its ticks. */
static uint32_t run_again(int *status) {
    uint32_t ticks = 0;
    stapes_engine_reset(&other);
    for (uint32_t i = 0; i < ROWS && *status >= 0; i++) {
        const uint32_t start = board_ticks();
        *status = stapes_engine_push_row(&other, history[(rows + i) % ROWS]);
        ticks += board_ticks() - start;
    }
    return ticks;
}

int main(void) {
    uint32_t hop_ticks = 0, worst = 0, scratch_ticks = 0, different = 0;
    board_init();
    int status = stapes_engine_init(&engine, &stapes_app_model, arena, sizeof arena);
    if (status == STAPES_OK) {
        status = stapes_engine_init(&other, &stapes_app_model, other_arena, sizeof other_arena);
    }
#if STAPES_APP_MODEL_SLIDES
    uint32_t hops = 0, ticks = 0;
    while (status >= 0 && hops <= HOPS) { /* the first one makes a whole window */
        const int8_t *row = next_row();
        const uint32_t start = board_ticks();
        status = stapes_slide_row(&engine, &stapes_app_slide, row);
        const uint32_t step = board_ticks() - start;
        worst = step > worst ? step : worst;
        ticks += step;
        if (status == 1) {
            if (hops != 0u) {
                hop_ticks += ticks;
                scratch_ticks += run_again(&status);
                different += memcmp(stapes_engine_output(&engine, 0), stapes_engine_output(&other, 0),
                                    STAPES_APP_MODEL_OUTPUT_BYTES) != 0;
            }
            hops++;
            ticks = 0;
        }
    }
    (void)stapes_engine_set_profile(&engine, board_ticks, profile);
    for (hops = 0; status >= 0 && hops < HOPS;) {
        status = stapes_slide_row(&engine, &stapes_app_slide, next_row());
        hops += status == 1;
    }
#else
    for (uint32_t window = 0; status >= 0 && window < HOPS; window++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            (void)next_row();
        }
        scratch_ticks += run_again(&status);
    }
#endif
    for (uint32_t i = 0; i < STAPES_APP_MODEL_LAYER_COUNT; i++) {
        print("layer", i);
        print(" ", profile[i]);
        board_write((const uint8_t *)" ", 1);
    }
    print("status ", (uint32_t)(status < 0 ? -status : 0));
    print(" hops ", HOPS);
    print(" different ", different);
    print(" hop_ticks ", hop_ticks);
    print(" scratch_ticks ", scratch_ticks);
    print(" worst_row ", worst);
    print(" counter ", (uint32_t)board_info()->counter);
    print(" numerator ", board_info()->counter_numerator);
    print(" denominator ", board_info()->counter_denominator);
    board_write((const uint8_t *)"\n", 1);
    for (;;) { /* until stopped: whoever reads may still be reading */
        uint8_t byte;
        (void)board_read(&byte, 1);
    }
}
