/* BATCH_MATMUL: both operands are computed at run time. */
#include "requantize.h"

void stapes_batch_matmul(const stapes_call_t *call) {
    const stapes_batch_matmul_t *p = call->layer->parameters;
    int8_t *output = call->output;
    for (uint32_t line = call->step * p->lines; line < (call->step + 1u) * p->lines; line++) {
        const uint32_t batch = line / p->rows;
        const int8_t *left = call->rows[0] + batch * p->batch_step1 + (line - batch * p->rows) * p->row_step1;
        const int8_t *right = call->rows[1] + batch * p->batch_step2;
        for (uint32_t column = 0; column < p->columns; column++) {
            const int8_t *first = left, *second = right + column * p->column_step2;
            int32_t sum = 0;
            for (uint32_t i = 0; i < p->depth; i++) {
                sum += (*first + p->offset1) * (*second + p->offset2);
                first += p->depth_step1;
                second += p->depth_step2;
            }
            const int32_t value = stapes_multiply(sum, p->multiplier, p->shift) + p->zero_point;
            *output++ = (int8_t)stapes_clamp(value, -128, 127);
        }
    }
}
