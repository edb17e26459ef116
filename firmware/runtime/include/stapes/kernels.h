/* One kernel per operator, with the structure of its constants. Generated code names only the kernels it
 * needs, so the linker leaves the others out. Every kernel computes exactly what the TFLM reference computes.
 * kernel_*.c hold portable C; macros of the compiler (__ARM_FEATURE_DSP, __ARM_FEATURE_MVE) choose faster
 * inner loops with the same bits. */
#ifndef STAPES_KERNELS_H
#define STAPES_KERNELS_H

#include "stapes/engine.h"

/* The inner loops need every register: only GCC with optimisation gives them that many. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__) && !defined(__clang__)
#define STAPES_DSP 1
#else
#define STAPES_DSP 0
#endif

/* Vectors of 128 bits (Armv8.1-M MVE). Who has them has the DSP instructions too. */
#if STAPES_DSP && defined(__ARM_FEATURE_MVE)
#define STAPES_MVE 1
#else
#define STAPES_MVE 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Constants that kernels read by words. */
#define STAPES_ALIGNED __attribute__((aligned(4)))

/* From a 32-bit sum to int8. The zero points of input and weights are already in the bias. */
typedef struct {
    int32_t bias;
    int32_t multiplier; /* Q31 */
} stapes_channel_t;

#define STAPES_LONG 64
typedef struct {
    const stapes_channel_t *channels;
    /* Right shifts behind the multiplier, less one. Where the short way is not exact, because there is no
     * right shift, the sum may reach 2^29 or zero point << shift does not fit, a channel is long: the left
     * shift minus STAPES_LONG. */
    const int8_t *shifts;
    int16_t zero_point;
    int16_t rounding;        /* 2 * zero_point + 1 */
    int8_t minimum, maximum; /* fused activation */
    uint8_t is_short;        /* 1: no channel is long */
} stapes_requantize_t;

/* CONV_2D and FULLY_CONNECTED of one input row. The scratch holds the patches of STAPES_TILE output columns.
 * A patch is `segments` runs of `segment_bytes` per window row, `segment_step` bytes apart. Weights are
 * interleaved by two output channels and two inputs; see compiler/pack.py. */
typedef struct {
    stapes_requantize_t requantize;
    const int8_t *weights;
    uint32_t segment_bytes;
    uint32_t segment_step;
    uint32_t column_step; /* bytes from one output column's patch to the next */
    uint32_t pairs;       /* pairs of inputs in a patch, the last may be half padding */
    uint32_t columns;     /* output width */
    uint16_t kernel_height;
    uint16_t segments;
    uint16_t channels; /* output channels of one group */
    uint16_t groups;
} stapes_conv_2d_t;
#define STAPES_TILE 3
void stapes_conv_2d(const stapes_call_t *call); /* faster with DSP, MVE */

/* The same with carried weights. With the DSP instructions, a word of weights a0 b0 a1 b1 that is read as two
 * int16 is a0 + 256 b0, a1 + 256 b1 if every b is less by one where its a is negative: STAPES_CARRY writes
 * them so, and one multiplication works on both channels. Everywhere else it changes nothing. A channel b
 * whose sum may reach 2^23 is marked as long. */
typedef stapes_conv_2d_t stapes_conv_2d_carry_t;
#if STAPES_DSP && !STAPES_MVE
#define STAPES_CARRY(a, b) (a), (int8_t)((b) - ((a) < 0))
void stapes_conv_2d_carry(const stapes_call_t *call);         /* faster with DSP */
void stapes_fully_connected_carry(const stapes_call_t *call); /* faster with DSP */
#else
#define STAPES_CARRY(a, b)           (a), (b)
#define stapes_conv_2d_carry         stapes_conv_2d
#define stapes_fully_connected_carry stapes_fully_connected
#endif

/* The same with weights of four bits, two in a byte (compiler/pack.py): those of two channels are unpacked
 * into the scratch, behind the patches. Every core takes the same ones. */
typedef stapes_conv_2d_t stapes_conv_2d_int4_t;
void stapes_conv_2d_int4(const stapes_call_t *call); /* faster with DSP, MVE */

/* FULLY_CONNECTED over a map of several rows: sums are kept in the state while the rows come. */
typedef struct {
    stapes_requantize_t requantize;
    const int8_t *weights; /* per input row, as in stapes_conv_2d_t */
    uint32_t row_weights;  /* bytes per input row */
    uint32_t row_bytes;
    uint16_t channels;
} stapes_fully_connected_t, stapes_fully_connected_carry_t, stapes_fully_connected_int4_t;
void stapes_fully_connected(const stapes_call_t *call);      /* faster with DSP, MVE */
void stapes_fully_connected_int4(const stapes_call_t *call); /* faster with DSP, MVE */

