/* By rows, the deepest ready layer goes first: a row is used as soon as it exists, so that as few rows as
 * possible are alive. By layers, every layer makes all of its rows, the first one first, when the inputs are
 * complete. The compiler chooses what takes less memory: tools/stapes/compiler/schedule.py simulates exactly
 * these loops to find the height of every ring. */
#include "engine_step.h"

/* Rows of a tensor that have been produced. */
static uint32_t produced(const stapes_engine_t *engine, uint32_t index) {
    const stapes_model_t *model = engine->model;
    const stapes_tensor_t *tensor = &model->tensors[index];
    if (is_constant(tensor)) {
        return tensor->rows;
    }
    uint32_t steps = counters(engine)[index];
    if (index >= model->input_count) {
        const stapes_layer_t *layer = &model->layers[index - model->input_count];
        if (layer->accumulates) {
            steps = steps == layer->steps ? 1u : 0u;
        }
    }
    return stapes_kept_rows(model, tensor) + steps;
}

/* The same as arena_row() where a call does not matter. */
__attribute__((noinline)) static int8_t *row_at(const stapes_engine_t *engine, const stapes_tensor_t *tensor,
                                                uint32_t row) {
    return arena_row(engine, tensor, row);
}

static int is_ready(const stapes_engine_t *engine, uint32_t index) {
    const stapes_model_t *model = engine->model;
    const stapes_layer_t *layer = &model->layers[index];
    const uint32_t step = counters(engine)[model->input_count + index];
    if (step == layer->steps) {
        return 0;
    }
    for (uint32_t i = 0; i < layer->input_count; i++) {
        const stapes_input_t *input = &layer->inputs[i];
        int32_t last =
            (int32_t)(step * input->stride + (input->height - 1u) * input->dilation) - input->before;
        const int32_t rows = (int32_t)model->tensors[input->tensor].rows;
        if (last >= rows) {
            last = rows - 1;
        }
        if (last >= (int32_t)produced(engine, input->tensor)) {
            return 0;
        }
    }
    return 1;
}

/* Finds the rows of a layer's windows. Not inlined: what it needs of the stack is free again when the kernel
 * runs. What is called once a row is cold, so as small as it can be; this goes over every row of every
 * window. */
__attribute__((noinline, hot)) static void
find_rows(const stapes_engine_t *engine, const stapes_layer_t *layer, uint32_t step, const int8_t **next) {
    for (uint32_t i = 0; i < layer->input_count; i++) {
        const stapes_input_t *input = &layer->inputs[i];
        const stapes_tensor_t *source = &engine->model->tensors[input->tensor];
        const int8_t *base = source->at.data;
        uint32_t turn = 0, height = UINT32_MAX; /* a constant is no ring */
        if (!is_constant(source)) {
            base = (const int8_t *)engine->arena + source->at.offset - input->left;
            turn = ring_turn(engine, source);
            height = source->height;
        }
        /* Rows above the map are far behind its end. */
        uint32_t row = step * input->stride - (uint32_t)input->before;
        for (uint32_t k = input->height; k != 0; k--) {
            *next++ = row >= source->rows ? input->outside : base + source->stride * ((row + turn) % height);
            row += input->dilation;
        }
    }
}

/* Makes one step of a layer; returns the layer from which the search for the next ready one starts. */
static uint32_t run_step(stapes_engine_t *engine, uint32_t index) {
    const stapes_model_t *model = engine->model;
    const stapes_layer_t *layer = &model->layers[index];
    const stapes_tensor_t *tensor = stapes_layer_output(model, index);
    uint32_t *counter = &counters(engine)[model->input_count + index];
    const uint32_t step = *counter;
    const int8_t **rows = row_table(engine);
    find_rows(engine, layer, step, rows);
    const uint32_t output_row = layer->accumulates ? 0u : step;
    int8_t *output = call_kernel(engine, index, rows, step, output_row);

    *counter = step + 1;
    if (layer->accumulates && step + 1 < layer->steps) {
        return index;
    }
    if (engine->observer != NULL) {
        engine->observer(engine->observer_context, (uint16_t)index, output_row, output,
                         stapes_row_bytes(tensor));
    }
    return tensor->last_consumer > index ? tensor->last_consumer : index;
}

/* Deepest layer first, until none is ready. Layers behind `layer` are known not to be. */
__attribute__((noinline)) static void run_rows(stapes_engine_t *engine, uint32_t layer) {
    for (;;) {
        if (is_ready(engine, layer)) {
            layer = run_step(engine, layer);
        } else if (layer == 0) {
            return;
        } else {
            layer--;
        }
    }
}

static int has_all_inputs(const stapes_engine_t *engine) {
    const stapes_model_t *model = engine->model;
    for (uint32_t i = 0; i < model->input_count; i++) {
        if (counters(engine)[i] < stapes_input_rows(model, i)) {
            return 0;
        }
    }
    return 1;
}

/* Every layer from its first row to its last, one after the other. */
static void run_layers(stapes_engine_t *engine) {
    for (uint32_t layer = 0; layer < engine->model->layer_count; layer++) {
        for (uint32_t step = 0; step < engine->model->layers[layer].steps; step++) {
            (void)run_step(engine, layer);
        }
    }
}

__attribute__((cold)) static int is_complete(const stapes_engine_t *engine) {
    const stapes_model_t *model = engine->model;
    for (uint32_t i = 0; i < model->output_count; i++) {
        uint32_t index = model->outputs[i];
        if (produced(engine, index) < model->tensors[index].rows) {
            return 0;
        }
    }
    /* A layer that only state hangs on may be behind all outputs. */
    return model->state_count == 0 || has_all_inputs(engine);
}

