/* What every order of running needs: where things are in the arena, and one call of a kernel. */
#ifndef STAPES_ENGINE_STEP_H
#define STAPES_ENGINE_STEP_H

#include <string.h>

#include "stapes/engine.h"

/* The arena begins with one counter per input and layer (rows pushed, steps made), then one per state: where
 * in its tensor's ring row 0 is. */
static inline uint32_t *counters(const stapes_engine_t *engine) {
    return (uint32_t *)(void *)engine->arena;
}

/* The rows that the next call of a kernel reads. */
static inline const int8_t **row_table(const stapes_engine_t *engine) {
    return (const int8_t **)(void *)(engine->arena + engine->model->row_table);
}

static inline uint32_t *turns(const stapes_engine_t *engine) {
    return counters(engine) + engine->model->input_count + engine->model->layer_count;
}

static inline int is_constant(const stapes_tensor_t *tensor) {
    return tensor->height == 0;
}

/* Where in its ring a tensor's row 0 is. */
static inline uint32_t ring_turn(const stapes_engine_t *engine, const stapes_tensor_t *tensor) {
    return tensor->state != 0 ? turns(engine)[tensor->state - 1u] : 0u;
}

static inline int8_t *arena_row(const stapes_engine_t *engine, const stapes_tensor_t *tensor, uint32_t row) {
    const uint32_t slot = (row + ring_turn(engine, tensor)) % tensor->height;
    return (int8_t *)engine->arena + tensor->at.offset + tensor->stride * slot;
}

static inline void *place(const stapes_engine_t *engine, uint32_t offset) {
    return offset == STAPES_NOWHERE ? NULL : (void *)(engine->arena + offset);
}

/* Zero points beside all rows of a ring; before its first row, because until then the place may be another's.
 */
__attribute__((cold)) static inline void fill_padding(const stapes_engine_t *engine,
                                                      const stapes_tensor_t *tensor) {
    int8_t *strip = (int8_t *)engine->arena + tensor->at.offset - tensor->padding;
    for (uint32_t row = 0; row <= tensor->height; row++) {
        memset(strip, tensor->zero_point, tensor->padding);
        strip += tensor->stride;
    }
}

/* Calls a layer's kernel; returns the output row. */
static inline int8_t *call_kernel(stapes_engine_t *engine, uint32_t index, const int8_t *const *rows,
                                  uint32_t step, uint32_t output_row) {
    const stapes_model_t *model = engine->model;
    const stapes_layer_t *layer = &model->layers[index];
    const stapes_tensor_t *tensor = stapes_layer_output(model, index);
    if (step == 0 && tensor->padding != 0) {
        fill_padding(engine, tensor);
    }
    stapes_call_t call;
    call.layer = layer;
    call.rows = rows;
    call.output = arena_row(engine, tensor, stapes_kept_rows(model, tensor) + output_row);
    call.state = place(engine, layer->state);
    call.scratch = place(engine, layer->scratch);
    call.step = step;
    if (engine->ticks != NULL) {
        uint32_t start = engine->ticks();
        layer->kernel(&call);
        engine->per_layer[index] += engine->ticks() - start;
    } else {
        layer->kernel(&call);
    }
    return call.output;
}

#endif
