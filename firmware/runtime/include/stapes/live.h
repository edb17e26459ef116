/* Listening for ever: samples in, events out. Samples go through the front end; its rows through the network,
 * unless the silence gate is closed; the windows' scores are smoothed, decided on and turned into events.
 * docs/live.md describes every step; tools/stapes/reference/live.py is the same, line by line. */
#ifndef STAPES_LIVE_H
#define STAPES_LIVE_H

#include "stapes/decision.h"
#include "stapes/engine.h"
#include "stapes/frontend.h"
#include "stapes/slide.h"
#include "stapes/sound_level.h"

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
typedef struct {
    const stapes_frontend_tables_t *frontend;
    const stapes_model_t *model;
    const stapes_slide_t *slide; /* NULL: windows share nothing and run from scratch */
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
} stapes_live_config_t;

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
    stapes_frontend_t frontend;
    stapes_engine_t engine;
    stapes_decision_t smoothed; /* the last windows, where they vote */

    /* In the caller's memory. */
    stapes_live_class_t *events; /* one per class */
    int32_t *scores;             /* smoothed, one per class */
    int32_t *running;            /* of the exponential smoothing, Q16 */
    int8_t *history;             /* scores of the last windows */
    uint32_t *weights;           /* of the last windows */
    uint64_t *hop_squares;       /* of the last hops */
    int8_t *rows;                /* the last rows of a network that does not slide */
    int8_t *row;                 /* the newest */
    int8_t *silent;              /* the front end's row for zeros */

    uint64_t base;    /* sample at which the first frame began */
    int64_t frames;   /* since then */
    uint64_t squares; /* of the samples since the last frame was complete */
    uint32_t square_count;
    uint64_t level_squares; /* of this period of noise monitoring */
    uint32_t level_count;
    uint64_t hop_sum;  /* of this hop */
    int32_t hop_level; /* of the loudest frame since the last window */
    uint32_t dropped;  /* since the last event */
    uint64_t dropped_total;

    int64_t gate_since; /* frame from which on the network heard */
    int64_t last_loud;  /* frame */
    uint32_t quiet;     /* frames in a row */
    uint8_t gate_is_open;

    uint32_t fed;    /* rows of the next window that the network has, where it does not slide */
    uint32_t phase;  /* frames since the last window ended */
    uint8_t flowing; /* a window has ended since the network began */

    uint32_t windows; /* since the network began */
    int32_t level;    /* of the newest frame */
    int16_t decided;  /* the class of the last window, STAPES_LIVE_NONE: unknown or nothing heard */
    int16_t best;
    uint64_t windows_total;
    uint32_t worst_ticks; /* of one frame */
    uint64_t frontend_ticks, network_ticks, ticks_total;
} stapes_live_t;

#define STAPES_LIVE_ALIGN(bytes) (((bytes) + 7u) & ~(size_t)7u)
/* Bytes of state beside the front end's memory and the network's arena. `smoothing`: STAPES_DECISION_MEMORY
 * of the vote, 0 without one; `rows`: 0 for a network that slides. */
#define STAPES_LIVE_STATE_BYTES(smoothing, classes, windows, window_hops, rows, row_bytes)                   \
    (STAPES_LIVE_ALIGN(smoothing) + STAPES_LIVE_ALIGN((classes) * sizeof(stapes_live_class_t)) +             \
     STAPES_LIVE_ALIGN(8u * (classes)) + STAPES_LIVE_ALIGN((windows) * (classes)) +                          \
     STAPES_LIVE_ALIGN(4u * (windows)) + 8u * (window_hops) +                                                \
     STAPES_LIVE_ALIGN(((rows) + 2u) * (row_bytes)))

/* `memory`, aligned for uint64_t, is stapes_live_memory_bytes() long; the generated STAPES_LIVE_MEMORY_BYTES
 * is that. STAPES_E_ARGUMENT, STAPES_E_VERSION, STAPES_E_MEMORY. `sink` gets every event. */
int stapes_live_init(stapes_live_t *live, const stapes_live_config_t *config, void *memory, size_t bytes,
                     stapes_live_sink_t sink, void *context);

/* Begins a new stream at sample 0. */
void stapes_live_reset(stapes_live_t *live);

/* Takes all samples. A push of at most hop_length samples makes at most one row. */
int stapes_live_push(stapes_live_t *live, const int16_t *pcm, size_t count);

/* `count` samples are missing here. Events end, the network begins anew: no window holds the gap. */
void stapes_live_lose(stapes_live_t *live, uint32_t count);

/* Ends all events, as at the end of a recording. */
void stapes_live_flush(stapes_live_t *live);

/* Samples since the stream began, lost ones included. */
uint64_t stapes_live_samples(const stapes_live_t *live);

/* Counts what frames cost. NULL: does not. */
void stapes_live_set_ticks(stapes_live_t *live, uint32_t (*ticks)(void));

#endif
