/* Rows are counted from the first of a period; the compiler makes every ring's height a divisor of what the
 * ring advances in one period, so that no row moves when the counters start again. */
#include "stapes/slide.h"

#include "engine_step.h"

/* Points the table at the rows of a step and returns it. `origin`: the window's first row of every tensor of
 * the trunk, in units of slide->advance. */
static const int8_t *const *gather(const stapes_engine_t *engine, const stapes_slide_t *slide, uint32_t index,
                                   uint32_t step, uint32_t origin) {
    const stapes_model_t *model = engine->model;
    const stapes_layer_t *layer = &model->layers[index];
    const int8_t **rows = row_table(engine);
    const int8_t **next = rows;
    for (uint32_t i = 0; i < layer->input_count; i++) {
        const stapes_input_t *input = &layer->inputs[i];
        const stapes_tensor_t *source = &model->tensors[input->tensor];
        const int is_shared = input->tensor <= slide->trunk;
        const uint32_t first = is_shared ? origin * slide->advance[input->tensor] : 0u;
        uint32_t row = step * input->stride - (uint32_t)input->before;
        for (uint32_t k = 0; k < input->height; k++) {
            if (index >= slide->trunk && row >= source->rows) {
                *next = input->outside;
            } else if (is_constant(source)) {
                *next = source->at.data + source->stride * row;
            } else {
                *next = arena_row(engine, source, first + row) - input->left;
            }
            next++;
            row += input->dilation;
        }
    }
    return rows;
}

static void observe(const stapes_engine_t *engine, uint32_t index, uint32_t row, const int8_t *data) {
    if (engine->observer != NULL) {
        engine->observer(engine->observer_context, (uint16_t)index, row, data,
                         stapes_row_bytes(stapes_layer_output(engine->model, index)));
    }
}

/* Whether a layer of the trunk has the rows for its next step; its windows never leave the map. */
static int is_ready(const stapes_engine_t *engine, uint32_t index) {
    const stapes_layer_t *layer = &engine->model->layers[index];
    const uint32_t *count = counters(engine);
    const uint32_t step = count[1u + index];
    for (uint32_t i = 0; i < layer->input_count; i++) {
        const stapes_input_t *input = &layer->inputs[i];
        if (!is_constant(&engine->model->tensors[input->tensor]) &&
            step * input->stride + (input->height - 1u) * input->dilation >= count[input->tensor]) {
            return 0;
        }
    }
    return 1;
}

/* Deepest layer first, as in engine.c. */
static void run_trunk(stapes_engine_t *engine, const stapes_slide_t *slide) {
    uint32_t index = slide->trunk - 1u;
    for (;;) {
        if (is_ready(engine, index)) {
            uint32_t *step = &counters(engine)[1u + index];
            const int8_t *const *rows = gather(engine, slide, index, *step, 0);
            observe(engine, index, *step, call_kernel(engine, index, rows, *step, *step));
            (*step)++;
            index = slide->trunk - 1u;
        } else if (index == 0) {
            return;
        } else {
            index--;
        }
    }
}

/* All layers behind the trunk over the window that has just ended, one after the other. */
static void run_head(stapes_engine_t *engine, const stapes_slide_t *slide, uint32_t window) {
    for (uint32_t index = slide->trunk; index < engine->model->layer_count; index++) {
        const stapes_layer_t *layer = &engine->model->layers[index];
        const int8_t *output = NULL;
        for (uint32_t step = 0; step < layer->steps; step++) {
            const int8_t *const *rows = gather(engine, slide, index, step, window);
            output = call_kernel(engine, index, rows, step, 0);
        }
        observe(engine, index, 0, output);
    }
}

int stapes_slide_row(stapes_engine_t *engine, const stapes_slide_t *slide, const int8_t *row) {
    if (engine == NULL || engine->model == NULL || slide == NULL || row == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    const stapes_tensor_t *tensor = &model->tensors[0];
    uint32_t *count = counters(engine);
    if (count[0] == 0 && tensor->padding != 0) {
        fill_padding(engine, tensor);
    }
    memcpy(arena_row(engine, tensor, count[0]), row, model->row_bytes);
    const uint32_t rows = ++count[0];
    run_trunk(engine, slide);
    if (rows < model->rows || (rows - model->rows) % slide->hop != 0) {
        return 0;
    }
    const uint32_t window = (rows - model->rows) / slide->hop;
    run_head(engine, slide, window);
    if (window == slide->period) {
        for (uint32_t i = 0; i <= slide->trunk; i++) {
            count[i] -= slide->period * slide->advance[i];
        }
    }
    return 1;
}

__attribute__((cold)) int stapes_slide_fill(stapes_engine_t *engine, const stapes_slide_t *slide,
                                            const int8_t *row) {
    if (engine == NULL || engine->model == NULL || slide == NULL || row == NULL) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_model_t *model = engine->model;
    for (uint32_t i = 0; i <= slide->trunk; i++) {
        const stapes_tensor_t *tensor = &model->tensors[i];
        const size_t bytes = stapes_row_bytes(tensor);
        int8_t *first = arena_row(engine, tensor, 0);
        fill_padding(engine, tensor);
        if (i == 0) {
            memcpy(first, row, bytes);
        } else {
            /* All rows of a tensor are the same: row 0 stands for every one. */
            (void)call_kernel(engine, i - 1u, gather(engine, slide, i - 1u, 0, 0), 0, 0);
        }
        for (uint32_t k = 1; k < tensor->height; k++) {
            memcpy(first + k * tensor->stride, first, bytes);
        }
        counters(engine)[i] = tensor->rows;
    }
    return STAPES_OK;
}
