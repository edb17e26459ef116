/* The micro front end, bit for bit as TensorFlow Lite Micro's: a transform of 16 bits, magnitudes of bands,
 * noise reduction, gain control (PCAN), a logarithm. tools/stapes/features/micro.py is the same in NumPy. */
#include <string.h>

#include "frontend_math.h"
#include "stapes/frontend.h"

#define HALF            256u /* length of the complex transform */
#define WINDOW_BITS     12
#define QUARTER         (32767 / 4)
#define MIDDLE          (32767 / 2)
#define WEIGHT_BITS     12
#define SMOOTHING_BITS  10
#define SHARE_BITS      14
#define SNR_SHIFT       6
#define CORRECTION_BITS 3
#define LN2             45426u /* Q16 */
#define VALUE_BITS      20

/* Bins are words: the real part in the low half, the imaginary one in the high half. So are turns, cos and
 * -sin in Q15. No value here needs more than 16 bits but where it is said: a quarter of each sum is kept, and
 * so is the bound that window and shift give. */
typedef struct {
    int32_t re, im;
} wide_t;

#define ROUND (1 << 14)

static inline uint32_t pack(int32_t re, int32_t im) {
#if STAPES_ARM_DSP
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(re), "r"(im));
    return result;
#else
    return (uint32_t)(uint16_t)re | (uint32_t)im << 16;
#endif
}

/* Both halves times `factor`, which is 32767 over the number of values that are added up. */
static inline wide_t scaled(uint32_t z, int32_t factor) {
    wide_t result;
#if STAPES_ARM_DSP
    __asm__("smlabb %0, %1, %2, %3" : "=r"(result.re) : "r"(z), "r"(factor), "r"(ROUND));
    __asm__("smlatb %0, %1, %2, %3" : "=r"(result.im) : "r"(z), "r"(factor), "r"(ROUND));
#else
    result.re = (int16_t)z * factor + ROUND;
    result.im = ((int32_t)z >> 16) * factor + ROUND;
#endif
    result.re >>= 15;
    result.im >>= 15;
    return result;
}

static inline wide_t turned(wide_t z, uint32_t turn) {
    wide_t result;
#if STAPES_ARM_DSP
    uint32_t packed = pack(z.re, z.im);
    __asm__("smlsd %0, %1, %2, %3" : "=r"(result.re) : "r"(packed), "r"(turn), "r"(ROUND));
    __asm__("smladx %0, %1, %2, %3" : "=r"(result.im) : "r"(packed), "r"(turn), "r"(ROUND));
#else
    int32_t cos = (int16_t)turn, sin = (int32_t)turn >> 16;
    result.re = z.re * cos - z.im * sin + ROUND;
    result.im = z.re * sin + z.im * cos + ROUND;
#endif
    result.re >>= 15;
    result.im >>= 15;
    return result;
}

/* A turn by a right angle more. */
static inline uint32_t right_angle(uint32_t turn) {
    return pack((int32_t)turn >> 16, -(int16_t)turn);
}

/* Turn `place` of 512; the table has the first quarter. */
static uint32_t turn_at(const uint32_t *twiddles, uint32_t place) {
    uint32_t turn = twiddles[place % (HALF / 2u)];
    for (; place >= HALF / 2u; place -= HALF / 2u) {
        turn = right_angle(turn);
    }
    return turn;
}

/* Four bins `step` apart, of which the last three have been turned. */
static inline void butterfly(uint32_t *z, uint32_t step, wide_t a, wide_t b, wide_t c, wide_t d) {
    wide_t even = {a.re + c.re, a.im + c.im}, odd = {a.re - c.re, a.im - c.im};
    wide_t side = {b.re + d.re, b.im + d.im}, cross = {b.re - d.re, b.im - d.im};
    z[0] = pack(even.re + side.re, even.im + side.im);
    z[step] = pack(odd.re + cross.im, odd.im - cross.re);
    z[2u * step] = pack(even.re - side.re, even.im - side.im);
    z[3u * step] = pack(odd.re - cross.im, odd.im + cross.re);
}

