/* Overlapping windows of a network that does not pad along time share every row of its maps. The layers up to
 * the last map (the trunk) run on from window to window; those that pool over time, and all behind them (the
 * head), run once a window over the rows that the trunk has kept. Each hop costs its new rows and the head.
 * The compiler decides which networks can: tools/stapes/compiler/sliding.py. */
#ifndef STAPES_SLIDE_H
#define STAPES_SLIDE_H

#include "stapes/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t trunk;  /* layers 0 .. trunk-1 run on */
    uint16_t hop;    /* rows of the input from one window to the next */
    uint32_t period; /* windows after which every ring is at the same row again */
    /* Rows from one window to the next: of the input, then of each layer of the trunk. */
    const uint16_t *advance;
} stapes_slide_t;

/* Gives the next row of a stream that began at the last reset. Returns 1: a window ended with this row, its
 * outputs are complete and stay until the next one's; 0: it did not; STAPES_E_ARGUMENT for NULL. Every
 * window's outputs are, bit for bit, those of stapes_engine_run() on its rows. */
int stapes_slide_row(stapes_engine_t *engine, const stapes_slide_t *slide, const int8_t *row);

/* Begins a stream as if `row` had come for a whole window before: the next window ends `hop` rows later.
 * Costs one step of each layer of the trunk. Returns STAPES_OK, or STAPES_E_ARGUMENT for NULL. */
int stapes_slide_fill(stapes_engine_t *engine, const stapes_slide_t *slide, const int8_t *row);

#ifdef __cplusplus
}
#endif

#endif
