/* A sampled file behind the microphone's interface, for the host and for emulators: 16-bit samples, heard at
 * the pace of the board's clock, again and again. As with a microphone, what nobody reads in a quarter of a
 * second is lost; where it is faster than the clock, it waits for its reader instead. */
#ifndef STAPES_SAMPLED_H
#define STAPES_SAMPLED_H

#include "audio.h"

/* The source; the board's own functions below are its file and its clock. */
const stapes_audio_t *sampled_audio(void);

/* Opens the file, or begins anew; 0: it cannot be read. Time begins. */
int sampled_open(void);
/* Takes the next samples of the file, those at its beginning after its end; returns how many. */
size_t sampled_take(int16_t *pcm, size_t count);
/* Returns how many samples came since sampled_open() at `sample_rate` Hz. */
uint64_t sampled_due(uint32_t sample_rate);
/* How many times as fast as the clock the file is heard: 1 to SAMPLED_FASTEST. */
uint32_t sampled_speed(void);

#define SAMPLED_FASTEST 1000u

#endif