/* Windows the frame; returns the left shift that makes the most of 16 bits. */
static uint32_t load(const stapes_frontend_t *frontend, uint32_t *bins) {
    const int16_t *x = frontend->frame, *end = x + frontend->tables->frame_length;
    const int16_t *w = frontend->tables->micro->window;
    int32_t most = 0;
    memset(bins, 0, HALF * sizeof *bins);
    for (; x < end; x += 2, w += 2) {
        int32_t re = (x[0] * w[0]) >> WINDOW_BITS, im = (x[1] * w[1]) >> WINDOW_BITS;
        *bins++ = pack(re, im);
        re = re < 0 ? -re : re;
        im = im < 0 ? -im : im;
        /* What has no absolute value in 16 bits does not count. */
        most = re > most && re <= INT16_MAX ? re : most;
        most = im > most && im <= INT16_MAX ? im : most;
    }
    return most == 0 ? 15u : leading_zeros((uint32_t)most) - 17u;
}

/* Digits of base 4 in reverse. */
static void reorder(uint32_t *bins) {
    for (uint32_t n = 0; n < HALF; n++) {
        const uint32_t bits = reverse_bits(n, 8);
        const uint32_t other = (bits & 0x55u) << 1 | (bits >> 1 & 0x55u);
        if (other > n) {
            const uint32_t bin = bins[n];
            bins[n] = bins[other];
            bins[other] = bin;
        }
    }
}

/* A quarter of a bin that is still to be shifted. */
static inline wide_t quarter(uint32_t bin, uint32_t shift) {
    return scaled(pack((int32_t)(bin << shift), (int32_t)(bin >> 16 << shift)), QUARTER);
}

/* In the order of reversed digits; the turns of the first stage are none. */
static void transform(uint32_t *bins, const uint32_t *twiddles, uint32_t shift) {
    const uint32_t *end = bins + HALF;
    for (uint32_t *z = bins; z < end; z += 4) {
        butterfly(z, 1, quarter(z[0], shift), quarter(z[1], shift), quarter(z[2], shift),
                  quarter(z[3], shift));
    }
    for (uint32_t length = 4; length < HALF; length *= 4u) {
        const uint32_t stride = 2u * (HALF / 4u / length);
        for (uint32_t k = 0; k < length; k++) {
            const uint32_t b = twiddles[k * stride], c = turn_at(twiddles, 2u * k * stride),
                           d = turn_at(twiddles, 3u * k * stride);
            for (uint32_t *z = bins + k; z < end; z += 4u * length) {
                butterfly(z, length, scaled(z[0], QUARTER), turned(scaled(z[length], QUARTER), b),
                          turned(scaled(z[2u * length], QUARTER), c),
                          turned(scaled(z[3u * length], QUARTER), d));
            }
        }
    }
}

