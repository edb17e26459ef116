/* Runs the networks of wide_networks.h one after the other: as many windows of each as the first argument
 * says, from standard input to standard output. Says on standard error which one runs. */
#include <stdio.h>
#include <stdlib.h>

#include "wide_networks.h"

#define COUNT (sizeof networks / sizeof networks[0])

static int run(const network_t *network, int windows) {
    const stapes_model_t *model = network->model;
    size_t bytes = 0;
    for (size_t i = 0; i < model->input_count; i++) {
        const stapes_tensor_t *tensor = &model->tensors[i];
        bytes += (size_t)tensor->rows * stapes_row_bytes(tensor);
    }
    /* Exactly as large as the header says, so that the sanitizer sees every byte beyond. */
    void *arena = malloc(network->arena_bytes);
    int8_t *input = malloc(bytes);
    int8_t *output = malloc(model->output_bytes);
    stapes_engine_t engine;
    int status = stapes_engine_init(&engine, model, arena, network->arena_bytes);
    for (int i = 0; i < windows && status == STAPES_OK; i++) {
        status = fread(input, 1, bytes, stdin) == bytes ? stapes_engine_run(&engine, input, output) : 1;
        (void)fwrite(output, 1, model->output_bytes, stdout);
    }
    free(output);
    free(input);
    free(arena);
    return status;
}

int main(int count, char **arguments) {
    int status = count == 2 ? STAPES_OK : 1;
    for (size_t i = 0; i < COUNT && status == STAPES_OK; i++) {
        (void)fprintf(stderr, "%s\n", networks[i].name);
        status = run(&networks[i], atoi(arguments[1]));
    }
    return status != STAPES_OK;
}
