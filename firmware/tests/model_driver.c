/* Reads windows from standard input, writes every produced row and every output: a header of three 32-bit
 * words (layer, row, bytes), then the bytes. The layer 0xFFFF is the network's output. */
#include <stdio.h>
#include <stdlib.h>

#include "stapes_app_model.h"

static void write_row(void *context, uint16_t layer, uint32_t row, const int8_t *data, size_t bytes) {
    const uint32_t header[3] = {layer, row, (uint32_t)bytes};
    (void)context;
    (void)fwrite(header, sizeof header, 1, stdout);
    (void)fwrite(data, 1, bytes, stdout);
}

int main(void) {
    /* Exactly as large as the header says, so that the sanitizer sees every byte beyond. */
    void *arena = malloc(STAPES_APP_MODEL_ARENA_BYTES);
    size_t window = 0;
    stapes_engine_t engine;
    if (arena == NULL ||
        stapes_engine_init(&engine, &stapes_app_model, arena, STAPES_APP_MODEL_ARENA_BYTES) != STAPES_OK) {
        return 1;
    }
    stapes_engine_set_observer(&engine, write_row, NULL);
    for (size_t i = 0; i < stapes_app_model.input_count; i++) {
        const stapes_tensor_t *tensor = &stapes_app_model.tensors[i];
        window += (size_t)stapes_input_rows(&stapes_app_model, i) * stapes_row_bytes(tensor);
    }
    int8_t *input = malloc(window);
    int8_t *output = malloc(STAPES_APP_MODEL_OUTPUT_BYTES);
    while (input != NULL && output != NULL && fread(input, 1, window, stdin) == window) {
        if (stapes_engine_run(&engine, input, output) != STAPES_OK) {
            return 2;
        }
        write_row(NULL, 0xFFFFu, 0, output, STAPES_APP_MODEL_OUTPUT_BYTES);
    }
    free(input);
    free(output);
    free(arena);
    return 0;
}
