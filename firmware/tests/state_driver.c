/* What stapes_engine_next and stapes_engine_reset do to a network with state; the windows' bytes come from
 * standard input. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stapes_app_model.h"

int main(void) {
    enum { WINDOWS = 5 };
    void *arena = malloc(STAPES_APP_MODEL_ARENA_BYTES);
    const size_t bytes = STAPES_APP_MODEL_INPUT_ROWS * STAPES_APP_MODEL_INPUT_ROW_BYTES;
    int8_t *windows = malloc(WINDOWS * bytes);
    int8_t first[WINDOWS][STAPES_APP_MODEL_OUTPUT_BYTES], again[STAPES_APP_MODEL_OUTPUT_BYTES];
    stapes_engine_t engine;
    assert(arena != NULL && windows != NULL && fread(windows, bytes, WINDOWS, stdin) == WINDOWS);
    memset(arena, 0x55, STAPES_APP_MODEL_ARENA_BYTES);
    memset(&engine, 0, sizeof engine);
    assert(stapes_engine_next(NULL) == STAPES_E_ARGUMENT && stapes_engine_next(&engine) == STAPES_E_ARGUMENT);
    assert(stapes_engine_init(&engine, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES) == STAPES_OK);
    /* Nothing has come: nothing goes on. */
    assert(stapes_engine_next(&engine) == STAPES_OK && stapes_engine_next(&engine) == STAPES_OK);
    for (size_t i = 0; i < WINDOWS; i++) {
        assert(stapes_engine_run(&engine, windows + i * bytes, first[i]) == STAPES_OK);
    }
    /* The same window gives another output later: state goes on. */
    assert(stapes_engine_run(&engine, windows, again) == STAPES_OK);
    assert(memcmp(again, first[0], sizeof again) != 0);
    /* In the middle of a window there is no next one, only a new beginning. */
    assert(stapes_engine_next(&engine) == STAPES_OK);
    assert(stapes_engine_push_row(&engine, windows) == 0);
    assert(stapes_engine_next(&engine) == STAPES_E_STATE);
    assert(stapes_engine_run(&engine, windows, again) == STAPES_E_STATE);
    for (size_t round = 0; round < 2; round++) {
        assert(stapes_engine_reset(&engine) == STAPES_OK);
        for (size_t i = 0; i < WINDOWS; i++) {
            assert(stapes_engine_run(&engine, windows + i * bytes, again) == STAPES_OK);
            assert(memcmp(again, first[i], sizeof again) == 0);
        }
    }
    /* No row more than a window has. */
    assert(stapes_engine_push_row(&engine, windows) == STAPES_E_STATE);
    free(windows);
    free(arena);
    return 0;
}
