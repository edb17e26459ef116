/* A window counts as much as its root mean square. */
#include "stapes/decision.h"
#include "stapes/integer.h"

static uint32_t weight(uint64_t square_sum, uint32_t samples) {
    const uint32_t root = stapes_integer_sqrt(square_sum / samples);
    return root == 0u ? 1u : root;
}

const stapes_vote_t stapes_vote_energy = {
    .words = stapes_vote_energy_words,
    .weight = weight,
    .score = stapes_decision_mean,
};
