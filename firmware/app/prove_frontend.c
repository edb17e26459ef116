/* Answers what `stapes prove` asks about a front end, so that what it shows holds for the code and the tables
 * of this target. tools/stapes/proof/frontend_device.py is the other end; prove.h says what a request is.
 *
 *   F  settings, and which functions make rows
 *   M  one table
 *   L  every mantissa between two points of the logarithm's table
 *   N  logarithms of given values
 *   K  rounded products of given numbers
 *   G  the exponent of a frame
 *   P  samples to rows */
#include "../runtime/src/frontend_log.h"
#include "prove.h"
#include "stapes_app_frontend.h"

/* For its exponents. */
#define stapes_frontend_mel mel_here
#include "../runtime/src/frontend_mel.c"
#undef stapes_frontend_mel

enum {
#define TABLE(name, value, text) name = (value),
#include "prove.def"
};

/* As the runtime is compiled, and not for small size: it runs 2^31 times. */
#if defined(__GNUC__) && !defined(__clang__)
#define STAPES_FAST __attribute__((optimize("O2")))
#else
#define STAPES_FAST
#endif

static uint64_t memory[(STAPES_APP_FRONTEND_MEMORY_BYTES + 7u) / 8u];
static stapes_frontend_t frontend;

static void write_word(uint32_t value) {
    uint8_t bytes[4];
    put(bytes, value);
    board_write(bytes, sizeof bytes);
}

/* Each setting; then the number of the function that loads a frame, of the one that finishes a row, and
 * whether there are magnitudes. */
static void settings(void) {
    const stapes_frontend_tables_t *t = &stapes_app_frontend;
    const uint32_t values[] = {
#define SETTING(name, value, text) (uint32_t) t->name,
#include "prove.def"
    };
    begin_answer(0, sizeof values + 12u);
    for (uint32_t i = 0; i < sizeof values / sizeof *values; i++) {
        write_word(values[i]);
    }
    write_word(t->load == stapes_frontend_load_any           ? 0u
               : t->load == stapes_frontend_load_full        ? 1u
               : t->load == stapes_frontend_load_conditioned ? 2u
                                                             : 255u);
    write_word(t->finish == stapes_frontend_log    ? 0u
               : t->finish == stapes_frontend_mfcc ? 1u
               : t->finish == stapes_frontend_pcen ? 2u
                                                   : 255u);
    write_word(t->magnitude == stapes_frontend_magnitude);
}

static uint32_t bin_count(void) {
    uint32_t count = stapes_app_frontend.first_count;
    for (uint32_t i = 0; i < stapes_app_frontend.n_mels; i++) {
        count += stapes_app_frontend.bands[i].count;
    }
    return count;
}

static void table(void) {
    const stapes_frontend_tables_t *t = &stapes_app_frontend;
    const uint32_t number = get(1);
    const uint32_t counts[] = {t->frame_length / 2u + 1u,
                               6u * (t->n_fft / 8u),
                               t->n_fft / 2u,
                               bin_count(),
                               4u * t->n_mels,
                               129u,
                               2u * t->n_features,
                               (uint32_t)t->n_features * t->n_mels};
    const int32_t *words[] = {t->window, t->twiddles, t->split_twiddles, NULL, NULL, t->log_table,
                              NULL,      t->dct};
    uint32_t count = number < sizeof counts / sizeof *counts ? counts[number] : 0u;
    if ((number == DCT && t->dct == NULL) || (number == OUTPUT && t->output == NULL)) {
        count = 0;
    }
    begin_answer(0, 4u * count);
    for (uint32_t i = 0; i < count; i++) {
        if (number == WEIGHTS) {
            write_word(t->weights[i]);
        } else if (number == BANDS) {
            const stapes_band_t *band = &t->bands[i / 4u];
            const uint32_t numbers[] = {band->count, band->floor, (uint32_t)band->gain, (uint32_t)band->bias};
            write_word(numbers[i % 4u]);
        } else if (number == OUTPUT) {
            write_word((uint32_t)(i % 2u == 0u ? t->output[i / 2u].gain : t->output[i / 2u].bias));
        } else {
            write_word((uint32_t)words[number][i]);
        }
    }
}

