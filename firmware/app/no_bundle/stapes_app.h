/* What a program that is built without a bundle says of it in its hello: that there is none. */
#ifndef STAPES_APP_H
#define STAPES_APP_H

#include <stdint.h>

#include "stapes/error.h"
#include "stapes/version.h"

#define STAPES_APP_SAMPLE_RATE       0u
#define STAPES_APP_MODEL_LAYER_COUNT 0u
#define STAPES_APP_CLASSES           0u
#define STAPES_APP_WINDOW_FRAMES     0u
#define STAPES_APP_WINDOW_HOP_FRAMES 0u
#define STAPES_APP_N_FEATURES        0u
#define STAPES_APP_FRAME_LENGTH      0u
#define STAPES_APP_HOP_LENGTH        0u

static const struct { uint8_t hash[32], frontend_hash[32]; } stapes_app = {{0}, {0}};

#endif