/* The depthwise weights of two rows for four channels. With the DSP instructions, SXTB16 makes a word of a
 * channel's two; the kernels' names differ, so that weights of another order do not link. */
#if STAPES_DSP && !STAPES_MVE
#define stapes_depthwise_conv_2d                    stapes_depthwise_rows
#define STAPES_ROWS(a0, b0, c0, d0, a1, b1, c1, d1) a0, b0, a1, b1, c0, d0, c1, d1
#else
#define STAPES_ROWS(a0, b0, c0, d0, a1, b1, c1, d1) a0, b0, c0, d0, a1, b1, c1, d1
#endif

/* DEPTHWISE_CONV_2D. First the weights of groups of four channels, then those of the channels
 * that are left; see compiler/pack.py. */
typedef struct {
    stapes_requantize_t requantize;
    const int8_t *weights;
    uint32_t tap_step; /* bytes from one tap of a row to the next */
    uint32_t column_step;
    uint32_t columns;
    uint16_t kernel_height, kernel_width;
    uint16_t channels;            /* output channels */
    uint16_t quads;               /* groups of four channels; 0 if the multiplier is not 1 */
    uint16_t multiplier;          /* output channels per input channel */
    uint32_t pad_left, pad_right; /* columns of padding that a row begins and ends with */
} stapes_depthwise_conv_2d_t, stapes_depthwise_3x3_t, stapes_depthwise_5x5_t, stapes_depthwise_column_t;
#define STAPES_QUAD_BYTES                                                                                    \
    76u /* of the scratch: constants of four channels where there are DSP instructions */
void stapes_depthwise_conv_2d(const stapes_call_t *call); /* faster with DSP, MVE */

/* The same in less code: kernels of one size, several columns, no channel left over and none long. */
#if STAPES_DSP && !STAPES_MVE
void stapes_depthwise_3x3(const stapes_call_t *call); /* faster with DSP */
void stapes_depthwise_5x5(const stapes_call_t *call); /* faster with DSP */
#else
#define stapes_depthwise_3x3 stapes_depthwise_conv_2d
#define stapes_depthwise_5x5 stapes_depthwise_conv_2d
#endif

/* The same for one output column and kernels one column wide, whatever their height, as over time; otherwise
 * as those of one size. */
#if STAPES_DSP && !STAPES_MVE
void stapes_depthwise_column(const stapes_call_t *call); /* faster with DSP */
#else
#define stapes_depthwise_column stapes_depthwise_conv_2d
#endif

/* DEPTHWISE_CONV_2D with weights of four bits, which are unpacked into the scratch for every row. */
typedef stapes_depthwise_conv_2d_t stapes_depthwise_int4_t;
void stapes_depthwise_int4(const stapes_call_t *call); /* faster with DSP, MVE */

/* TRANSPOSE_CONV. Weights are [output_channels][kernel_height][kernel_width][depth], biases as in the file.
 */
typedef struct {
    const int8_t *weights;
    const stapes_channel_t *channels;
    const int8_t *shifts; /* left if positive */
    int16_t offset;       /* minus the zero point of the input */
    int16_t zero_point;
    int8_t minimum, maximum;
    uint32_t input_rows, input_columns, depth;
    uint32_t columns, output_channels;
    uint32_t kernel_height, kernel_width;
    uint32_t stride_height, stride_width;
    uint32_t pad_top, pad_left;
} stapes_transpose_conv_t;
void stapes_transpose_conv(const stapes_call_t *call);

/* BATCH_MATMUL: `lines` rows of a product's matrix in an output row, the operands in one row each. */
typedef struct {
    int32_t multiplier;
    int16_t offset1, offset2; /* minus the zero points */
    int16_t zero_point;
    int8_t shift;
    uint32_t lines;
    uint32_t rows, columns, depth; /* of one product */
    uint32_t batch_step1, batch_step2;
    uint32_t row_step1, depth_step1;
    uint32_t depth_step2, column_step2;
} stapes_batch_matmul_t;
void stapes_batch_matmul(const stapes_call_t *call);

/* AVERAGE_POOL_2D and MAX_POOL_2D over windows. */
#define STAPES_NARROW_POOL 255u /* elements of int8 whose sum fits int16 */
typedef struct {
    uint32_t kernel_width;
    uint32_t stride_width;
    uint32_t pad_left;
    uint32_t input_columns, columns;
    uint16_t channels;
    int8_t minimum, maximum;
} stapes_pool_2d_t, stapes_average_pool_2d_t, stapes_max_pool_2d_t, stapes_average_pool_rows_t,
    stapes_max_pool_rows_t;
