/* A microphone through ESP-IDF's I2S driver: microphone_i2s.c or microphone_pdm.c, see CMakeLists.txt. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stddef.h>
#include <stdint.h>

#define MICROPHONE_SAMPLES 256u /* most of one read */

/* Returns STAPES_OK or STAPES_E_HARDWARE. */
int microphone_start(uint32_t sample_rate);

/* Waits for samples; returns how many there are, 0 after a second without. `*lost` were lost before them. */
size_t microphone_read(int16_t *pcm, uint32_t *lost);

#endif
