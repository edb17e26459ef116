/* What this example wants of a board: an I2S microphone whose DMA fills a buffer in a circle. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stddef.h>
#include <stdint.h>

#include "stapes_audio/i2s.h"

#define MICROPHONE_GAIN (16u * STAPES_GAIN_ONE) /* an INMP441 and its like are quiet */

/* Yours: starts the DMA, which fills `words` again and again with frames of two 32-bit slots, left first.
 * Returns 0, or anything else where that failed. */
int microphone_start(uint32_t *words, size_t count, uint32_t sample_rate);

/* Yours: sleeps until an interrupt (__WFI on a Cortex-M). */
void microphone_wait(void);

/* main.c's: the DMA's interrupt calls the first when half of `words` is full, the second at their end. With
 * STM32's HAL these are HAL_I2S_RxHalfCpltCallback and HAL_I2S_RxCpltCallback. Where a cache lies between,
 * invalidate the half first. */
void microphone_half_complete(void);
void microphone_complete(void);

#endif
