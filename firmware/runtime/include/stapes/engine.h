/* The engine runs a compiled network row by row: every layer makes one output row from the few input rows it
 * needs. All memory is one arena of the caller's; the generated header gives its exact size. */
#ifndef STAPES_ENGINE_H
#define STAPES_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "stapes/error.h"
#include "stapes/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 0 leaves the names of layers out of the image; nothing in the runtime needs them. */
#ifndef STAPES_LAYER_NAMES
#define STAPES_LAYER_NAMES 1
#endif
#if STAPES_LAYER_NAMES
#define STAPES_LAYER_NAME(text) text
#else
#define STAPES_LAYER_NAME(text) ""
#endif

typedef struct stapes_layer stapes_layer_t;

/* What a kernel gets for one call. */
typedef struct {
    const stapes_layer_t *layer;
    const int8_t *const *rows; /* the windows of all inputs, one pointer per row; NULL: outside of the map */
    int8_t *output;            /* the output row */
    void *state;               /* kept from step to step, NULL where the layer has none */
    void *scratch;             /* lost after the call */
    uint32_t step;             /* the output row, or the input row for a layer that accumulates */
} stapes_call_t;

typedef void (*stapes_kernel_t)(const stapes_call_t *call);

/* Where the rows of a tensor are: a ring of `height` rows in the arena, or a constant in flash. */
typedef struct {
    union {
        uint32_t offset;    /* of row 0's first byte in the arena */
        const int8_t *data; /* a constant's rows */
    } at;
    uint32_t stride;        /* bytes from one row to the next */
    uint32_t height;        /* rows in the ring, 0: a constant */
    uint32_t rows;          /* rows of the whole map */
    uint16_t padding;       /* bytes of padding before the first row, and after every row */
    uint16_t last_consumer; /* the last layer that reads it */
    uint16_t state;         /* number of the state whose rows it keeps, from 1; 0: none */
    int8_t zero_point;      /* what padding is filled with */
} stapes_tensor_t;

/* The last rows of a tensor are kept from one window to the next, where they are its first ones; behind them
 * come those that are made. Nothing is copied: the ring goes on turning. */
typedef struct {
    const int8_t *initial; /* the rows after a reset, NULL: all zero points */
    uint32_t rows;
    uint16_t tensor;
} stapes_state_t;

/* One input of a layer: step s reads the rows s * stride - before + k * dilation, 0 <= k < height. */
typedef struct {
    const int8_t *outside; /* what stands for a row outside of the map, NULL if the kernel skips those */
    int32_t before;
    uint32_t height;
    uint16_t tensor;
    uint16_t stride, dilation;
    int32_t left; /* bytes of padding that the kernel wants in front of the row; < 0: bytes of it to skip */
} stapes_input_t;

struct stapes_layer {
    const char *name; /* as in the .tflite */
    stapes_kernel_t kernel;
    const void *parameters; /* the kernel's own structure, see kernels.h */
    const stapes_input_t *inputs;
    uint32_t state; /* offset in the arena, STAPES_NOWHERE where there is none */
    uint32_t scratch;
    uint32_t steps; /* calls of the kernel */
    uint16_t input_count;
    uint8_t accumulates; /* 1: one call per input row, one output row after the last */
};

/* The state of a layer that keeps it from one window to the next: zero after a reset. */
typedef struct {
    uint32_t offset; /* in the arena */
    uint32_t bytes;
} stapes_kept_t;

#define STAPES_NOWHERE UINT32_MAX

typedef struct {
    uint32_t api_version;
    uint32_t arena_bytes;
    uint32_t output_bytes; /* of all outputs together */
    uint16_t input_count;  /* tensors 0 .. input_count-1 */
    uint16_t layer_count;  /* layer i writes tensor input_count + i */
    uint16_t output_count;
    uint16_t state_count;
    uint16_t kept_count;
    uint32_t rows;      /* of input 0 */
    uint32_t row_bytes; /* of input 0 */
    uint32_t row_table; /* offset of the table of row pointers in the arena */
    uint32_t by_layers; /* 0: the deepest ready layer first, 1: layer by layer */
    const stapes_layer_t *layers;
    const stapes_tensor_t *tensors;
    const uint16_t *outputs; /* tensors that are outputs */
    const stapes_state_t *states;
    const stapes_kept_t *kept;
} stapes_model_t;

