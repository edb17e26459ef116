/* What one PCM sample costs from each kind of microphone, and a checksum of all samples. Prints one line.
 * tools/stapes/bench/audio.py reads it. */
#include "adc.h"
#include "i2s.h"
#include "pdm.h"
#include "print.h"

#define SAMPLES 16u /* of PCM in a block: a millisecond */
#define BLOCKS  200u

static union {
    uint16_t halves[SAMPLES * 8u];
    uint32_t words[SAMPLES * 2u];
} raw;

static union {
    stapes_pdm_t pdm;
    stapes_i2s_t i2s;
    stapes_adc_t adc;
} state;

static int16_t table[STAPES_PDM_TABLE(128u)];
static int16_t pcm[SAMPLES + 1u];
static uint32_t hash, status;

static void make(void) {
    static uint32_t random_state = 1;
    for (uint32_t i = 0; i < sizeof raw.words / sizeof *raw.words; i++) {
        random_state = random_state * 1664525u + 1013904223u;
        raw.words[i] = random_state ^ random_state >> 15;
    }
    for (uint32_t i = sizeof raw.words / sizeof *raw.halves; i < sizeof raw.halves / sizeof *raw.halves;
         i++) {
        random_state = random_state * 1664525u + 1013904223u;
        raw.halves[i] = (uint16_t)(random_state >> 16);
    }
}

static size_t push_pdm(void) {
    return stapes_pdm_push(&state.pdm, raw.halves, SAMPLES * state.pdm.bytes * 4u, pcm);
}

static size_t push_i2s(void) {
    stapes_i2s_push(&state.i2s, raw.words, SAMPLES, pcm);
    return SAMPLES;
}

static size_t push_adc(void) {
    return stapes_adc_push(&state.adc, raw.halves, SAMPLES * 8u, pcm);
}

static void bench(const char *label, int error, size_t (*push)(void)) {
    uint32_t ticks = 0;
    status |= (uint32_t)-error;
    for (uint32_t block = 0; error == 0 && block < BLOCKS; block++) {
        make();
        const uint32_t start = board_ticks();
        const size_t count = push();
        ticks += board_ticks() - start;
        status |= count != SAMPLES;
        for (size_t i = 0; i < count; i++) {
            hash = (hash ^ (uint16_t)pcm[i]) * 16777619u; /* FNV-1a, of halves */
        }
    }
    print(label, ticks);
}

int main(void) {
    board_init();
    hash = 2166136261u;
    bench("pdm64 ", stapes_pdm_init(&state.pdm, 64, 1000, table), push_pdm);
    bench(" pdm128 ", stapes_pdm_init(&state.pdm, 128, 1000, table), push_pdm);
    bench(" i2s ", stapes_i2s_init(&state.i2s, 2, 0, 1, 1000), push_i2s);
    bench(" adc8 ", stapes_adc_init(&state.adc, 8, 1000), push_adc);
    print(" samples ", SAMPLES * BLOCKS);
    print(" status ", status);
    print(" counter ", (uint32_t)board_info()->counter);
    print(" numerator ", board_info()->counter_numerator);
    print(" denominator ", board_info()->counter_denominator);
    print(" hash ", hash);
    board_write((const uint8_t *)"\n", 1);
    for (;;) { /* until stopped: whoever reads may still be reading */
        uint8_t byte;
        (void)board_read(&byte, 1);
    }
}