/* Half of both parts, squared. */
static inline uint32_t energy(int32_t re, int32_t im) {
    re >>= 1;
    im >>= 1;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

/* Squared magnitudes of the real transform in the place of the complex one's bins, those that bands need. */
static void split(uint32_t *low, uint32_t *high, const uint32_t *turn) {
    for (; low <= high; low++, high--) {
        wide_t z = scaled(*low, MIDDLE), mirror = scaled(*high, MIDDLE);
        mirror.im = ((int32_t)*high >> 16) * -MIDDLE + ROUND; /* rounded after the change of sign */
        mirror.im >>= 15;
        wide_t total = {z.re + mirror.re, z.im + mirror.im};
        wide_t difference = {z.re - mirror.re, z.im - mirror.im};
        wide_t side = turned(difference, right_angle(*turn++));
        *high = energy(total.re - side.re, side.im - total.im);
        *low = energy(total.re + side.re, total.im + side.im);
    }
}

/* The root of a sum below 2^48, rounded to nearest; 65,535 is never rounded up. Digits come from the highest
 * down: sixteen of the 32 bits that begin with the highest one, then as many as are left. */
static uint32_t rounded_root(uint64_t value) {
    uint32_t bits = 0, rest = (uint32_t)value, low = 0;
    if (value >> 32 != 0u) {
        bits = (33u - leading_zeros((uint32_t)(value >> 32))) & ~1u;
        rest = (uint32_t)(value >> bits);
        low = (uint32_t)value << (32u - bits);
    }
    uint32_t root = 0;
    uint32_t bit = 1u << 30;
    while (bit > rest) {
        bit >>= 2;
    }
    for (; bit != 0u; bit >>= 2) {
        const uint32_t trial = root + bit;
        root >>= 1;
        if (rest >= trial) {
            rest -= trial;
            root += bit;
        }
    }
    for (; bits != 0u; bits -= 2u) {
        rest = rest << 2 | low >> 30;
        low <<= 2;
        const uint32_t trial = root << 2 | 1u;
        root <<= 1;
        if (rest >= trial) {
            rest -= trial;
            root++;
        }
    }
    return rest > root && root != 0xFFFFu ? root + 1u : root;
}

/* Magnitudes of the bands in the place of energies that have been added up: a band needs a bin at least. */
static void bands_of(const stapes_frontend_tables_t *tables, uint32_t *energies, uint32_t shift) {
    const stapes_micro_t *micro = tables->micro;
    const uint32_t *bin = energies + tables->first_bin;
    const uint16_t *weight = micro->weights;
    const uint8_t *count = micro->counts, *end = count + tables->n_mels;
    uint64_t rising = 0;
    for (;; count++) {
        uint64_t falling = 0, total = 0;
        for (uint32_t left = *count; left != 0u; left--, bin++) {
            falling += multiply(*bin, *weight++);
            total += *bin;
        }
        if (count != micro->counts) {
            *energies++ = rounded_root(rising + falling) >> shift;
        }
        if (count == end) {
            return;
        }
        rising = (total << WEIGHT_BITS) - falling;
    }
}

/* The gain at a level of noise. */
static uint32_t gain_at(uint32_t noise, const int16_t *table) {
    if (noise < 2u) {
        return (uint32_t)table[noise];
    }
    const uint32_t bits = 32u - leading_zeros(noise);
    const int32_t fraction = (int32_t)((bits < 11u ? noise << (11u - bits) : noise >> (bits - 11u)) & 0x3FFu);
    const int16_t *parabola = table + 3u * bits - 4u;
    const int32_t bend = ((parabola[2] * fraction) >> 5) + parabola[1] * 32;
    return (uint32_t)(int16_t)(((bend * fraction + (1 << 14)) >> 15) + parabola[0]);
}

/* 64 times the natural logarithm. */
static uint32_t fixed_log(uint32_t value, const uint16_t *table) {
    if (value <= 1u) {
        return 0;
    }
    const uint32_t exponent = 31u - leading_zeros(value);
    uint32_t rest = value - (1u << exponent);
    rest = exponent < 16u ? rest << (16u - exponent) : rest >> (exponent - 16u);
    const uint16_t *point = table + (rest >> 9);
    const int32_t between = ((point[1] - point[0]) * (int32_t)(rest & 511u)) >> 16;
    const uint32_t log2 = (exponent << 16) + rest + point[0] + (uint32_t)between;
    const uint32_t natural = (uint32_t)((multiply(log2, LN2) + (1u << 15)) >> 16);
    return ((natural << 6) + (1u << 15)) >> 16;
}

/* What noise reduction and gain control leave of a band. */
static uint32_t cleaned(const stapes_micro_t *micro, uint32_t band, uint32_t signal, uint32_t *noise) {
    const uint32_t share = micro->shares[band & 1u];
    const uint32_t fine = signal << SMOOTHING_BITS;
    const uint32_t estimate =
        (uint32_t)((multiply(fine, share) + multiply(*noise, (1u << SHARE_BITS) - share)) >> SHARE_BITS);
    *noise = estimate;
    const uint32_t least = (uint32_t)(multiply(signal, micro->least) >> SHARE_BITS);
    const uint32_t left = (fine > estimate ? fine - estimate : 0u) >> SMOOTHING_BITS;
    const uint32_t gain = gain_at(estimate, micro->gains);
    const uint32_t snr = (uint32_t)(multiply(left > least ? left : least, gain) >> SNR_SHIFT);
    return snr < 2u << 12 ? snr * snr >> 20 : (snr >> 6) - 64u;
}

void stapes_frontend_micro(stapes_frontend_t *frontend, int8_t *row) {
    const stapes_frontend_tables_t *tables = frontend->tables;
    const stapes_micro_t *micro = tables->micro;
    uint32_t *bins = (uint32_t *)(void *)frontend->bins;
    uint32_t *noise = bins + HALF;
    if (!frontend->started) {
        memset(noise, 0, tables->n_mels * sizeof *noise);
        frontend->started = 1;
    }
    const uint32_t shift = load(frontend, bins);
    reorder(bins);
    transform(bins, micro->twiddles, shift);
    split(bins + tables->first_bin, bins + HALF - tables->first_bin, micro->twiddles + tables->first_bin);
    bands_of(tables, bins, shift);
    for (uint32_t band = 0; band < tables->n_mels; band++) {
        const uint32_t signal = cleaned(micro, band, bins[band], &noise[band]);
        const uint32_t value = fixed_log(signal << CORRECTION_BITS, micro->log_table);
        row[band] = saturate_high(multiply_high((int32_t)(value << VALUE_BITS), micro->gain) + micro->bias);
    }
}
