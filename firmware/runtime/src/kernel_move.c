/* Operators that only move bytes. */
#include <string.h>

#include "stapes/kernels.h"

void stapes_concatenation(const stapes_call_t *call) {
    const stapes_concatenation_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t column = 0; column < p->columns; column++) {
        for (uint32_t i = 0; i < call->layer->input_count; i++) {
            memcpy(output, call->rows[i] + column * p->bytes[i], p->bytes[i]);
            output += p->bytes[i];
        }
    }
}

void stapes_concatenation_rows(const stapes_call_t *call) {
    const stapes_concatenation_rows_t *p = call->layer->parameters;
    const int8_t *const *row = call->rows;
    while (*row == NULL) {
        row++;
    }
    memcpy(call->output, *row, p->row_bytes);
}

void stapes_reshape(const stapes_call_t *call) {
    const stapes_reshape_t *p = call->layer->parameters;
    int8_t *output = call->output;
    uint32_t position = call->step * p->row_bytes;
    const uint32_t end = position + p->row_bytes;
    while (position < end) {
        const uint32_t offset = position % p->input_bytes;
        const uint32_t left = p->input_bytes - offset;
        const uint32_t count = left < end - position ? left : end - position;
        memcpy(output, call->rows[position / p->input_bytes] + offset, count);
        output += count;
        position += count;
    }
}

void stapes_pick(const stapes_call_t *call) {
    const stapes_pick_t *p = call->layer->parameters;
    int8_t *output = call->output;
    const int32_t start = p->start + (int32_t)call->step * p->row_step;
    for (uint32_t a = 0; a < p->counts[0]; a++) {
        for (uint32_t b = 0; b < p->counts[1]; b++) {
            for (uint32_t c = 0; c < p->counts[2]; c++) {
                int32_t at =
                    start + (int32_t)a * p->steps[0] + (int32_t)b * p->steps[1] + (int32_t)c * p->steps[2];
                if (p->input_bytes == 0 && p->steps[3] == 1) {
                    memcpy(output, call->rows[0] + at, p->counts[3]);
                    output += p->counts[3];
                    continue;
                }
                for (uint32_t d = 0; d < p->counts[3]; d++) {
                    *output++ =
                        p->input_bytes == 0
                            ? call->rows[0][at]
                            : call->rows[(uint32_t)at / p->input_bytes][(uint32_t)at % p->input_bytes];
                    at += p->steps[3];
                }
            }
        }
    }
}

void stapes_gather(const stapes_call_t *call) {
    const stapes_gather_t *p = call->layer->parameters;
    int8_t *output = call->output;
    const uint32_t base = p->bases[call->step];
    for (uint32_t i = 0; i < p->count; i++) {
        const uint32_t at = base + p->offsets[i];
        memcpy(output, call->rows[at / p->input_bytes] + at % p->input_bytes, p->piece_bytes);
        output += p->piece_bytes;
    }
}

void stapes_resize_bilinear(const stapes_call_t *call) {
    const stapes_resize_bilinear_t *p = call->layer->parameters;
    int8_t *output = call->output;
    const stapes_between_t row = p->rows[call->step];
    const int8_t *above = call->rows[row.lower], *below = call->rows[row.upper];
    for (uint32_t column = 0; column < p->columns; column++) {
        const stapes_between_t at = p->positions[column];
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            const uint32_t left = at.lower + channel, right = at.upper + channel;
            const int32_t upper = above[left] * (1024 - at.weight) + above[right] * at.weight;
            const int32_t lower = below[left] * (1024 - at.weight) + below[right] * at.weight;
            const int32_t sum = upper * (1024 - row.weight) + lower * row.weight;
            *output++ = (int8_t)((sum > 0 ? sum + (1 << 19) : sum - (1 << 19)) / (1 << 20));
        }
    }
}

void stapes_pad(const stapes_call_t *call) {
    const stapes_pad_t *p = call->layer->parameters;
    memset(call->output, p->value, p->row_bytes);
    const int8_t *input = call->rows[0];
    if (input == NULL) {
        return;
    }
    for (uint32_t a = 0; a < p->counts[0]; a++) {
        for (uint32_t b = 0; b < p->counts[1]; b++) {
            int8_t *output = call->output + p->start + a * p->steps[0] + b * p->steps[1];
            for (uint32_t c = 0; c < p->counts[2]; c++) {
                memcpy(output, input, p->run_bytes);
                input += p->run_bytes;
                output += p->steps[2];
            }
        }
    }
}
