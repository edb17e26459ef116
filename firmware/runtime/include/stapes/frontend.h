/* The front end: 16-bit PCM in, int8 log-mel rows out. docs/front-end.md is its specification. */
#ifndef STAPES_FRONTEND_H
#define STAPES_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct stapes_frontend stapes_frontend_t;

/* One band: the bins of its falling side, what is added to its power, how its logarithm becomes int8. */
typedef struct {
    uint32_t count; /* bins between its centre and its upper corner */
    uint32_t floor;
    int32_t gain; /* int8 steps per octave, Q24 */
    int32_t bias; /* int8 steps, Q16 */
} stapes_band_t;

/* How one MFCC or PCEN value becomes int8. */
typedef struct {
    int32_t gain; /* int8 steps per unit, Q20 */
    int32_t bias; /* int8 steps, Q16 */
} stapes_output_t;

/* Constants of per-channel energy normalisation; see frontend_pcen.c. */
typedef struct {
    uint32_t smoothing;        /* Q32 */
    uint32_t gain;             /* Q30 */
    uint32_t power;            /* Q30 */
    uint32_t bias_power;       /* Q24 */
    uint64_t bias;             /* Q32 */
    const uint64_t *eps;       /* Q40, one per band */
    const int32_t *offset;     /* Q24, one per band */
    const uint32_t *exp_table; /* Q30, 129 entries */
} stapes_pcen_t;

/* Constants of the micro front end; see frontend_micro.c. */
typedef struct {
    const int16_t *window;     /* Q12, frame_length */
    const uint32_t *twiddles;  /* Q15, cos in the low half, -sin in the high one, n_fft / 4 + 1 times */
    const uint8_t *counts;     /* bins between the corners of bands, n_mels + 1 */
    const uint16_t *weights;   /* Q12, of the falling side, one per bin */
    const int16_t *gains;      /* of noise 0 and 1, then three for each power of two */
    const uint16_t *log_table; /* Q16, 129 entries */
    uint16_t shares[2];        /* Q14, of a new value in the noise of even and odd bands */
    uint16_t least;            /* Q14, of a band that remains */
    int32_t gain;              /* int8 steps per step of the logarithm, Q28 */
    int32_t bias;              /* int8 steps, Q16 */
} stapes_micro_t;

/* Constants of one front end; generated. Every table is described in docs/front-end.md. Functions are those
 * that this front end needs, so that the linker leaves out the others. */
typedef struct {
    uint16_t frame_length; /* samples that the window covers */
    uint16_t hop_length;
    uint16_t n_fft;
    uint16_t n_mels;
    uint16_t bins;           /* of memory: n_fft / 2, and n_mels more where bands cannot replace them */
    uint16_t mel_place;      /* of the first band among the bins */
    uint16_t first_bin;      /* first bin with a weight */
    uint16_t first_count;    /* bins between the first band's lower corner and its centre */
    uint8_t max_exponent;    /* a larger one would make the floor overflow */
    uint8_t exponent_factor; /* how often a frame's exponent is in a band: 2 in powers, 1 in magnitudes */
    uint8_t floor_clamp;     /* the floor is a lower bound rather than an offset */
    int16_t floor_shift;     /* of the entries of `floor` */
    const int32_t *window;   /* Q31, first half and middle */
    const int32_t *twiddles; /* Q31, cos and sin of 1, 2, 3 times the angle, n_fft / 8 times */
    const int32_t *split_twiddles; /* Q31, cos and sin, n_fft / 4 times */
    const uint32_t *weights;       /* Q32, one per bin */
    const stapes_band_t *bands;
    const int32_t *log_table; /* Q24, 129 entries */
    /* What only some front ends have; see the files of the functions below. */
    uint16_t emphasis;             /* Q15 */
    uint8_t pcen_shift;            /* of band powers to Q40, plus 64 */
    uint8_t dct_bits;              /* fractional bits of `dct` */
    uint16_t n_features;           /* values in a row */
    uint16_t state_place;          /* of the first smoothed band among the bins */
    uint32_t reciprocal;           /* of frame_length, Q31; 0: the mean stays */
    const int32_t *dct;            /* n_features rows of n_mels */
    const stapes_output_t *output; /* n_features, where they are not bands */
    const stapes_pcen_t *pcen;
    const stapes_micro_t *micro;
    /* Turns the frame into a row: stapes_frontend_mel, by the three functions below, or
     * stapes_frontend_micro. */
    void (*make_row)(stapes_frontend_t *frontend, int8_t *row);
    /* Windows the frame into `bins` and does the first stage; returns the length of the partial transforms.
     */
    uint32_t (*load)(const stapes_frontend_t *frontend, uint32_t exponent);
    /* Turns powers into magnitudes; NULL: they stay. */
    void (*magnitude)(const stapes_frontend_t *frontend);
    /* Turns band powers, which hold 2^exponent, into a row. */
    void (*finish)(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row);
} stapes_frontend_tables_t;

