/* Sound levels in integers: hundredths of a decibel relative to full scale. 0 is a square wave between the
 * int16 limits (mean square 2^30); a sine of full scale is -301. */
#ifndef STAPES_SOUND_LEVEL_H
#define STAPES_SOUND_LEVEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_LEVEL_SILENT (-20000) /* nothing but zeros */

/* Returns the level of `samples` samples whose squares sum to `square_sum`, rounded down. */
int32_t stapes_sound_level(uint64_t square_sum, uint32_t samples);

#ifdef __cplusplus
}
#endif

#endif
