/* Statistics over time of every band, and the forest of decision trees that votes on them. */
#include "stapes/integer.h"
#include "stapes/kernels.h"
#include "stapes/limits.h"

#define LAG ((uint32_t)STAPES_LIMIT_STATISTICS_LAG)

/* What is kept of one band while the rows come. */
typedef struct {
    int32_t sum;
    uint32_t squares;
    uint32_t steps;      /* sum of the distances from one row to the next */
    uint32_t slow_steps; /* and over LAG rows */
    int8_t minimum, maximum;
    int8_t past[LAG]; /* a ring: the last rows */
} band_t;

typedef char band_size[sizeof(band_t) == STAPES_STATISTICS_STATE_BYTES ? 1 : -1];

static uint32_t distance(int8_t a, int8_t b) {
    return (uint32_t)(a > b ? a - b : b - a);
}

static int8_t saturated(uint32_t value) {
    return (int8_t)((int32_t)(value < 255u ? value : 255u) - 128);
}

static void finish(const stapes_statistics_t *p, const band_t *state, int8_t *output) {
    const uint32_t rows = p->rows, bands = p->bands;
    for (uint32_t i = 0; i < bands; i++) {
        const band_t *band = &state[i];
        const uint32_t lifted = (uint32_t)(band->sum + (int32_t)(128u * rows)); /* not negative */
        const int64_t sum = band->sum;
        const uint64_t spread = (uint64_t)rows * band->squares - (uint64_t)(sum * sum);
        output[i] = (int8_t)((int32_t)((2u * lifted + rows) / (2u * rows)) - 128);
        output[bands + i] = saturated(stapes_integer_sqrt(4u * spread) / rows);
        output[2u * bands + i] = band->minimum;
        output[3u * bands + i] = band->maximum;
        output[4u * bands + i] = saturated(4u * band->steps / (rows - 1u));
        output[5u * bands + i] = saturated(4u * band->slow_steps / (rows - LAG));
    }
}

void stapes_statistics(const stapes_call_t *call) {
    const stapes_statistics_t *p = call->layer->parameters;
    const int8_t *row = call->rows[0];
    band_t *state = call->state;
    for (uint32_t i = 0; i < p->bands; i++) {
        band_t *band = &state[i];
        const int8_t value = row[i];
        if (call->step == 0u) {
            *band = (band_t){.minimum = value, .maximum = value};
        } else {
            band->steps += distance(value, band->past[(call->step - 1u) % LAG]);
        }
        if (call->step >= LAG) {
            band->slow_steps += distance(value, band->past[call->step % LAG]);
        }
        band->past[call->step % LAG] = value;
        band->sum += value;
        band->squares += (uint32_t)(value * value);
        band->minimum = value < band->minimum ? value : band->minimum;
        band->maximum = value > band->maximum ? value : band->maximum;
    }
    if (call->step + 1u == p->rows) {
        finish(p, state, call->output);
    }
}

void stapes_forest(const stapes_call_t *call) {
    const stapes_forest_t *p = call->layer->parameters;
    const int8_t *features = call->rows[0];
    uint16_t *votes = call->scratch;
    for (uint32_t c = 0; c < p->classes; c++) {
        votes[c] = 0;
    }
    for (uint32_t tree = 0; tree < p->trees; tree++) {
        const stapes_forest_node_t *node = &p->nodes[p->roots[tree]];
        int32_t child = features[node->feature] < node->threshold ? node->below : node->otherwise;
        while (child >= 0) {
            node += child; /* always forward */
            child = features[node->feature] < node->threshold ? node->below : node->otherwise;
        }
        votes[-child - 1]++;
    }
    for (uint32_t c = 0; c < p->classes; c++) {
        call->output[c] = saturated(256u * votes[c] / p->trees);
    }
}
