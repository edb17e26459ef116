/* Reads a stream of rows from standard input, slides over it, and runs every window from scratch in a second
 * arena. Writes the outputs of every window; ends with 3 where the two ways differ. With an argument, the
 * stream begins as if the first row read had come for a whole window before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stapes_app_model.h"

#define WINDOW ((size_t)STAPES_APP_MODEL_INPUT_ROWS * STAPES_APP_MODEL_INPUT_ROW_BYTES)

int main(int argc, char **argv) {
    void *arena = malloc(STAPES_APP_MODEL_ARENA_BYTES);
    void *other_arena = malloc(STAPES_APP_MODEL_ARENA_BYTES);
    int8_t *history = malloc(WINDOW);
    int8_t *last = history + WINDOW - STAPES_APP_MODEL_INPUT_ROW_BYTES;
    int8_t output[STAPES_APP_MODEL_OUTPUT_BYTES];
    stapes_engine_t engine, other;
    (void)argv;
    if (arena == NULL || other_arena == NULL || history == NULL ||
        stapes_engine_init(&engine, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES) != STAPES_OK ||
        stapes_engine_init(&other, &stapes_app_model, other_arena, STAPES_APP_MODEL_ARENA_BYTES) !=
            STAPES_OK ||
        stapes_slide_row(NULL, &stapes_app_slide, history) != STAPES_E_ARGUMENT ||
        stapes_slide_fill(&engine, NULL, history) != STAPES_E_ARGUMENT) {
        return 1;
    }
    if (argc > 1) {
        if (fread(history, 1, STAPES_APP_MODEL_INPUT_ROW_BYTES, stdin) != STAPES_APP_MODEL_INPUT_ROW_BYTES) {
            return 1;
        }
        for (size_t row = 1; row < STAPES_APP_MODEL_INPUT_ROWS; row++) {
            memcpy(history + row * STAPES_APP_MODEL_INPUT_ROW_BYTES, history,
                   STAPES_APP_MODEL_INPUT_ROW_BYTES);
        }
        (void)stapes_slide_fill(&engine, &stapes_app_slide, history);
    }
    for (;;) {
        memmove(history, history + STAPES_APP_MODEL_INPUT_ROW_BYTES,
                WINDOW - STAPES_APP_MODEL_INPUT_ROW_BYTES);
        if (fread(last, 1, STAPES_APP_MODEL_INPUT_ROW_BYTES, stdin) != STAPES_APP_MODEL_INPUT_ROW_BYTES) {
            break;
        }
        const int result = stapes_slide_row(&engine, &stapes_app_slide, last);
        if (result < 0) {
            return 2;
        }
        if (result == 1) {
            const int8_t *slid = stapes_engine_output(&engine, 0);
            if (stapes_engine_run(&other, history, output) != STAPES_OK ||
                memcmp(slid, output, sizeof output) != 0) {
                return 3;
            }
            (void)fwrite(slid, 1, sizeof output, stdout);
        }
    }
    free(arena);
    free(other_arena);
    free(history);
    return 0;
}
