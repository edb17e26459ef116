/* FULLY_CONNECTED over several rows: every row adds its part to the sums as soon as it exists. */
#include "dot.h"
#include "int4.h"
#if STAPES_DSP && !STAPES_MVE
#include "dot_dsp.h"
#endif

/* As the convolution gathers a run: words in the order 0 2 1 3, then the others; an odd last one with a zero.
 */
static void gather(const int8_t *in, uint32_t bytes, stapes_element_t *x) {
#if STAPES_MVE
    const uint32_t words = bytes & ~3u;
    if (words != 0) {
        stapes_gather_words(stapes_words(), words, in, x);
    }
    x += words;
    in += words;
    bytes -= words;
#else
    for (; bytes >= 4; bytes -= 4) {
        x[0] = in[0];
        x[1] = in[2];
        x[2] = in[1];
        x[3] = in[3];
        x += 4;
        in += 4;
    }
#endif
    for (uint32_t i = 0; i < bytes; i++) {
        x[i] = in[i];
    }
    if ((bytes & 1u) != 0) {
        x[bytes] = 0;
    }
}

/* Adds the products of all channels; the inputs lie in the scratch. */
typedef void (*add_t)(const int8_t *w, stapes_element_t *x, uint32_t pairs, uint32_t channels, int32_t *sums);

STAPES_INLINE void accumulate(const stapes_call_t *call, add_t add) {
    const stapes_fully_connected_t *p = call->layer->parameters;
    const stapes_requantize_t *q = &p->requantize;
    stapes_element_t *x = call->scratch;
    int32_t *sums = call->state;
    gather(call->rows[0], p->row_bytes, x);
    if (call->step == 0) {
        for (uint32_t channel = 0; channel < p->channels; channel++) {
            sums[channel] = q->channels[channel].bias;
        }
        if ((p->channels & 1u) != 0) {
            sums[p->channels] = 0; /* the partner of the last channel */
        }
    }
    add(p->weights + call->step * p->row_weights, x, (p->row_bytes + 1u) / 2u, p->channels, sums);
    if (call->step + 1u == call->layer->steps) {
        stapes_requantize_columns(q, 0, p->channels, sums, 1, call->output, 1);
        stapes_activate(q, call->output, p->channels);
    }
}

STAPES_INLINE void add(const int8_t *w, stapes_element_t *x, uint32_t pairs, uint32_t channels,
                       int32_t *sums) {
    uint32_t channel = 0;
#if STAPES_MANY_REGISTERS
    for (; channel + 2u < channels; channel += 4) {
        w = stapes_dot_add_four(w, x, pairs, sums + channel);
    }
#endif
    for (; channel < channels; channel += 2) {
        w = stapes_dot_add(w, x, pairs, sums + channel);
    }
}

void stapes_fully_connected(const stapes_call_t *call) {
    accumulate(call, add);
}

#if STAPES_DSP && !STAPES_MVE

STAPES_INLINE void add_carried(const int8_t *w, stapes_element_t *x, uint32_t pairs, uint32_t channels,
                               int32_t *sums) {
    for (uint32_t channel = 0; channel < channels; channel += 2) {
        w = stapes_add_carried(w, x, 1, pairs, sums + channel, 1);
    }
}

void stapes_fully_connected_carry(const stapes_call_t *call) {
    accumulate(call, add_carried);
}

#endif

/* The weights of a pair of channels are unpacked behind the inputs. */
STAPES_INLINE void add_int4(const int8_t *w, stapes_element_t *x, uint32_t pairs, uint32_t channels,
                            int32_t *sums) {
    int8_t *unpacked = (int8_t *)x + 4u * pairs;
    for (uint32_t channel = 0; channel < channels; channel += 2) {
#if STAPES_DSP && !STAPES_MVE
        w = stapes_unpack_carried(w, 4u * pairs, unpacked);
        add_carried(unpacked, x, pairs, 2, sums + channel);
#else
        w = stapes_unpack(w, 4u * pairs, unpacked);
        add(unpacked, x, pairs, 2, sums + channel);
#endif
    }
}

void stapes_fully_connected_int4(const stapes_call_t *call) {
    accumulate(call, add_int4);
}