/* Bytes of one row, without padding. */
static inline uint32_t stapes_row_bytes(const stapes_tensor_t *tensor) {
    return tensor->stride - tensor->padding;
}

/* Rows of a tensor that are there when a window begins: those of its state. */
static inline uint32_t stapes_kept_rows(const stapes_model_t *model, const stapes_tensor_t *tensor) {
    return tensor->state != 0 ? model->states[tensor->state - 1u].rows : 0u;
}

/* Rows that one window gives to an input. */
static inline uint32_t stapes_input_rows(const stapes_model_t *model, size_t input) {
    return model->tensors[input].rows - stapes_kept_rows(model, &model->tensors[input]);
}

/* The tensor that a layer writes. */
static inline const stapes_tensor_t *stapes_layer_output(const stapes_model_t *model, uint32_t layer) {
    return &model->tensors[model->input_count + layer];
}

/* Called after every produced row: `data` is the row, width * channels bytes. */
typedef void (*stapes_observer_t)(void *context, uint16_t layer, uint32_t row, const int8_t *data,
                                  size_t bytes);

typedef struct {
    const stapes_model_t *model;
    uint8_t *arena;
    stapes_observer_t observer;
    void *observer_context;
    uint32_t (*ticks)(void);
    uint32_t *per_layer;
} stapes_engine_t;

/* Checks versions, size and alignment (that of a pointer) of the arena and resets. This function and those
 * below return STAPES_E_ARGUMENT for NULL and before a successful init (of a structure that is all zeros). */
int stapes_engine_init(stapes_engine_t *engine, const stapes_model_t *model, void *arena, size_t bytes);

/* Starts a new window; what the network keeps from window to window, its state, is as in the beginning.
 * Returns STAPES_OK or an error. */
int stapes_engine_reset(stapes_engine_t *engine);

/* Starts a new window that goes on from the state which the one before has left. Returns STAPES_OK or an
 * error (STAPES_E_STATE: in the middle of a window of a network with state: push the others, or reset). */
int stapes_engine_next(stapes_engine_t *engine);

/* Gives the next row (model->row_bytes) of input 0. Returns 0: more rows are needed, 1: outputs complete, <0:
 * an error (STAPES_E_STATE: they are complete already). */
int stapes_engine_push_row(stapes_engine_t *engine, const int8_t *row);

/* Returns the same for any input (stapes_row_bytes(&model->tensors[input])). */
int stapes_engine_push_input_row(stapes_engine_t *engine, size_t input, const int8_t *row);

/* Returns an output's bytes; valid from the call that returned 1 until the next reset. NULL if there is no
 * such output. */
const int8_t *stapes_engine_output(const stapes_engine_t *engine, size_t index);

/* Runs the next whole window: all inputs one after the other to all outputs one after the other. State goes
 * on: call stapes_engine_reset() before a window that has nothing to do with the one before. Returns
 * STAPES_OK or an error. */
int stapes_engine_run(stapes_engine_t *engine, const int8_t *input, int8_t *output);

/* NULL: none. Returns STAPES_OK or an error. */
int stapes_engine_set_observer(stapes_engine_t *engine, stapes_observer_t observer, void *context);

/* Adds the ticks that each layer's kernel took to per_layer[layer] (model->layer_count entries). NULL: none.
 * Returns STAPES_OK or an error. */
int stapes_engine_set_profile(stapes_engine_t *engine, uint32_t (*ticks)(void), uint32_t *per_layer);

#ifdef __cplusplus
}
#endif

#endif
