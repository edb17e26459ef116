/* The inner loops of the carried matrix product for the DSP instructions of Cortex-M4, M7 and M33: two output
 * channels a and b of one, two or three output columns at a time, requantised in registers.
 *
 * A word of weights is a0 b0 a1 b1, b carried (STAPES_CARRY in kernels.h): read as two int16 it is a0 + 256
 * b0 and a1 + 256 b1. SMLAD with it adds to the sum R = A + 256 B; SXTB16 turns it into a0, a1, and SMLAD
 * adds to the sum A. At the end R - A is 256 B exactly, whatever wrapped on the way, if B fits 24 bits.
 *
 * In assembly because every register is taken: the compiler keeps three columns' sums in memory.
 *
 *     r0           weights                      r4 r5 r6     A of each column
 *     r1           inputs                       r7 r8 r9     R of each column
 *     r2 r3        two words of weights         r10 r11 r12  a pair of inputs of each column
 *     lr           rounds of the unrolled loop
 *
 * The loop does ROUND times two words of weights a round; the first round starts behind what is not there. A
 * single word, where their number is odd, comes before everything else. */
#ifndef STAPES_DOT_DSP_H
#define STAPES_DOT_DSP_H

#include "requantize.h"

#define ROUND 8u /* times two words; half of that where there is a single column */

/* Everything a tile needs beyond the registers; on the stack, where the code below finds it. */
typedef struct {
    const int8_t *weights;
    const int16_t *inputs; /* pair p of column j at 2 * (p * columns + j) */
    const stapes_channel_t *channel;
    const int8_t *end; /* of the weights */
    const int8_t *shifts;
    int8_t *output;
    uint32_t step; /* bytes from one column's output to the next */
    uint32_t pairs;
    int32_t rounding;                 /* 2 * zero_point + 1 */
    uint32_t rounds, missing, single; /* of the loop; steps the first round does not make; the odd word */
    uint32_t rectified;               /* 1: the activation's minimum is the zero point or above */
    uint32_t skip, entry, start, requantize; /* where in the code; see PLACES */
} stapes_tile_t;

/* What is the same for all tiles of a layer. */
static inline void stapes_tile_init(stapes_tile_t *t, const int16_t *inputs, uint32_t pairs,
                                    const stapes_requantize_t *q, uint32_t step, uint32_t columns) {
    const uint32_t twos = pairs / 2u, round = columns == 1u ? ROUND / 2u : ROUND;
    t->inputs = inputs;
    t->pairs = pairs;
    t->rounding = q->rounding;
    t->rectified = q->minimum >= q->zero_point;
    t->step = step;
    t->rounds = twos == 0 ? 1u : (twos + round - 1u) / round;
    t->missing = t->rounds * round - twos;
    t->single = pairs & 1u;
}

/* One word of weights in `w` times one pair of inputs a column. */
#define WORD_3(w)                                                                                            \
    "smlad r7, " w ", r10, r7\n\tsmlad r8, " w ", r11, r8\n\tsmlad r9, " w ", r12, r9\n\t"                   \
    "sxtb16 " w ", " w "\n\t"                                                                                \
    "smlad r4, " w ", r10, r4\n\tsmlad r5, " w ", r11, r5\n\tsmlad r6, " w ", r12, r6\n\t"
#define WORD_2(w, x0, x1)                                                                                    \
    "smlad r7, " w ", " x0 ", r7\n\tsmlad r8, " w ", " x1 ", r8\n\t"                                         \
    "sxtb16 " w ", " w "\n\t"                                                                                \
    "smlad r4, " w ", " x0 ", r4\n\tsmlad r5, " w ", " x1 ", r5\n\t"
#define WORD_1(w, x) "smlad r7, " w ", " x ", r7\n\tsxtb16 " w ", " w "\n\tsmlad r4, " w ", " x ", r4\n\t"

/* All pairs of inputs: `one` is the step of a single word, `two` the loop's. */
#define WORDS(one, two, round)                                                                               \
    "ldr r1, %[inputs]\n\t"                                                                                  \
    "ldr lr, %[rounds]\n\t"                                                                                  \
    "ldr pc, %[start]\n"                                                                                     \
    "3:\n\t"                                                                                                 \
    "ldr r2, [r0], #4\n\t" one "ldr pc, %[entry]\n"                                                          \
    "2:\n\t"                                                                                                 \
    ".rept " round "\n\t"                                                                                    \
    "ldrd r2, r3, [r0], #8\n\t" two ".endr\n\t"                                                              \
    "subs lr, lr, #1\n\t"                                                                                    \
    "bne 2b\n\t"

/* Addresses of code (odd: Thumb): where the loop is entered, `skip` bytes in; where to start, at 3 if there
 * is a single word; where to requantise, at 6 if negative sums end as the zero point or the activation's
 * minimum anyway. */
