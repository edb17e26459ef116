/* FULLY_CONNECTED over several rows: every row adds its part to the sums as soon as it exists. */
#include "dot.h"

void stapes_fully_connected(const stapes_call_t *call) {
    const stapes_fully_connected_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    const int8_t *in = call->rows[0];
    int16_t *x = call->scratch;
    int32_t *sums = call->state;
    if ((p->row_bytes & 1U) == 0) {
        stapes_widen(in, p->row_bytes, x, 2);
    } else {
        for (uint32_t i = 0; i < p->row_bytes; i++) {
            x[i] = in[i];
        }
        x[p->row_bytes] = 0;
    }
    if (call->step == 0) {
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            sums[channel] = q->channels[channel].bias;
        }
        if ((p->channels & 1U) != 0) {
            sums[p->channels] = 0; /* the partner of the last channel */
        }
    }
    const int8_t *weights = p->weights + call->step * p->row_weights;
    for (uint32_t channel = 0; channel < p->channels; channel += 2) {
        weights = stapes_dot_add(weights, x, (p->row_bytes + 1U) / 2U, sums + channel);
    }
    if (call->step + 1U == p->rows) {
        stapes_requantize_columns(q, 0, p->channels, sums, 1, call->output, 1);
        stapes_activate(q, call->output, p->channels);
    }
}
