/* Reads the microphone twice and prints what it got: errors, losses, samples that are not those of their
 * place. */
#include <stdio.h>
#include <stdlib.h>

#include "audio.h"
#include "i2s.h"

#define COUNT    6000u
#define FRAMES   60000u /* more than can pass meanwhile */
#define LOST_AT  2400u
#define LOST_END 2640u

static int16_t expected[FRAMES];

int main(void) {
    stapes_i2s_t converter;
    (void)stapes_i2s_init(&converter, 2u, 0u, 0u, STAPES_GAIN_ONE);
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        uint32_t words[2] = {(frame % 65536u - 32768u) * 65536u, UINT32_MAX};
        if (frame < LOST_AT || frame >= LOST_END) {
            stapes_i2s_push(&converter, words, 1u, &expected[frame]);
        }
    }
    const stapes_audio_t *source = board_audio();
    int wrong_rate = source->start(source->context, 1000u);
    int error = source->start(source->context, 16000u);
    static int16_t pcm[COUNT];
    uint32_t count = 0, different = 0, in_gap = 0;
    while (count < COUNT) {
        size_t got = source->read(source->context, pcm, COUNT - count);
        uint32_t first = count + source->dropped(source->context);
        for (uint32_t i = 0; i < got; i++) {
            uint32_t frame = first + i;
            in_gap += frame >= LOST_AT && frame < LOST_END;
            different += frame >= FRAMES || pcm[i] != expected[frame];
        }
        count += (uint32_t)got;
    }
    uint32_t dropped = source->dropped(source->context);
    source->stop(source->context);
    int again = source->start(source->context, 8000u);
    uint32_t left = source->dropped(source->context);
    while (source->read(source->context, pcm, COUNT) == 0u) {
    }
    printf("%d %d %u %u %u %d %u\n", wrong_rate, error, (unsigned)in_gap, (unsigned)dropped,
           (unsigned)different, again, (unsigned)left);
    (void)fflush(stdout);
    exit(0);
}