#define PLACES                                                                                               \
    "ldr r2, %[skip]\n\t"                                                                                    \
    "adr.w r3, 2f\n\t"                                                                                       \
    "add r2, r2, r3\n\t"                                                                                     \
    "str r2, %[entry]\n\t"                                                                                   \
    "ldr r3, %[single]\n\t"                                                                                  \
    "cbz r3, 4f\n\t"                                                                                         \
    "adr.w r2, 3f + 1\n"                                                                                     \
    "4:\n\t"                                                                                                 \
    "str r2, %[start]\n\t"                                                                                   \
    "ldr r0, %[weights]\n\t"
#define PLACES_RECTIFIED                                                                                     \
    "ldr r3, %[rectified]\n\t"                                                                               \
    "adr.w r2, 5f + 1\n\t"                                                                                   \
    "cbz r3, 4f\n\t"                                                                                         \
    "adr.w r2, 6f + 1\n"                                                                                     \
    "4:\n\t"                                                                                                 \
    "str r2, %[requantize]\n"

/* The biases: A = a, R = a + 256 b. */
#define BIASES                                                                                               \
    "1:\n\t"                                                                                                 \
    "ldr r1, %[channel]\n\t"                                                                                 \
    "ldr r4, [r1], #8\n\t"                                                                                   \
    "ldr r7, [r1], #8\n\t"                                                                                   \
    "str r1, %[channel]\n\t"                                                                                 \
    "add r7, r4, r7, lsl #8\n\t"

/* Twice the sums of both channels of one column. */
#define SPLIT(a, r) "sub " r ", " r ", " a "\n\tlsls " a ", " a ", #1\n\tasr " r ", " r ", #7\n\t"

/* Multipliers into r2 and r3, the shifts of both channels into r10 (its lowest byte counts), the offset of
 * channel a into r11, the output into r1 and its step into lr. */
#define CONSTANTS                                                                                            \
    "ldr r1, %[channel]\n\t"                                                                                 \
    "ldr lr, %[shifts]\n\t"                                                                                  \
    "ldr r2, [r1, #-12]\n\t"                                                                                 \
    "ldr r3, [r1, #-4]\n\t"                                                                                  \
    "ldr r11, %[rounding]\n\t"                                                                               \
    "ldrh r10, [lr], #2\n\t"                                                                                 \
    "ldr r1, %[output]\n\t"                                                                                  \
    "str lr, %[shifts]\n\t"                                                                                  \
    "ldr lr, %[step]\n\t"                                                                                    \
    "lsl r11, r11, r10\n\t"
#define NEXT_CHANNEL                                                                                         \
    "ldr r11, %[rounding]\n\t"                                                                               \
    "lsr r10, r10, #8\n\t"                                                                                   \
    "lsl r11, r11, r10\n\t"
#define NEXT_PAIR                                                                                            \
    "ldr r3, %[end]\n\t"                                                                                     \
    "str r1, %[output]\n\t"                                                                                  \
    "cmp r0, r3\n\t"                                                                                         \
    "bne 1b\n\t"                                                                                             \
    "str r0, %[weights]\n\t"

/* One output: stapes_requantize_short, the shift's last bit by SSAT. The sign of the sum is that of the
 * product, but for a product of 0, which rounds to the same with either. RECTIFIED leaves the sign out. The
 * first column comes last, so that its store moves on to the next channel. */
#define OUTPUT(sum, multiplier, place)                                                                       \
    "smmlar r12, " sum ", " multiplier ", r11\n\t"                                                           \
    "add r12, r12, " sum ", asr #31\n\t"                                                                     \
    "asr r12, r12, r10\n\t"                                                                                  \
    "ssat r12, #8, r12, asr #1\n\t"                                                                          \
    "strb r12, " place "\n\t"
#define RECTIFIED(sum, multiplier, place)                                                                    \
    "smmlar r12, " sum ", " multiplier ", r11\n\t"                                                           \
    "asr r12, r12, r10\n\t"                                                                                  \
    "ssat r12, #8, r12, asr #1\n\t"                                                                          \
    "strb r12, " place "\n\t"
#define OUTPUTS_3(output)                                                                                    \
    output("r5", "r2", "[r1, lr]") output("r6", "r2", "[r1, lr, lsl #1]") output("r4", "r2", "[r1], #1")     \
        NEXT_CHANNEL output("r8", "r3", "[r1, lr]") output("r9", "r3", "[r1, lr, lsl #1]")                   \
            output("r7", "r3", "[r1], #1")
#define OUTPUTS_2(output)                                                                                    \
    output("r5", "r2", "[r1, lr]") output("r4", "r2", "[r1], #1")                                            \
        NEXT_CHANNEL output("r8", "r3", "[r1, lr]") output("r7", "r3", "[r1], #1")
#define BOTH_WAYS(outputs)                                                                                   \
    "ldr pc, %[requantize]\n"                                                                                \
    "5:\n\t" outputs(OUTPUT) "b 7f\n"                                                                        \
                             "6:\n\t" outputs(RECTIFIED) "7:\n\t"

/* All pairs of channels from t->channel on until the weights are at t->end; moves t->weights, t->channel,
 * t->shifts and t->output on. */
