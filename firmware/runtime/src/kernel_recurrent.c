/* LSTM and SVDF: layers that keep something from row to row, and from window to window. */
#include "requantize.h"
#include "sigmoid.h"

/* sum plus the products of `count` pairs, modulo 2^32. */
static uint32_t dot(const int8_t *a, const int8_t *b, uint32_t count, uint32_t sum) {
#if STAPES_DSP
    for (; count >= 4u; count -= 4u) {
        const uint32_t first = stapes_load(a), second = stapes_load(b);
        sum = (uint32_t)stapes_smlad(stapes_sxtb16(first), stapes_sxtb16(second), (int32_t)sum);
        sum = (uint32_t)stapes_smlad(stapes_sxtb16_8(first), stapes_sxtb16_8(second), (int32_t)sum);
        a += 4;
        b += 4;
    }
#endif
    for (; count != 0u; count--) {
        sum += (uint32_t)((int32_t)*a++ * *b++);
    }
    return sum;
}

static int32_t to_int16(int32_t value) {
    return stapes_clamp(value, INT16_MIN, INT16_MAX);
}

static int32_t tanh_of_cell(int32_t cell, int32_t shift) {
    if (shift <= 0) {
        return stapes_interpolated_tanh(cell * (3 * (int32_t)((uint32_t)1 << -shift)));
    }
    return stapes_interpolated_tanh((cell * 3 + (int32_t)((uint32_t)1 << (shift - 1))) >> shift);
}

/* What goes into a gate's function, in Q3.12. */
static int32_t gate_sum(const stapes_lstm_t *p, const int8_t *row, const int8_t *hidden, uint32_t gate,
                        uint32_t unit) {
    const uint32_t place = gate * p->units + unit;
    const uint32_t ours = dot(p->weights + place * p->inputs, row, p->inputs, (uint32_t)p->biases[place]);
    const uint32_t theirs =
        dot(p->recurrent + place * p->units, hidden, p->units, (uint32_t)p->recurrent_biases[place]);
    const int32_t first = stapes_multiply((int32_t)ours, p->multipliers[gate], p->shifts[gate]);
    const int32_t second =
        stapes_multiply((int32_t)theirs, p->recurrent_multipliers[gate], p->recurrent_shifts[gate]);
    return to_int16(to_int16(first) + to_int16(second));
}

void stapes_lstm(const stapes_call_t *call) {
    const stapes_lstm_t *p = call->layer->parameters;
    const int8_t *row = call->rows[0];
    int16_t *cells = call->state;
    int8_t *kept = (int8_t *)(cells + p->units);
    int8_t *hidden = call->scratch;
    for (uint32_t unit = 0; unit < p->units; unit++) {
        hidden[unit] = (int8_t)(uint8_t)((uint32_t)kept[unit] + (uint32_t)p->zero_point);
    }
    for (uint32_t unit = 0; unit < p->units; unit++) {
        const int32_t input = stapes_interpolated_sigmoid(3 * gate_sum(p, row, hidden, 0, unit));
        const int32_t forget = stapes_interpolated_sigmoid(3 * gate_sum(p, row, hidden, 1, unit));
        const int32_t update = stapes_interpolated_tanh(3 * gate_sum(p, row, hidden, 2, unit));
        const int32_t output = stapes_interpolated_sigmoid(3 * gate_sum(p, row, hidden, 3, unit));
        const int32_t still = to_int16(stapes_multiply(forget * cells[unit], 1 << 30, -14));
        const int32_t added = to_int16(stapes_multiply(input * update, 1 << 30, p->update_shift));
        int32_t cell = to_int16(still + added);
        if (p->cell_clip > 0) {
            cell = stapes_clamp(cell, -p->cell_clip, p->cell_clip);
        }
        cells[unit] = (int16_t)cell;
        const int32_t value = stapes_multiply(output * tanh_of_cell(cell, p->tanh_shift),
                                              p->output_multiplier, p->output_shift);
        const int32_t bounded = stapes_clamp(value + p->zero_point, -128, 127);
        call->output[unit] = (int8_t)bounded;
        kept[unit] = (int8_t)(uint8_t)((uint32_t)bounded - (uint32_t)p->zero_point);
    }
}

void stapes_svdf(const stapes_call_t *call) {
    const stapes_svdf_t *p = call->layer->parameters;
    int16_t *past = call->state;
    const int16_t *weights = p->time_weights;
    uint32_t filter = 0;
    for (uint32_t unit = 0; unit < p->units; unit++) {
        uint32_t total = (uint32_t)p->biases[unit];
        for (uint32_t i = 0; i < p->rank; i++) {
            const uint32_t sum = dot(p->feature_weights + filter * p->inputs, call->rows[0], p->inputs,
                                     (uint32_t)p->feature_biases[filter]);
            const int32_t newest = stapes_multiply((int32_t)sum, p->feature_multiplier, p->feature_shift);
            const uint32_t last = p->memory - 1u;
            for (uint32_t k = 0; k < last; k++) {
                past[k] = past[k + 1u];
                total += (uint32_t)((int32_t)past[k] * weights[k]);
            }
            past[last] = (int16_t)stapes_clamp(newest, p->minimum, p->maximum);
            total += (uint32_t)((int32_t)past[last] * weights[last]);
            past += p->memory;
            weights += p->memory;
            filter++;
        }
        const int32_t value = stapes_multiply((int32_t)total, p->multiplier, p->shift);
        call->output[unit] = (int8_t)stapes_clamp(value + p->zero_point, -128, 127);
    }
}
