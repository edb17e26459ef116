/* Depthwise convolution with vectors (MVE) for kernels of up to 4 x 4: all taps of a channel are one vector,
 * four rows (the missing ones zero) of the first column, then of the next, so that one VMLADAV makes an
 * output's sum. The inputs of four channels are put into this order once for each output row. */
#ifndef STAPES_DEPTHWISE_MVE_H
#define STAPES_DEPTHWISE_MVE_H

#include "requantize.h"

/* What is the same for all channels. */
typedef struct {
    uint8x16_t weights; /* where the taps of a channel lie in the weights of four */
    mve_pred16_t taps;  /* which there are */
    uint32x4_t inputs;  /* where the columns of a window lie: four channels of four rows are 16 bytes */
    uint32_t gathered;  /* columns of inputs that an output row needs */
    uint32_t on;        /* bytes from one window to the next */
} window_t;

static inline int is_window(const stapes_depthwise_conv_2d_t *p) {
    return p->kernel_height <= 4u && p->kernel_width <= 4u && p->tap_step <= UINT16_MAX - 3u;
}

static window_t window_of(const stapes_depthwise_conv_2d_t *p) {
    const uint8x16_t lanes = vidupq_n_u8(0, 1);
    const uint8x16_t column = vshrq_n_u8(lanes, 2), row = vandq_u8(lanes, vdupq_n_u8(3));
    const uint8_t height = (uint8_t)p->kernel_height, width = (uint8_t)p->kernel_width;
    const uint32_t stride = p->column_step / p->tap_step;
    window_t window;
    window.weights = vshlq_n_u8(vaddq_u8(vmulq_n_u8(column, height), row), 2);
    window.taps = vcmphiq_u8(vdupq_n_u8(height), row) & vcmphiq_u8(vdupq_n_u8(width), column);
    window.inputs = vshlq_n_u32(vminq_u32(vidupq_n_u32(0, 1), vdupq_n_u32(width - 1u)), 4);
    window.gathered = (p->columns - 1u) * stride + width;
    window.on = 16u * stride;
    return window;
}

/* Two columns of four channels of `height` rows, of which those that `exist` are read. */
STAPES_INLINE void interleave_two(const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
                                  uint16x8_t places, mve_pred16_t exist, const uint32_t height, void *x) {
    uint16x8x2_t halves; /* rows 0 and 1, rows 2 and 3 */
#define ROW(row)                                                                                             \
    (exist == 0xffff ? vldrbq_gather_offset_u16(row, places) : vldrbq_gather_offset_z_u16(row, places, exist))
    halves.val[0] = ROW(r0);
    halves.val[1] = vdupq_n_u16(0);
    if (height > 1) {
        halves.val[0] = vsliq_n_u16(halves.val[0], ROW(r1), 8);
    }
    if (height > 2) {
        halves.val[1] = ROW(r2);
    }
    if (height > 3) {
        halves.val[1] = vsliq_n_u16(halves.val[1], ROW(r3), 8);
    }
#undef ROW
    vst2q_u16(x, halves);
}

/* `columns` columns, `step` bytes apart, of four channels from byte `at` of every row on: column by column,
 * in it channel by channel, in it row by row. */
STAPES_INLINE void interleave_rows(const int8_t *const *rows, uint32_t at, uint32_t step, uint32_t columns,
                                   const uint32_t height, uint8_t *x) {
    const uint16x8_t lanes = vidupq_n_u16(0, 1);
    const uint16x8_t places =
        vaddq_u16(vandq_u16(lanes, vdupq_n_u16(3)), vmulq_n_u16(vshrq_n_u16(lanes, 2), (uint16_t)step));
    const uint8_t *r0 = (const uint8_t *)rows[0] + at;
    const uint8_t *r1 = height > 1 ? (const uint8_t *)rows[1] + at : r0;
    const uint8_t *r2 = height > 2 ? (const uint8_t *)rows[2] + at : r0;
    const uint8_t *r3 = height > 3 ? (const uint8_t *)rows[3] + at : r0;
    for (uint32_t twos = columns / 2u; twos != 0; twos--) {
        interleave_two(r0, r1, r2, r3, places, 0xffff, height, x);
        r0 += 2u * step;
        r1 += 2u * step;
        r2 += 2u * step;
        r3 += 2u * step;
        x += 32;
    }
    if ((columns & 1u) != 0) {
        interleave_two(r0, r1, r2, r3, places, 0xff, height, x);
    }
}

