/* In place of the engine: a network whose windows give the scores of a script, one after the other. */
#include "stapes_app.h"

static const int8_t *script;
static uint32_t rows;

void stapes_script(const int8_t *first);

void stapes_script(const int8_t *first) {
    script = first;
}

const stapes_model_t stapes_app_model = {
    .api_version = STAPES_API_VERSION,
    .arena_bytes = STAPES_APP_MODEL_ARENA_BYTES,
    .output_bytes = STAPES_APP_MODEL_OUTPUT_BYTES,
    .rows = STAPES_APP_MODEL_INPUT_ROWS,
    .row_bytes = STAPES_APP_MODEL_INPUT_ROW_BYTES,
};
const stapes_slide_t stapes_app_slide = {.hop = 0};

int stapes_engine_init(stapes_engine_t *engine, const stapes_model_t *model, void *arena, size_t bytes) {
    (void)bytes;
    engine->model = model;
    engine->arena = arena;
    return STAPES_OK;
}

int stapes_engine_reset(stapes_engine_t *engine) {
    (void)engine;
    rows = 0;
    return STAPES_OK;
}

int stapes_engine_next(stapes_engine_t *engine) {
    return stapes_engine_reset(engine);
}

int stapes_engine_push_row(stapes_engine_t *engine, const int8_t *row) {
    (void)engine;
    (void)row;
    return 0;
}

const int8_t *stapes_engine_output(const stapes_engine_t *engine, size_t index) {
    (void)engine;
    (void)index;
    const int8_t *scores = script; /* asked for once a window */
    script += STAPES_APP_MODEL_OUTPUT_BYTES;
    return scores;
}

int stapes_slide_row(stapes_engine_t *engine, const stapes_slide_t *slide, const int8_t *row) {
    (void)engine;
    (void)slide;
    (void)row;
    rows++;
    return rows >= STAPES_APP_MODEL_INPUT_ROWS &&
           (rows - STAPES_APP_MODEL_INPUT_ROWS) % STAPES_APP_WINDOW_HOP_FRAMES == 0;
}

int stapes_slide_fill(stapes_engine_t *engine, const stapes_slide_t *slide, const int8_t *row) {
    (void)engine;
    (void)slide;
    (void)row;
    rows = STAPES_APP_MODEL_INPUT_ROWS;
    return STAPES_OK;
}
