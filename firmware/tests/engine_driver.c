/* What the engine answers when it is used wrongly, and that the order of use does not change the bits. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stapes_app_model.h"

static size_t calls;

static void count(void *context, uint16_t layer, uint32_t row, const int8_t *data, size_t bytes) {
    const stapes_tensor_t *tensor = stapes_layer_output(&stapes_app_model, layer);
    assert(context == &calls && layer < stapes_app_model.layer_count && row < tensor->rows);
    assert(data != NULL && bytes == stapes_row_bytes(tensor));
    calls++;
}

static uint32_t ticks(void) {
    static uint32_t now;
    return ++now;
}

int main(void) {
    void *arena = malloc(STAPES_APP_MODEL_ARENA_BYTES + 1);
    stapes_engine_t engine;
    int8_t row[STAPES_APP_MODEL_INPUT_ROW_BYTES];
    int8_t input[STAPES_APP_MODEL_INPUT_ROWS * STAPES_APP_MODEL_INPUT_ROW_BYTES];
    int8_t output[STAPES_APP_MODEL_OUTPUT_BYTES];
    assert(arena != NULL);

    assert(stapes_engine_init(NULL, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES) ==
           STAPES_E_ARGUMENT);
    assert(stapes_engine_init(&engine, NULL, arena, STAPES_APP_MODEL_ARENA_BYTES) == STAPES_E_ARGUMENT);
    assert(stapes_engine_init(&engine, &stapes_app_model, NULL, STAPES_APP_MODEL_ARENA_BYTES) ==
           STAPES_E_ARGUMENT);
    assert(stapes_engine_init(&engine, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES - 1) ==
           STAPES_E_MEMORY);
    assert(stapes_engine_init(&engine, &stapes_app_model, (char *)arena + 1, STAPES_APP_MODEL_ARENA_BYTES) ==
           STAPES_E_MEMORY);
    stapes_model_t other = stapes_app_model;
    other.api_version++;
    assert(stapes_engine_init(&engine, &other, arena, STAPES_APP_MODEL_ARENA_BYTES) == STAPES_E_VERSION);

    memset(arena, 0xA5, STAPES_APP_MODEL_ARENA_BYTES);
    assert(stapes_engine_init(&engine, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES) == STAPES_OK);
    assert(stapes_engine_push_row(&engine, NULL) == STAPES_E_ARGUMENT);
    assert(stapes_engine_push_input_row(&engine, 1, row) == STAPES_E_ARGUMENT);
    assert(stapes_engine_output(&engine, 1) == NULL);
    for (size_t i = 0; i < sizeof input; i++) {
        input[i] = (int8_t)(i * 37u % 256u);
    }
    assert(stapes_engine_run(&engine, input, output) == STAPES_OK);

    /* A window given up half-way leaves no trace; rows one by one give the same output. */
    for (int attempt = 0; attempt < 2; attempt++) {
        stapes_engine_reset(&engine);
        for (size_t i = 0; i < STAPES_APP_MODEL_INPUT_ROWS / 2; i++) {
            memset(row, (int)(i + 1), sizeof row);
            assert(stapes_engine_push_row(&engine, row) == 0);
        }
    }
    uint32_t profile[STAPES_APP_MODEL_LAYER_COUNT] = {0};
    size_t rows = 0;
    stapes_engine_reset(&engine);
    stapes_engine_set_observer(&engine, count, &calls);
    stapes_engine_set_profile(&engine, ticks, profile);
    for (size_t i = 0; i < STAPES_APP_MODEL_INPUT_ROWS; i++) {
        const int status = stapes_engine_push_row(&engine, input + i * sizeof row);
        assert(status == (i + 1 == STAPES_APP_MODEL_INPUT_ROWS ? 1 : 0));
    }
    assert(memcmp(stapes_engine_output(&engine, 0), output, sizeof output) == 0);
    assert(stapes_engine_push_row(&engine, row) == STAPES_E_STATE);
    for (size_t i = 0; i < STAPES_APP_MODEL_LAYER_COUNT; i++) {
        rows += stapes_layer_output(&stapes_app_model, (uint32_t)i)->rows;
        assert(profile[i] == stapes_app_model.layers[i].steps);
    }
    assert(calls == rows);
    free(arena);
    return 0;
}
