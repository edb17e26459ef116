/* Listening for ever: samples in, events out. Samples go through the front end; its rows through the network,
 * unless the silence gate is closed; the windows' scores are smoothed, decided on and turned into events.
 * docs/live.md describes every step; tools/stapes/reference/live.py is the same, line by line. */
#ifndef STAPES_LIVE_H
#define STAPES_LIVE_H

#include "stapes/classifier.h"
#include "stapes/sound_level.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_LIVE_NONE (-1)

typedef enum {
    STAPES_LIVE_BEGIN = 0, /* an event has lasted as long as it must; start, score, level so far */
    STAPES_LIVE_END = 1,   /* the whole event */
    STAPES_LIVE_LEVEL = 2, /* energy average of a period of noise monitoring */
    STAPES_LIVE_GAP = 3    /* samples from start to end were lost */
} stapes_live_kind_t;

typedef struct {
    uint64_t start, end; /* samples since the stream began, lost ones included */
    int32_t score;       /* the highest smoothed score, in 1/256 steps above the zero point */
    int32_t level;       /* see stapes/sound_level.h: of the loudest hop of the event; of the period */
    uint32_t dropped;    /* samples lost since the event before this one */
    int16_t class_index; /* or STAPES_LIVE_NONE */
    uint8_t kind;
} stapes_live_event_t;

/* Scores are smoothed scores in 1/256 steps, durations are in frames. */
struct stapes_live_config {
    /* The vote of the last `windows` windows; NULL: a step of `factor` towards each window's scores. */
    const stapes_decision_rule_t *smoothing;
    const int32_t *on;      /* by class: an event begins at this score */
    const int32_t *off;     /* and ends below this one */
    int32_t margin;         /* least distance of the best class from the second */
    uint32_t level_samples; /* period of noise monitoring, 0: none */
    uint32_t gate_hold;     /* quiet frames after which the gate closes */
    uint32_t minimum, merge, refractory;
    uint32_t start_lag, end_lag;   /* before the ends of an event's first and last window */
    int32_t gate_open, gate_close; /* levels */
    uint16_t hop;                  /* from one window to the next */
    uint16_t window_hops;          /* hops that a window's energy covers */
    uint16_t classes;
    int16_t zero_point;
    int16_t other;       /* a class that is never reported, or STAPES_LIVE_NONE */
    uint16_t factor;     /* of the exponential smoothing, Q15 */
    uint8_t windows;     /* that are smoothed over */
    uint8_t has_gate;    /* 0: the network always runs */
    uint8_t multi_label; /* 0: at most one class at a time */
};

typedef enum {
    STAPES_LIVE_IDLE = 0,
    STAPES_LIVE_ACTIVE = 1,
    STAPES_LIVE_ENDED = 2 /* may still be continued */
} stapes_live_state_t;

/* One class's event. */
typedef struct {
    int64_t start, end; /* frames */
    int64_t free_from;  /* no event may begin before */
    int32_t score, level;
    uint8_t state;
    uint8_t announced;
} stapes_live_class_t;

typedef void (*stapes_live_sink_t)(void *context, const stapes_live_event_t *event);

typedef struct {
    const stapes_live_config_t *config;
    stapes_live_sink_t sink;
    void *context;
    uint32_t (*ticks)(void);
    stapes_classifier_t classifier;
    stapes_decision_t smoothed; /* the last windows, where they vote */

    /* In the caller's memory. */
    stapes_live_class_t *events; /* one per class */
    int32_t *scores;             /* smoothed, one per class */
    int32_t *running;            /* of the exponential smoothing, Q16 */
    int8_t *history;             /* scores of the last windows */
    uint32_t *weights;           /* of the last windows */
    uint64_t *hop_squares;       /* of the last hops */
    int8_t *silent;              /* the front end's row for zeros */

    uint64_t base;           /* sample at which the first frame began */
    int64_t frames;          /* since then */
    uint64_t squares_before; /* the classifier's when the last frame was complete */
    uint32_t square_count;   /* samples since then */
    uint64_t level_squares;  /* of this period of noise monitoring */
    uint32_t level_count;
    uint64_t hop_sum;  /* of this hop */
    int32_t hop_level; /* of the loudest frame since the last window */
    uint32_t dropped;  /* since the last event */
    uint64_t dropped_total;

    int64_t gate_since; /* frame from which on the network heard */
    int64_t last_loud;  /* frame */
    uint32_t quiet;     /* frames in a row */
    uint8_t gate_is_open;

    uint32_t windows; /* since the network began */
    int32_t level;    /* of the newest frame */
    int16_t decided;  /* the class of the last window, STAPES_LIVE_NONE: unknown or nothing heard */
    int16_t best;
    uint64_t windows_total;
    uint32_t worst_ticks; /* of one frame */
    uint64_t ticks_total;
} stapes_live_t;

/* Bytes of memory; the generated STAPES_<NAME>_LIVE_MEMORY_BYTES is this. `smoothing`: STAPES_DECISION_MEMORY
 * of the vote, 0 without one. */
#define STAPES_LIVE_MEMORY(classifier_bytes, smoothing, classes, windows, window_hops, row_bytes)            \
    (STAPES_ALIGN(classifier_bytes) + STAPES_ALIGN(smoothing) +                                              \
     STAPES_ALIGN((classes) * sizeof(stapes_live_class_t)) + STAPES_ALIGN(8u * (classes)) +                  \
     STAPES_ALIGN((windows) * (classes)) + STAPES_ALIGN(4u * (windows)) + 8u * (window_hops) +               \
     STAPES_ALIGN(row_bytes))

/* `memory`, aligned for uint64_t, is at least bundle->live_memory_bytes long. Returns STAPES_OK,
 * STAPES_E_ARGUMENT, STAPES_E_VERSION or STAPES_E_MEMORY. `sink` gets every event.
 *
 * All functions that return an error return STAPES_E_ARGUMENT for NULL and STAPES_E_STATE before a successful
 * init (of a structure that is all zeros). */
int stapes_live_init(stapes_live_t *live, const stapes_bundle_t *bundle, void *memory, size_t bytes,
                     stapes_live_sink_t sink, void *context);

/* Begins a new stream at sample 0. Returns STAPES_OK or an error. */
int stapes_live_reset(stapes_live_t *live);

/* Takes all samples. A push of at most hop_length samples makes at most one row. Returns STAPES_OK or
 * an error. */
int stapes_live_push(stapes_live_t *live, const int16_t *pcm, size_t count);

/* `count` samples are missing here. Events end, the network begins anew: no window holds the gap.
 * Returns STAPES_OK or an error. */
int stapes_live_lose(stapes_live_t *live, uint32_t count);

/* Ends all events, as at the end of a recording. Returns STAPES_OK or an error. */
int stapes_live_flush(stapes_live_t *live);

/* Returns the samples since the stream began, lost ones included; 0 before init. */
uint64_t stapes_live_samples(const stapes_live_t *live);

/* Counts what frames cost; `ticks` NULL: does not. Returns STAPES_OK or an error. */
int stapes_live_set_ticks(stapes_live_t *live, uint32_t (*ticks)(void));

#ifdef __cplusplus
}
#endif

#endif
