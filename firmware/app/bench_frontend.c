/* What one frame of the front end costs, and a checksum of every row of some hard signals. Prints one line.
 * tools/stapes/bench/frontend.py makes the same signals. */
#include "print.h"
#include "stapes/frontend.h"
#include "stapes_app_frontend.h"

#define SAMPLES     2048u /* of one repetition */
#define SIGNALS     6u
#define REPETITIONS 8u

static uint64_t memory[(STAPES_APP_FRONTEND_MEMORY_BYTES + 7u) / 8u];
static stapes_frontend_t frontend;
static int16_t pcm[SAMPLES];
static uint32_t random_state = 1;

static void make(uint32_t signal) {
    for (uint32_t i = 0; i < SAMPLES; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        int32_t noise = (int32_t)(random_state >> 16) - 32768;
        int32_t value = noise;
        switch (signal) {
        case 0: break;
        case 1: value = noise >> 8; break;
        case 2: value = noise >> 15; break;
        case 3: value = (i / 37u & 1u) != 0u ? 32767 : -32768; break;
        case 4: value = i == SAMPLES / 2u ? 32767 : 0; break;
        default: value = -32768; break;
        }
        pcm[i] = (int16_t)value;
    }
}

int main(void) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    uint32_t frames = 0;
    uint32_t ticks = 0;
    board_init();
    int status =
        stapes_frontend_init(&frontend, &stapes_app_frontend, memory, STAPES_APP_FRONTEND_MEMORY_BYTES);
    for (uint32_t signal = 0; status == 0 && signal < SIGNALS; signal++) {
        for (uint32_t repetition = 0; repetition < REPETITIONS; repetition++) {
            size_t at = 0;
            make(signal);
            while (at < SAMPLES) {
                int8_t row[STAPES_APP_FRONTEND_ROW_BYTES];
                size_t consumed;
                uint32_t start = board_ticks();
                int result = stapes_frontend_push(&frontend, pcm + at, SAMPLES - at, &consumed, row);
                ticks += board_ticks() - start;
                at += consumed;
                for (size_t i = 0; result == 1 && i < sizeof row; i++) {
                    hash = (hash ^ (uint8_t)row[i]) * 16777619u;
                }
                frames += (uint32_t)result;
            }
        }
    }
    print("status ", (uint32_t)-status);
    print(" frames ", frames);
    print(" ticks ", ticks);
    print(" counter ", (uint32_t)board_info()->counter);
    print(" numerator ", board_info()->counter_numerator);
    print(" denominator ", board_info()->counter_denominator);
    print(" hash ", hash);
    print(" memory ", (uint32_t)(STAPES_APP_FRONTEND_MEMORY_BYTES + sizeof frontend));
    print(" stack ", board_stack_high_water());
    board_write((const uint8_t *)"\n", 1);
    for (;;) { /* until stopped: whoever reads may still be reading */
        uint8_t byte;
        (void)board_read(&byte, 1);
    }
}
