/* Where live samples come from: one interface for microphones, converters and streams, and the buffer between
 * their interrupts and the main loop. docs/audio-sources.md describes the sources. */
#ifndef STAPES_AUDIO_H
#define STAPES_AUDIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A source of 16-bit mono samples. All functions are called from the main loop. */
typedef struct {
    /* Starts, or starts again with nothing kept. Returns STAPES_OK, STAPES_E_ARGUMENT: a sample rate that it
     * cannot give, STAPES_E_HARDWARE: a peripheral that did not start. */
    int (*start)(void *context, uint32_t sample_rate);
    /* Takes up to `capacity` samples; returns how many (0: none waiting). Never blocks. The samples of one
     * call are without a gap. */
    size_t (*read)(void *context, int16_t *pcm, size_t capacity);
    /* Returns how many samples were lost since the start and before those of the last `read`: the first of
     * these was the sample number (all samples read before it) + dropped(). */
    uint32_t (*dropped)(void *context);
    void (*stop)(void *context);
    /* Returns what the samples were multiplied by, in STAPES_GAIN_ONE (level.h); 0: not known. */
    uint32_t (*gain)(void *context);
    void *context;
} stapes_audio_t;

/* Returns the board's own source; NULL where there is none. */
const stapes_audio_t *board_audio(void);

/* A buffer with one producer (an interrupt) and one consumer (the main loop), without locks. Samples that do
 * not fit are lost and counted, and so is all that follows until the consumer has taken what was there
 * before: a loss is one gap with a known place and length, never scattered samples. */
typedef struct {
    int16_t *samples;
    uint32_t mask;
    uint32_t head;      /* samples ever written */
    uint32_t tail;      /* samples ever read */
    uint32_t lost;      /* the producer's count */
    uint32_t published; /* those of them that are before `head`; changes only while nothing waits */
    uint32_t dropped;   /* what the consumer knows of them */
} stapes_ring_t;

/* `count`: a power of two, at most 2^30. Returns STAPES_OK; STAPES_E_ARGUMENT otherwise, and for NULL. The
 * functions below do not look for NULL. */
int stapes_ring_init(stapes_ring_t *ring, int16_t *samples, size_t count);

/* Forgets all samples and losses. Not while the producer runs. */
void stapes_ring_reset(stapes_ring_t *ring);

/* Producer. Returns how many samples were kept. */
size_t stapes_ring_write(stapes_ring_t *ring, const int16_t *pcm, size_t count);

/* Producer: `count` samples were lost before they got here. */
void stapes_ring_lose(stapes_ring_t *ring, size_t count);

/* Consumer: read() of a source whose samples are in a ring; returns what that does. */
size_t stapes_ring_read(stapes_ring_t *ring, int16_t *pcm, size_t capacity);
/* Consumer: dropped() of it; returns what that does. */
uint32_t stapes_ring_dropped(const stapes_ring_t *ring);

#ifdef __cplusplus
}
#endif

#endif