/* Functions of their own have all registers to themselves. */
__attribute__((noinline)) static void interleave_3(const int8_t *const *rows, uint32_t at, uint32_t step,
                                                   uint32_t columns, uint8_t *x) {
    interleave_rows(rows, at, step, columns, 3, x);
}

__attribute__((noinline)) static void interleave_any(const int8_t *const *rows, uint32_t at, uint32_t step,
                                                     uint32_t columns, uint32_t height, uint8_t *x) {
    interleave_rows(rows, at, step, columns, height, x);
}

/* Four channels of all output columns. */
static void window_quad(const stapes_call_t *call, const stapes_depthwise_conv_2d_t *p,
                        const window_t *window, uint32_t channel) {
    const stapes_requantize_t *q = &p->requantize;
    const stapes_channel_t *constants = q->channels + channel;
    const uint32_t height = p->kernel_height;
    const int8_t *w = p->weights + channel * height * p->kernel_width;
    int8_t *output = call->output + channel;
    if (height == 3) {
        interleave_3(call->rows, channel, p->tap_step, window->gathered, call->scratch);
    } else {
        interleave_any(call->rows, channel, p->tap_step, window->gathered, height, call->scratch);
    }
    const uint32x4_t words = vidupq_n_u32(0, 2); /* from one channel's constants to the next */
    const int32x4_t multipliers = vldrwq_gather_shifted_offset_s32(&constants->multiplier, words);
    int32x4_t both[2]; /* biases; shifts */
    both[0] = vldrwq_gather_shifted_offset_s32(&constants->bias, words);
    both[1] = vmvnq_s32(vldrbq_s32(q->shifts + channel));
    uint32x4_t x = vaddq_n_u32(window->inputs, (uint32_t)call->scratch);
    int32x4_t t, u;
    /* A column of outputs: inputs and then sums in t, from r0 r2 r4 r6; stapes_requantize_four. */
    __asm__ volatile(
        "dls lr, %[columns]\n"
        "1:\n\t"
        "vldrw.u32 %q[t], [%q[x]]\n\tvmladav.s8 r0, %q[a], %q[t]\n\t"
        "vldrw.u32 %q[t], [%q[x], #4]\n\tvmladav.s8 r2, %q[b], %q[t]\n\t"
        "vldrw.u32 %q[t], [%q[x], #8]\n\tvmladav.s8 r4, %q[c], %q[t]\n\t"
        "vldrw.u32 %q[t], [%q[x], #12]\n\tvmladav.s8 r6, %q[d], %q[t]\n\t"
        "vmov %q[t][2], %q[t][0], r0, r4\n\tvmov %q[t][3], %q[t][1], r2, r6\n\t"
        "vldrw.32 %q[u], [%[both]]\n\t"
        "vadd.i32 %q[t], %q[t], %q[u]\n\t"
        "vqrdmulh.s32 %q[t], %q[t], %q[multipliers]\n\t"
        "vshr.s32 %q[u], %q[t], #31\n\t"
        "vadd.i32 %q[t], %q[t], %q[u]\n\t"
        "vldrw.32 %q[u], [%[both], #16]\n\t"
        "vrshl.s32 %q[t], %q[t], %q[u]\n\t"
        "vadd.i32 %q[t], %q[t], %[zero_point]\n\t"
        "vqmovnb.s32 %q[t], %q[t]\n\tvqmovnb.s16 %q[t], %q[t]\n\t"
        "vstrb.32 %q[t], [%[output]]\n\t"
        "add %[output], %[channels]\n\t"
        "vadd.i32 %q[x], %q[x], %[on]\n\t"
        "le lr, 1b\n\t"
        : [x] "+w"(x), [t] "=&w"(t), [u] "=&w"(u), [output] "+l"(output)
        : [a] "w"(vldrbq_gather_offset_z_s8(w, window->weights, window->taps)),
          [b] "w"(vldrbq_gather_offset_z_s8(w + 1, window->weights, window->taps)),
          [c] "w"(vldrbq_gather_offset_z_s8(w + 2, window->weights, window->taps)),
          [d] "w"(vldrbq_gather_offset_z_s8(w + 3, window->weights, window->taps)),
          [multipliers] "w"(multipliers), [both] "r"(both), [zero_point] "r"((int32_t)q->zero_point),
          [columns] "r"(p->columns), [channels] "r"((uint32_t)p->channels), [on] "r"(window->on)
        : "r0", "r2", "r4", "r6", "lr", "memory");
}

#endif