void stapes_average_pool_2d(const stapes_call_t *call); /* faster with DSP, MVE */
void stapes_max_pool_2d(const stapes_call_t *call);     /* faster with DSP, MVE */

/* The same where one window is as high as the map: every row is used as it comes. */
void stapes_average_pool_rows(const stapes_call_t *call); /* faster with DSP, MVE */
void stapes_max_pool_rows(const stapes_call_t *call);     /* faster with DSP, MVE */

/* MEAN, SUM and REDUCE_MAX. A row is [outer][outer_added][middle][added][inner] elements, of which the added
 * ones make one output; over several rows the results are kept (sums in the state, maxima in the output)
 * while the rows come. */
typedef struct {
    int32_t multiplier;
    int32_t bias; /* added to the sum: minus its zero points */
    int16_t zero_point;
    int8_t shift;
    uint32_t outer, outer_added, middle, added, inner;
} stapes_reduce_sum_t;
void stapes_reduce_sum(const stapes_call_t *call);

typedef struct {
    uint32_t outer, outer_added, middle, added, inner;
} stapes_reduce_max_t;
void stapes_reduce_max(const stapes_call_t *call);

/* Two operands of a row of planes of columns of channels; a step of 0 repeats one that has a single plane,
 * column or channel. */
typedef struct {
    uint32_t planes, columns, channels;
    uint32_t plane_step1, plane_step2;
    uint32_t column_step1, column_step2;
    uint8_t channel_step1, channel_step2;
    int16_t minimum, maximum; /* of the output */
    int16_t offset1, offset2; /* minus the zero points */
    int16_t zero_point;
} stapes_operands_t;

/* ADD and SUB; SQUARED_DIFFERENCE. */
typedef struct {
    stapes_operands_t operands;
    int32_t multiplier1, multiplier2, multiplier;
    int8_t shift1, shift2, shift;
    int8_t left_shift;
    uint8_t subtracts;
} stapes_add_t, stapes_squared_difference_t;
void stapes_add(const stapes_call_t *call); /* faster with DSP */
void stapes_squared_difference(const stapes_call_t *call);

/* DIV: what to multiply with for each of 256 divisors, index value + 128 (the second operand's offset). */
typedef struct {
    int32_t reciprocal;
    int16_t bits; /* behind it */
    int16_t sign;
} stapes_divisor_t;

typedef struct {
    stapes_operands_t operands;
    const stapes_divisor_t *divisors;
    int32_t multiplier;
    int8_t shift;
} stapes_div_t;
void stapes_div(const stapes_call_t *call);

typedef struct {
    stapes_operands_t operands;
    int32_t multiplier;
    int8_t shift;
} stapes_mul_t;
void stapes_mul(const stapes_call_t *call);

/* MAXIMUM and MINIMUM. */
typedef struct {
    stapes_operands_t operands;
} stapes_maximum_t, stapes_minimum_t;
void stapes_maximum(const stapes_call_t *call);
void stapes_minimum(const stapes_call_t *call);

/* PRELU: the second operand holds the slopes. */
typedef struct {
    stapes_operands_t operands;
    int32_t multiplier, negative_multiplier;
    int8_t shift, negative_shift;
} stapes_prelu_t;
void stapes_prelu(const stapes_call_t *call);

/* CONCATENATION along columns and channels: output column by column, `bytes[i]` from each input. */
typedef struct {
    uint32_t columns;
    const uint32_t *bytes;
} stapes_concatenation_t;
void stapes_concatenation(const stapes_call_t *call);

/* CONCATENATION along rows: every output row is a row of one input, the only one that is not outside of its
 * map.
 */
typedef struct {
    uint32_t row_bytes;
} stapes_concatenation_rows_t;
void stapes_concatenation_rows(const stapes_call_t *call);

/* The same bytes cut into other rows. */
typedef struct {
    uint32_t input_bytes; /* of an input row */
    uint32_t row_bytes;   /* of an output row */
} stapes_reshape_t;
void stapes_reshape(const stapes_call_t *call);

/* SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK, TRANSPOSE: a row of counts[0] * ... * counts[3] bytes that
 * lie steps[...] apart in the input. The input's rows are one after the other in the table, the first byte is
 * at start + step * row_step. */
typedef struct {
    uint32_t counts[4];
    int32_t steps[4];
    int32_t start, row_step;
    uint32_t input_bytes; /* of an input row; 0: everything is in the one row given */
} stapes_pick_t;
void stapes_pick(const stapes_call_t *call);

