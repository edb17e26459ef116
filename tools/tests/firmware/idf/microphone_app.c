/* Reads the microphone twice and prints what it got: sample count, losses, whether it equals the conversion.
 */
#include <stdio.h>
#include <stdlib.h>

#include "audio.h"
#include "i2s.h"

#define COUNT 6000u
#define LOST  240u

static int16_t pcm[COUNT];

int main(void) {
    const stapes_audio_t *source = board_audio();
    int wrong_rate = source->start(source->context, 1000u);
    int error = source->start(source->context, 16000u);
    size_t count = 0, gap = 0;
    while (count < COUNT) {
        size_t got = source->read(source->context, pcm + count, COUNT - count);
        if (got != 0u && gap == 0u && source->dropped(source->context) != 0u) {
            gap = count;
        }
        count += got;
    }
    uint32_t dropped = source->dropped(source->context);
    stapes_i2s_t expected;
    (void)stapes_i2s_init(&expected, 2u, 0u, 0u, STAPES_GAIN_ONE);
    uint32_t different = 0;
    for (uint32_t i = 0, frame = 0; i < COUNT; i++, frame++) {
        frame += i == gap ? LOST : 0u;
        uint32_t words[2] = {(frame % 65536u - 32768u) * 65536u, UINT32_MAX};
        int16_t sample;
        stapes_i2s_push(&expected, words, 1u, &sample);
        different += sample != pcm[i];
    }
    source->stop(source->context);
    int again = source->start(source->context, 8000u);
    uint32_t left = source->dropped(source->context);
    while ((count = source->read(source->context, pcm, COUNT)) == 0u) {
    }
    printf("%d %d %u %u %u %d %u\n", wrong_rate, error, (unsigned)gap, (unsigned)dropped, (unsigned)different,
           again, (unsigned)left);
    (void)fflush(stdout);
    exit(0);
}
