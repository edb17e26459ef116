/* The stand-in for a microphone of a board that only an emulator has: raw samples in a file of the
 * computer's, `stapes-microphone=FILE` on the emulator's command line. The clock is the emulator's. */
#include "board.h"
#include "common/sampled.h"
#include "semihosting/semihosting.h"

#define ARGUMENT "stapes-microphone"

static int file = -1;
static uint32_t last;      /* ticks */
static uint64_t due, rest; /* samples, and what is left of the division */

uint32_t sampled_speed(void) {
    return 1u;
}

int sampled_open(void) {
    char name[SEMIHOSTING_ARGUMENT];
    if (file < 0 && semihosting_argument(ARGUMENT, name, sizeof name)) {
        file = semihosting_open(name);
    }
    last = board_ticks();
    due = 0;
    rest = 0;
    return file >= 0 && semihosting_rewind(file);
}

size_t sampled_take(int16_t *pcm, size_t count) {
    size_t bytes = semihosting_read_file(file, pcm, count * sizeof *pcm);
    if (bytes < sizeof *pcm && semihosting_rewind(file)) {
        bytes = semihosting_read_file(file, pcm, count * sizeof *pcm);
    }
    return bytes / sizeof *pcm;
}

uint64_t sampled_due(uint32_t sample_rate) {
    const uint32_t now = board_ticks();
    const uint32_t per_second = board_info()->ticks_per_second;
    rest += (uint64_t)(now - last) * sample_rate;
    last = now;
    due += rest / per_second;
    rest %= per_second;
    return due;
}

const stapes_audio_t *board_audio(void) {
    char name[SEMIHOSTING_ARGUMENT];
    return semihosting_argument(ARGUMENT, name, sizeof name) ? sampled_audio() : NULL;
}
