/* The host's stand-in for a microphone: raw samples in the file $STAPES_HOST_MICROPHONE, heard
 * $STAPES_HOST_SPEED times as fast as they sound. Without it the host has none. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 600

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/sampled.h"

static int file = -1;
static off_t place; /* of the next sample; an inherited file may share its own place with others */
static struct timespec begin;

uint32_t sampled_speed(void) {
    const char *text = getenv("STAPES_HOST_SPEED");
    const long speed = text != NULL ? strtol(text, NULL, 10) : 1;
    return speed < 1 ? 1u : speed > (long)SAMPLED_FASTEST ? SAMPLED_FASTEST : (uint32_t)speed;
}

int sampled_open(void) {
    if (file < 0) {
        file = open(getenv("STAPES_HOST_MICROPHONE"), O_RDONLY | O_CLOEXEC);
    }
    place = 0;
    return file >= 0 && clock_gettime(CLOCK_MONOTONIC, &begin) == 0;
}

size_t sampled_take(int16_t *pcm, size_t count) {
    ssize_t bytes = pread(file, pcm, count * sizeof *pcm, place);
    if (bytes < (ssize_t)sizeof *pcm && place != 0) {
        place = 0;
        bytes = pread(file, pcm, count * sizeof *pcm, place);
    }
    const size_t taken = bytes > 0 ? (size_t)bytes / sizeof *pcm : 0u;
    place += (off_t)(taken * sizeof *pcm);
    return taken;
}

uint64_t sampled_due(uint32_t sample_rate) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t rate = (uint64_t)sample_rate * sampled_speed();
    const int64_t seconds = (int64_t)now.tv_sec - begin.tv_sec;
    const int64_t nanoseconds = (int64_t)now.tv_nsec - begin.tv_nsec;
    return (uint64_t)(seconds * (int64_t)rate + nanoseconds * (int64_t)rate / 1000000000);
}

const stapes_audio_t *board_audio(void) {
    return getenv("STAPES_HOST_MICROPHONE") != NULL ? sampled_audio() : NULL;
}
