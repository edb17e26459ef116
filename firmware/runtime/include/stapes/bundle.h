/* A bundle is one constant object: a front end, a network, a decision rule, how a device listens, labels.
 * Generated code defines `const stapes_bundle_t stapes_<name>` and declares it in stapes_<name>.h; the
 * classifier (stapes/classifier.h), the listening device (stapes/live.h) and the self-test
 * (stapes/selftest.h) take it. A program can hold several. */
#ifndef STAPES_BUNDLE_H
#define STAPES_BUNDLE_H

#include <stdint.h>

#include "stapes/decision.h"
#include "stapes/engine.h"
#include "stapes/frontend.h"
#include "stapes/slide.h"
#include "stapes/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stapes_live_config stapes_live_config_t; /* see stapes/live.h */

typedef struct {
    uint32_t api_version; /* STAPES_API_VERSION of the generated code */
    uint32_t sample_rate; /* of the 16-bit mono PCM that it wants */
    const char *name;
    const char *const *labels; /* one for each class */
    const stapes_frontend_tables_t *frontend;
    const stapes_model_t *model;
    const stapes_slide_t *slide; /* how windows share rows, NULL: they do not */
    const stapes_decision_rule_t *decision;
    const stapes_live_config_t *live;
    uint32_t memory_bytes;      /* that stapes_classifier_init wants */
    uint32_t live_memory_bytes; /* that stapes_live_init wants */
    uint16_t classes;
    uint16_t window_frames;     /* rows of a window */
    uint16_t window_hop_frames; /* rows from one window to the next */
    uint16_t open_windows;      /* that have begun and are not complete, at most */
    uint8_t stateful;           /* the network's state goes on from window to window, else each begins anew */
    uint8_t hash[32];           /* SHA-256 of the bundle's manifest */
    uint8_t frontend_hash[32];  /* and of its front-end parameters */
} stapes_bundle_t;

/* Rounds up to the alignment of uint64_t. */
#define STAPES_ALIGN(bytes) (((bytes) + 7u) & ~(size_t)7u)

/* Samples of `frames` frames. */
#define STAPES_SAMPLES(frame_length, hop_length, frames)                                                     \
    ((frame_length) + ((uint32_t)(frames)-1u) * (hop_length))

/* Windows that have begun and are not complete, at most. */
#define STAPES_OPEN_WINDOWS(frame_length, hop_length, frames, hop_frames)                                    \
    ((STAPES_SAMPLES(frame_length, hop_length, frames) + (uint32_t)(hop_frames) * (hop_length)-1u) /         \
         ((uint32_t)(hop_frames) * (hop_length)) +                                                           \
     1u)

#ifdef __cplusplus
}
#endif

#endif