/* The functions that tables name. */
void stapes_frontend_mel(stapes_frontend_t *frontend, int8_t *row);
void stapes_frontend_micro(stapes_frontend_t *frontend, int8_t *row);
/* Returns what `load` does, for frames as long as the transform, whose half is a power of four. */
uint32_t stapes_frontend_load_full(const stapes_frontend_t *frontend, uint32_t exponent);
/* Returns what `load` does, for any frames and transforms. */
uint32_t stapes_frontend_load_any(const stapes_frontend_t *frontend, uint32_t exponent);
/* Returns what `load` does, for any, with pre-emphasis or without the mean. */
uint32_t stapes_frontend_load_conditioned(const stapes_frontend_t *frontend, uint32_t exponent);
void stapes_frontend_magnitude(const stapes_frontend_t *frontend);
void stapes_frontend_log(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row);
void stapes_frontend_mfcc(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row);
void stapes_frontend_pcen(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row);
void stapes_frontend_values(stapes_frontend_t *frontend, uint32_t exponent, int8_t *row);

/* A bin of the spectrum, and later its power in the same place. */
typedef union {
    struct {
        int32_t re;
        int32_t im;
    } z;
    uint64_t power;
} stapes_bin_t;

struct stapes_frontend {
    const stapes_frontend_tables_t *tables;
    stapes_bin_t *bins;
    uint64_t *mel;    /* band powers, in the place of bins that are no longer needed */
    int16_t *frame;   /* frame_length samples */
    uint16_t filled;  /* of these */
    int16_t previous; /* sample before them */
    uint8_t started;  /* the smoothed bands hold a frame */
};

/* Bytes of caller-owned memory, aligned for uint64_t. The generated
 * STAPES_<NAME>_FRONTEND_MEMORY_BYTES is this. */
#define STAPES_FRONTEND_MEMORY(frame_length, bins) (8u * (bins) + 2u * (frame_length))

/* Returns STAPES_OK; STAPES_E_ARGUMENT for a NULL pointer, STAPES_E_MEMORY for a buffer that is too small or
 * misaligned. */
int stapes_frontend_init(stapes_frontend_t *frontend, const stapes_frontend_tables_t *tables, void *memory,
                         size_t bytes);

/* Forgets all samples. Returns STAPES_OK; STAPES_E_ARGUMENT for NULL. */
int stapes_frontend_reset(stapes_frontend_t *frontend);

/* Takes up to `count` samples and says in `*consumed` how many. Stops and returns 1 when a row of n_features
 * values was written to `row`; returns 0 when all samples were taken and no row is complete. Any way of
 * cutting the samples into pushes gives the same rows. STAPES_E_ARGUMENT for NULL, STAPES_E_STATE before
 * a successful init (of a structure that is all zeros). */
int stapes_frontend_push(stapes_frontend_t *frontend, const int16_t *pcm, size_t count, size_t *consumed,
                         int8_t *row);

/* How a window that is normalised by its own mean and standard deviation becomes int8. */
typedef struct {
    uint64_t numerator; /* 2^45 over the scale */
    int16_t zero_point;
} stapes_window_output_t;

/* Normalises a window of logarithms: `count` (at most 2^19) int32 values as a front end generated for values
 * writes them, row after row. A window that hardly varies becomes zero points. Returns STAPES_OK;
 * STAPES_E_ARGUMENT for NULL or a bad count. */
int stapes_window_normalize(const stapes_window_output_t *output, const int32_t *values, uint32_t count,
                            int8_t *features);

#ifdef __cplusplus
}
#endif

#endif
