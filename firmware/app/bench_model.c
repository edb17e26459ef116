/* What one window of a network costs, and its outputs for pseudo-random inputs. Prints lines of words, waits
 * for a byte and ends. tools/stapes/bench/model.py makes the same inputs and reads the lines.
 *
 * For every window: "output", ticks, the outputs. For every layer, of the first window run once more:
 * "layer", ticks, hash of its rows. Then "end", the counter's numerator and denominator, the deepest stack,
 * the status. All in hex. */
#include "board.h"
#include "stapes_app_model.h"

#ifndef STAPES_BENCH_WINDOWS
#define STAPES_BENCH_WINDOWS 200
#endif

static void *arena[STAPES_APP_MODEL_ARENA_BYTES / sizeof(void *)];
static stapes_engine_t engine;
static int8_t row[STAPES_APP_MODEL_LONGEST_INPUT_ROW];
static uint32_t random_state;

/* A text literal. */
#define PRINT(text) board_write((const uint8_t *)(text), sizeof(text) - 1u)

static void print_hex(uint32_t value, uint32_t digits) {
    uint8_t text[8];
    for (uint32_t i = digits; i-- > 0u;) {
        const uint32_t digit = value & 15u;
        text[i] = (uint8_t)(digit < 10u ? '0' + digit : 'a' + digit - 10u);
        value >>= 4;
    }
    board_write(text, digits);
}

static void print_word(uint32_t value) {
    PRINT(" ");
    print_hex(value, 8);
}

/* Pushes the next window row by row; returns the ticks of the pushes, the status in *status. */
static uint32_t run_window(int *status) {
    uint32_t ticks = 0;
    uint32_t start = board_ticks();
    *status = stapes_engine_next(&engine);
    ticks += board_ticks() - start;
    for (uint32_t input = 0; input < stapes_app_model.input_count; input++) {
        for (uint32_t i = 0; i < stapes_input_rows(&stapes_app_model, input) && *status >= 0; i++) {
            for (uint32_t k = 0; k < stapes_row_bytes(&stapes_app_model.tensors[input]); k++) {
                random_state = random_state * 1664525u + 1013904223u;
                row[k] = (int8_t)(uint8_t)(random_state >> 24);
            }
            start = board_ticks();
            *status = stapes_engine_push_input_row(&engine, input, row);
            ticks += board_ticks() - start;
        }
    }
    return ticks;
}

/* FNV-1a of all rows of a layer. */
static void hash_row(void *context, uint16_t layer, uint32_t number, const int8_t *data, size_t bytes) {
    uint32_t *hash = (uint32_t *)context + layer;
    if (number == 0u) {
        *hash = 2166136261u;
    }
    for (size_t i = 0; i < bytes; i++) {
        *hash = (*hash ^ (uint8_t)data[i]) * 16777619u;
    }
}

int main(void) {
    static uint32_t profile[STAPES_APP_MODEL_LAYER_COUNT];
    static uint32_t hashes[STAPES_APP_MODEL_LAYER_COUNT];
    board_init();
    int status = stapes_engine_init(&engine, &stapes_app_model, arena, sizeof arena);
    random_state = 1;
    for (uint32_t window = 0; status >= 0 && window < STAPES_BENCH_WINDOWS; window++) {
        const uint32_t ticks = run_window(&status);
        PRINT("output");
        print_word(ticks);
        PRINT(" ");
        for (uint32_t i = 0; i < stapes_app_model.output_count; i++) {
            const stapes_tensor_t *tensor = &stapes_app_model.tensors[stapes_app_model.outputs[i]];
            const int8_t *data = stapes_engine_output(&engine, i);
            for (uint32_t k = 0; k < tensor->rows * tensor->stride; k++) {
                print_hex((uint8_t)data[k], 2);
            }
        }
        PRINT("\n");
    }
    const uint32_t stack = board_stack_high_water();
    if (status >= 0) {
        random_state = 1;
        (void)stapes_engine_reset(&engine);
        (void)stapes_engine_set_observer(&engine, hash_row, hashes);
        (void)run_window(&status);
        (void)stapes_engine_set_observer(&engine, NULL, NULL);
        random_state = 1;
        (void)stapes_engine_reset(&engine);
        (void)stapes_engine_set_profile(&engine, board_ticks, profile);
        (void)run_window(&status);
        for (uint32_t i = 0; i < STAPES_APP_MODEL_LAYER_COUNT; i++) {
            PRINT("layer");
            print_word(profile[i]);
            print_word(hashes[i]);
            PRINT("\n");
        }
    }
    PRINT("end");
    print_word(board_info()->counter_numerator);
    print_word(board_info()->counter_denominator);
    print_word(stack);
    print_word((uint32_t)status);
    PRINT("\n");
    /* Who reads the lines says when it has them: a program that ends takes its line along. */
    uint8_t done;
    while (board_read(&done, 1) == 0u) {
    }
    board_exit(status == 1 ? 0 : 1);
    return 0;
}