/* Both halves of a value come from elsewhere: nothing of the logarithm is left out because they are known. */
static inline int32_t logarithm(uint32_t high, uint32_t low, const int32_t *points) {
#if defined(__GNUC__)
    __asm__ volatile("" : "+r"(high), "+r"(low));
#endif
    return fixed_log2((uint64_t)high << 32 | low, points, 0);
}

/* All 2^24 mantissas behind point `index`: base + slope * rest / 2^24, rounded down, counted up and not
 * multiplied. Base and slope are the request's. The answer is how many differ, the first that does, and what
 * it gives. */
STAPES_FAST static void logarithms(void) {
    const int32_t *points = stapes_app_frontend.log_table;
    const uint32_t index = get(1), base = get(4), slope = get(4);
    uint32_t expected = base, fraction = 0, wrong = 0, first = 0, given = 0;
    for (uint32_t rest = 0; rest < 1u << 24; rest++) {
        const uint32_t mantissa = 0x80000000u | index << 24 | rest;
        const uint32_t got = (uint32_t)logarithm(mantissa, 0, points);
        if (got != expected) {
            first = wrong == 0u ? mantissa : first;
            given = wrong == 0u ? got : given;
            wrong++;
        }
        fraction += slope;
        expected += fraction >> 24;
        fraction &= 0xFFFFFFu;
    }
    begin_answer(0, 12);
    write_word(wrong);
    write_word(first);
    write_word(given);
}

static void given_logarithms(void) {
    const uint32_t count = get(2);
    begin_answer(0, 4u * (size_t)count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t low = get(4), high = get(4);
        write_word((uint32_t)logarithm(high, low, stapes_app_frontend.log_table));
    }
}

/* Of triples of x, y and a sum: the product, the sum and it, the sum less it. */
static void given_products(void) {
    const uint32_t count = get(2);
    begin_answer(0, 12u * (size_t)count);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t x = (int32_t)get(4), y = (int32_t)get(4), sum = (int32_t)get(4);
        write_word((uint32_t)multiply_high(x, y));
        write_word((uint32_t)multiply_high_add(sum, x, y));
        write_word((uint32_t)multiply_high_subtract(sum, x, y));
    }
}

/* Of a frame, and of the sample before it. */
static void exponent(void) {
    (void)stapes_frontend_init(&frontend, &stapes_app_frontend, memory, STAPES_APP_FRONTEND_MEMORY_BYTES);
    frontend.previous = (int16_t)get(2);
    for (uint32_t i = 0; i < stapes_app_frontend.frame_length; i++) {
        frontend.frame[i] = (int16_t)get(2);
    }
    begin_answer(0, 4);
    write_word(frame_exponent(&frontend));
}

/* Whether it begins again, the number of samples, they. The answer is all rows that are complete. */
static void push(void) {
    const uint32_t begins = get(1), count = get(2);
    const uint32_t most = count / stapes_app_frontend.hop_length + 1u;
    int16_t *samples = take(count * sizeof *samples);
    int8_t *rows = take((size_t)most * STAPES_APP_FRONTEND_ROW_BYTES);
    uint32_t made = 0;
    if (samples == NULL || rows == NULL) {
        answer(NO_ROOM, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        samples[i] = (int16_t)get(2);
    }
    if (begins != 0u) {
        (void)stapes_frontend_init(&frontend, &stapes_app_frontend, memory, STAPES_APP_FRONTEND_MEMORY_BYTES);
    }
    for (size_t at = 0, consumed = 0; at < count; at += consumed) {
        if (stapes_frontend_push(&frontend, samples + at, count - at, &consumed,
                                 rows + (size_t)made * STAPES_APP_FRONTEND_ROW_BYTES) == 1) {
            made++;
        }
    }
    answer(0, rows, (size_t)made * STAPES_APP_FRONTEND_ROW_BYTES);
}

static void serve(uint8_t letter) {
    if (letter == 'F') {
        settings();
    } else if (letter == 'M') {
        table();
    } else if (letter == 'L') {
        logarithms();
    } else if (letter == 'N') {
        given_logarithms();
    } else if (letter == 'K') {
        given_products();
    } else if (letter == 'G') {
        exponent();
    } else if (letter == 'P') {
        push();
    } else {
        answer(NOT_THERE, NULL, 0);
    }
}

int main(void) {
    serve_requests();
}
