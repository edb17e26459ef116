/* Every window counts the same. */
#include "stapes/decision.h"

const stapes_vote_t stapes_vote_mean = {.words = stapes_vote_mean_words, .score = stapes_decision_mean};