STAPES_INLINE void stapes_tile(stapes_tile_t *t, const uint32_t columns) {
    /* Bytes of two words' code in the loop; 1 for Thumb. */
    t->skip = t->missing * (columns == 3 ? 17 * 4 : columns == 2 ? 12 * 4 : 8 * 4) + 1u;
#define OPERANDS                                                                                             \
    [channel] "+m"(t->channel), [shifts] "+m"(t->shifts), [output] "+m"(t->output),                          \
        [weights] "+m"(t->weights), [entry] "=m"(t->entry), [start] "=m"(t->start),                          \
        [requantize] "=m"(t->requantize)                                                                     \
        : [end] "m"(t->end), [inputs] "m"(t->inputs), [rounding] "m"(t->rounding), [step] "m"(t->step),      \
          [skip] "m"(t->skip), [single] "m"(t->single), [rounds] "m"(t->rounds), [rectified] "m"(            \
                                                                                     t->rectified)
#define CLOBBERED                                                                                            \
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"
    if (columns == 3) {
        __asm__ volatile(PLACES PLACES_RECTIFIED BIASES
                         "mov r5, r4\n\tmov r6, r4\n\tmov r8, r7\n\tmov r9, r7\n\t" /**/
                         WORDS("ldmia r1!, {r10, r11, r12}\n\t" WORD_3("r2"),
                               "ldmia r1!, {r10, r11, r12}\n\t" WORD_3("r2") /**/
                               "ldmia r1!, {r10, r11, r12}\n\t" WORD_3("r3"),
                               "8") SPLIT("r4", "r7") SPLIT("r5", "r8") SPLIT("r6", "r9")
                             CONSTANTS BOTH_WAYS(OUTPUTS_3) NEXT_PAIR:OPERANDS
                         : CLOBBERED);
    } else if (columns == 2) {
        __asm__ volatile(
            PLACES PLACES_RECTIFIED BIASES "mov r5, r4\n\tmov r8, r7\n\t" /**/
            WORDS("ldmia r1!, {r9, r10}\n\t" WORD_2("r2", "r9", "r10"),
                  "ldmia r1!, {r9, r10, r11, r12}\n\t" WORD_2("r2", "r9", "r10") WORD_2("r3", "r11", "r12"),
                  "8") SPLIT("r4", "r7") SPLIT("r5", "r8") CONSTANTS BOTH_WAYS(OUTPUTS_2) NEXT_PAIR:OPERANDS
            : CLOBBERED);
    } else {
        __asm__ volatile(
            PLACES BIASES WORDS("ldr r10, [r1], #4\n\t" WORD_1("r2", "r10"),
                                "ldrd r10, r11, [r1], #8\n\t" WORD_1("r2", "r10") WORD_1("r3", "r11"), "4")
                SPLIT("r4", "r7") CONSTANTS OUTPUT("r4", "r2", "[r1], #1")
                    NEXT_CHANNEL OUTPUT("r7", "r3", "[r1], #1") NEXT_PAIR:OPERANDS
            : CLOBBERED);
    }
}

/* Adds the products of one column, whose pairs lie `step` apart (fast: 1), to the sums of two channels;
 * returns the weights behind them. By parts that fit 24 bits whatever the weights: 512 * 127 * 128 < 2^23. */
STAPES_INLINE const int8_t *stapes_add_carried(const int8_t *w, const int16_t *x, uint32_t step,
                                               uint32_t pairs, int32_t *sums, const int fast) {
    while (pairs != 0) {
        uint32_t left = pairs < 256u ? pairs : 256u;
        int32_t a = 0, r = 0;
        pairs -= left;
        if (fast && left >= 4u) {
            /* r4 r5 r6 r8: weights; r9 r10 r11 r12: inputs. */
            __asm__ volatile("sub %[left], #4\n"
                             "1:\n\t"
                             "ldmia %[w]!, {r4, r5, r6, r8}\n\t"
                             "ldmia %[x]!, {r9, r10, r11, r12}\n\t"
                             "smlad %[r], r4, r9, %[r]\n\tsxtb16 r4, r4\n\tsmlad %[a], r4, r9, %[a]\n\t"
                             "smlad %[r], r5, r10, %[r]\n\tsxtb16 r5, r5\n\tsmlad %[a], r5, r10, %[a]\n\t"
                             "smlad %[r], r6, r11, %[r]\n\tsxtb16 r6, r6\n\tsmlad %[a], r6, r11, %[a]\n\t"
                             "smlad %[r], r8, r12, %[r]\n\tsxtb16 r8, r8\n\tsmlad %[a], r8, r12, %[a]\n\t"
                             "subs %[left], #4\n\t"
                             "bhs 1b\n\t"
                             "add %[left], #4\n\t"
                             : [w] "+r"(w), [x] "+r"(x), [a] "+r"(a), [r] "+r"(r), [left] "+r"(left)
                             :
                             : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
        }
        for (; left != 0; left--) {
            const uint32_t weights = stapes_load(w), inputs = stapes_load_halves(x);
            r = stapes_smlad(weights, inputs, r);
            a = stapes_smlad(stapes_sxtb16(weights), inputs, a);
            w += 4;
            x += 2u * step;
        }
        sums[0] += a;
        sums[1] += (int32_t)((uint32_t)r - (uint32_t)a) >> 8;
    }
    return w;
}

#endif