/* GATHER, TILE, RESIZE_NEAREST_NEIGHBOR: a row of `count` pieces, which lie at bases[step] + offsets[...] in
 * the input; no piece lies in two of its rows. */
typedef struct {
    const uint32_t *bases;
    const uint32_t *offsets;
    uint32_t count;
    uint32_t piece_bytes;
    uint32_t input_bytes; /* of an input row */
} stapes_gather_t;
void stapes_gather(const stapes_call_t *call);

/* RESIZE_BILINEAR: between two rows, and two positions in a row, weight / 1024 of the way. */
typedef struct {
    uint32_t lower, upper;
    int32_t weight;
} stapes_between_t;

typedef struct {
    const stapes_between_t *rows;
    const stapes_between_t *positions; /* bytes, of every output column */
    uint32_t columns, channels;
} stapes_resize_bilinear_t;
void stapes_resize_bilinear(const stapes_call_t *call);

/* PAD that no convolution can take: runs of `run_bytes` of the input, counts[0] * counts[1] * counts[2] of
 * them, that lie `steps` apart from `start` on in the output; rows outside of the map are NULL. */
typedef struct {
    uint32_t counts[3];
    uint32_t steps[3];
    uint32_t start, run_bytes;
    uint32_t row_bytes; /* of the output */
    int8_t value;
} stapes_pad_t;
void stapes_pad(const stapes_call_t *call);

/* Every function of one int8: a table of 256 entries, index value + 128. */
typedef struct {
    const int8_t *table;
    uint32_t count;
} stapes_lookup_t;
void stapes_lookup(const stapes_call_t *call);

/* SOFTMAX over the last axis. */
typedef struct {
    int32_t multiplier; /* of beta * scale */
    int32_t minimum_difference;
    uint32_t columns;
    uint16_t channels;
    int8_t shift;
} stapes_softmax_t;
void stapes_softmax(const stapes_call_t *call);

/* LOG_SOFTMAX over the last axis. */
typedef struct {
    int32_t multiplier;
    int32_t reverse_multiplier; /* from Q5 to steps of the input */
    int32_t minimum_difference;
    uint32_t columns;
    uint16_t channels;
    int8_t shift, reverse_shift;
} stapes_log_softmax_t;
void stapes_log_softmax(const stapes_call_t *call);

/* Activations of 16 bits, with weights of 8: rows hold int16 as the core has them; they have no zero points.
 * Steps are bytes. */
typedef struct {
    int64_t bias;
    int32_t multiplier; /* Q15, where sums are narrow Q31 */
    int32_t shift;      /* left if positive */
} stapes_channel_int16_t;

/* CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED. A sum takes `segments` runs of `count` inputs, `input_step`
 * apart, of every window row; weights are [groups][channels][kernel_height][segments][count]. */
typedef struct {
    const stapes_channel_int16_t *channels;
    const int8_t *weights;
    uint32_t segments, count;
    uint32_t segment_step, input_step, column_step, group_step;
    uint32_t columns;
    uint32_t groups, group_channels;
    uint16_t kernel_height;
    int16_t minimum, maximum;
    uint8_t is_narrow; /* sums have 32 bits and are rounded twice */
} stapes_conv_2d_int16_t;
void stapes_conv_2d_int16(const stapes_call_t *call);

/* TRANSPOSE_CONV. Weights as in stapes_transpose_conv_t. */
typedef struct {
    const stapes_channel_int16_t *channels;
    const int8_t *weights;
    uint32_t input_rows, input_columns, depth;
    uint32_t columns, output_channels;
    uint32_t kernel_height, kernel_width;
    uint32_t stride_height, stride_width;
    uint32_t pad_top, pad_left;
    int16_t minimum, maximum;
} stapes_transpose_conv_int16_t;
void stapes_transpose_conv_int16(const stapes_call_t *call);

/* ADD, SUB, MUL, MAXIMUM, MINIMUM. */
typedef stapes_add_t stapes_add_int16_t;
typedef stapes_mul_t stapes_mul_int16_t;
typedef stapes_maximum_t stapes_maximum_int16_t, stapes_minimum_int16_t;
void stapes_add_int16(const stapes_call_t *call);
void stapes_mul_int16(const stapes_call_t *call);
void stapes_maximum_int16(const stapes_call_t *call);
void stapes_minimum_int16(const stapes_call_t *call);