__attribute__((cold)) int stapes_engine_init(stapes_engine_t *engine, const stapes_model_t *model,
                                             void *arena, size_t bytes) {
    if (engine == NULL || model == NULL || arena == NULL) {
        return STAPES_E_ARGUMENT;
    }
    if (model->api_version != STAPES_API_VERSION) {
        return STAPES_E_VERSION;
    }
    if (bytes < model->arena_bytes || ((uintptr_t)arena % sizeof(void *)) != 0) {
        return STAPES_E_MEMORY;
    }
    memset(engine, 0, sizeof *engine);
    engine->model = model;
    engine->arena = arena;
    return stapes_engine_reset(engine);
}

__attribute__((cold)) int stapes_engine_reset(stapes_engine_t *engine) {
    if (engine == NULL || engine->model == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    const size_t counts = (size_t)model->input_count + model->layer_count + model->state_count;
    memset(engine->arena, 0, counts * sizeof(uint32_t));
    for (uint32_t i = 0; i < model->state_count; i++) {
        const stapes_state_t *state = &model->states[i];
        const stapes_tensor_t *tensor = &model->tensors[state->tensor];
        const uint32_t bytes = stapes_row_bytes(tensor);
        for (uint32_t row = 0; row < state->rows; row++) {
            if (state->initial != NULL) {
                memcpy(row_at(engine, tensor, row), state->initial + row * bytes, bytes);
            } else {
                memset(row_at(engine, tensor, row), tensor->zero_point, bytes);
            }
        }
    }
    for (uint32_t i = 0; i < model->kept_count; i++) {
        memset(engine->arena + model->kept[i].offset, 0, model->kept[i].bytes);
    }
    return STAPES_OK;
}

__attribute__((cold)) int stapes_engine_next(stapes_engine_t *engine) {
    if (engine == NULL || engine->model == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    uint32_t *counter = counters(engine);
    const size_t count = (size_t)model->input_count + model->layer_count;
    if (model->state_count != 0 || model->kept_count != 0) {
        if (counter[0] == 0) {
            return STAPES_OK; /* nothing has come since the last start */
        }
        if (!has_all_inputs(engine)) {
            return STAPES_E_STATE;
        }
    }
    for (uint32_t i = 0; i < model->state_count; i++) {
        const stapes_state_t *state = &model->states[i];
        const stapes_tensor_t *tensor = &model->tensors[state->tensor];
        turns(engine)[i] = (turns(engine)[i] + tensor->rows - state->rows) % tensor->height;
    }
    memset(counter, 0, count * sizeof(uint32_t));
    return STAPES_OK;
}

__attribute__((cold)) int stapes_engine_push_input_row(stapes_engine_t *engine, size_t input,
                                                       const int8_t *row) {
    if (engine == NULL || row == NULL || engine->model == NULL || input >= engine->model->input_count) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    const stapes_tensor_t *tensor = &model->tensors[input];
    uint32_t *counter = &counters(engine)[input];
    if (*counter >= stapes_input_rows(model, input)) {
        return STAPES_E_STATE;
    }
    if (*counter == 0 && tensor->padding != 0) {
        fill_padding(engine, tensor);
    }
    memcpy(row_at(engine, tensor, stapes_kept_rows(model, tensor) + *counter), row, stapes_row_bytes(tensor));
    (*counter)++;
    if (model->by_layers) {
        if (has_all_inputs(engine)) {
            run_layers(engine);
        }
    } else {
        run_rows(engine, tensor->last_consumer);
    }
    return is_complete(engine);
}

int stapes_engine_push_row(stapes_engine_t *engine, const int8_t *row) {
    return stapes_engine_push_input_row(engine, 0, row);
}

__attribute__((cold)) const int8_t *stapes_engine_output(const stapes_engine_t *engine, size_t index) {
    if (engine == NULL || engine->model == NULL || index >= engine->model->output_count) {
        return NULL;
    }
    return row_at(engine, &engine->model->tensors[engine->model->outputs[index]], 0);
}

__attribute__((cold)) int stapes_engine_run(stapes_engine_t *engine, const int8_t *input, int8_t *output) {
    if (engine == NULL || engine->model == NULL || input == NULL || output == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    int status = stapes_engine_next(engine);
    if (status < 0) {
        return status;
    }
    for (uint32_t i = 0; i < model->input_count; i++) {
        const stapes_tensor_t *tensor = &model->tensors[i];
        const uint32_t rows = stapes_input_rows(model, i);
        for (uint32_t row = 0; row < rows; row++) {
            status = stapes_engine_push_input_row(engine, i, input);
            if (status < 0) {
                return status;
            }
            input += stapes_row_bytes(tensor);
        }
    }
    if (status != 1) {
        return STAPES_E_STATE;
    }
    for (uint32_t i = 0; i < model->output_count; i++) {
        const stapes_tensor_t *tensor = &model->tensors[model->outputs[i]];
        const size_t bytes = (size_t)tensor->rows * tensor->stride;
        memcpy(output, stapes_engine_output(engine, i), bytes);
        output += bytes;
    }
    return STAPES_OK;
}

int stapes_engine_set_observer(stapes_engine_t *engine, stapes_observer_t observer, void *context) {
    if (engine == NULL || engine->model == NULL) {
        return STAPES_E_ARGUMENT;
    }
    engine->observer = observer;
    engine->observer_context = context;
    return STAPES_OK;
}

int stapes_engine_set_profile(stapes_engine_t *engine, uint32_t (*ticks)(void), uint32_t *per_layer) {
    if (engine == NULL || engine->model == NULL) {
        return STAPES_E_ARGUMENT;
    }
    engine->ticks = per_layer == NULL ? NULL : ticks;
    engine->per_layer = per_layer;
    return STAPES_OK;
}