/* QUANTIZE, RELU, RELU6, LEAKY_RELU: a factor each for what is negative and for what is not. */
typedef struct {
    int32_t multiplier, negative_multiplier;
    int8_t shift, negative_shift;
    uint8_t input_bytes, output_bytes; /* of an element */
    int16_t offset;                    /* minus the zero point of the input */
    int16_t zero_point;
    int16_t minimum, maximum;
    uint32_t count;
} stapes_rescale_t;
void stapes_rescale(const stapes_call_t *call);

/* LOGISTIC and TANH, in steps of 2^-15. */
typedef struct {
    int32_t multiplier; /* to three times the steps of Q3.12 */
    uint8_t shift;      /* right */
    uint8_t is_tanh;
    uint32_t count;
} stapes_sigmoid_int16_t;
void stapes_sigmoid_int16(const stapes_call_t *call);

/* SOFTMAX over the last axis, in steps of 2^-15. Tables have 513 entries over all int16: exp(-10 ... 0) and
 * 1 / (1 + x), x from 0 to 1. */
typedef struct {
    const int16_t *exponentials;
    const int16_t *reciprocals;
    int32_t multiplier;
    int8_t shift;
    uint32_t columns, channels;
} stapes_softmax_int16_t;
void stapes_softmax_int16(const stapes_call_t *call);

/* AVERAGE_POOL_2D and MAX_POOL_2D over windows. */
typedef struct {
    uint32_t kernel_width, stride_width, pad_left;
    uint32_t input_columns, columns, channels;
    uint16_t kernel_height;
    int16_t minimum, maximum;
} stapes_average_pool_2d_int16_t, stapes_max_pool_2d_int16_t;
void stapes_average_pool_2d_int16(const stapes_call_t *call);
void stapes_max_pool_2d_int16(const stapes_call_t *call);

/* MEAN and SUM. */
typedef stapes_reduce_sum_t stapes_reduce_sum_int16_t;
void stapes_reduce_sum_int16(const stapes_call_t *call);

/* UNIDIRECTIONAL_SEQUENCE_LSTM: a row a step; the state holds the cells (int16), then the hidden values
 * (int8), less their zero point modulo 256: all zero in the beginning. Gates come in the order input, forget,
 * cell, output; of each all units. Zero points of what weights multiply are in the biases. */
typedef struct {
    const int8_t *weights;           /* of a unit: one per input */
    const int8_t *recurrent;         /* of a unit: one per unit */
    const int32_t *biases;           /* of the sums over the row */
    const int32_t *recurrent_biases; /* of the sums over the hidden values */
    int32_t multipliers[4], recurrent_multipliers[4];
    int32_t output_multiplier;
    int8_t shifts[4], recurrent_shifts[4];
    int8_t output_shift;
    int8_t update_shift; /* input gate times cell gate, to the cell's steps */
    int8_t tanh_shift; /* right shift of three times the cell to the steps of tanh, negative: a left shift */
    int8_t zero_point; /* of the hidden values */
    int16_t cell_clip; /* 0: none */
    uint16_t inputs, units;
} stapes_lstm_t;
void stapes_lstm(const stapes_call_t *call); /* faster with DSP */

/* SVDF: filters over the row, then over the last values of each filter, which the state holds (int16), the
 * newest last. */
typedef struct {
    const int8_t *feature_weights; /* of a filter: one per input */
    const int16_t *time_weights;   /* of a filter: one per value */
    const int32_t *feature_biases; /* minus the zero points of the inputs */
    const int32_t *biases;         /* of a unit */
    int32_t feature_multiplier, multiplier;
    int8_t feature_shift, shift;
    int8_t zero_point;
    int16_t minimum, maximum; /* of a value */
    uint16_t inputs, units, rank, memory;
} stapes_svdf_t;
void stapes_svdf(const stapes_call_t *call); /* faster with DSP */

/* stapes_statistics: six statistics of every band over all rows. */
#define STAPES_STATISTICS_STATE_BYTES 24u /* a band */
typedef struct {
    uint16_t rows, bands;
} stapes_statistics_t;
void stapes_statistics(const stapes_call_t *call);

/* stapes_forest: share of the trees that vote for each class. A step to another node is forward; a leaf is
 * -1 - class. */
typedef struct {
    uint8_t feature;
    int8_t threshold;
    int16_t below, otherwise; /* where to go from a feature below the threshold, and else */
} stapes_forest_node_t;

typedef struct {
    const stapes_forest_node_t *nodes;
    const uint16_t *roots;
    uint16_t trees, classes;
} stapes_forest_t;
void stapes_forest(const stapes_call_t *call);

#ifdef __cplusplus
}
#endif

#endif
