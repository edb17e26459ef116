/* Runs the kernels of a network on what `stapes prove` asks for, so that what it shows holds for the code of
 * this target. tools/stapes/proof/device.py is the other end; prove.h says what a request is.
 *
 *   H  which kernels these are
 *   C  one call of a layer's kernel on given rows; requantisation may be the identity
 *   R  constants of a layer's requantisation
 *   D  what the model says of itself: sizes, outputs, each layer's steps and windows, each tensor's rows
 *   O  a row outside of a map
 *   S  every sum from the lowest to the highest through a kernel's requantisation: sums are biases
 *   T  the engine's schedule with kernels that only look at which rows they get
 *   X  exponentials of a softmax
 *   Y  reciprocals or logarithms of a softmax's sums
 *   E  an input row for the network as it is; behind a window's last the CRCs of all rows of each layer */
#include "prove.h"
#include "crc32.h"
#include "stapes/kernels.h"
#include "stapes/slide.h"
#include "stapes_app_model.h"

static void *arena[STAPES_APP_MODEL_ARENA_BYTES / sizeof(void *)];

/* A layer whose kernel has a requantisation, and its parameters, both to be changed. */
typedef enum {
    AS_IT_IS,
#define FAMILY(name, value, text) name = (value),
#include "prove.def"
} family_t;
typedef struct {
    stapes_layer_t layer;
    union {
        stapes_requantize_t requantize; /* all but the last begin with it */
        stapes_conv_2d_t conv;
        stapes_fully_connected_t dense;
        stapes_depthwise_conv_2d_t depthwise;
        stapes_reduce_sum_t reduce;
    } parameters;
} copy_t;

static uint32_t copy_layer(copy_t *copy, uint32_t index, family_t family) {
    copy->layer = stapes_app_model.layers[index];
    const void *parameters = copy->layer.parameters;
    if (family != AS_IT_IS) {
        copy->layer.parameters = &copy->parameters;
    }
    if (family == CONV_2D) {
        copy->parameters.conv = *(const stapes_conv_2d_t *)parameters;
        return (uint32_t)copy->parameters.conv.channels * copy->parameters.conv.groups;
    }
    if (family == FULLY_CONNECTED) {
        copy->parameters.dense = *(const stapes_fully_connected_t *)parameters;
        return copy->parameters.dense.channels;
    }
    if (family == DEPTHWISE) {
        copy->parameters.depthwise = *(const stapes_depthwise_conv_2d_t *)parameters;
        return copy->parameters.depthwise.channels;
    }
    if (family == REDUCE_SUM) {
        copy->parameters.reduce = *(const stapes_reduce_sum_t *)parameters;
        return 1;
    }
    return 0;
}

/* Requantisation that gives half of every sum, exactly where that is even, a long channel's and a reduction's
 * all of it. */
static uint32_t make_identity(copy_t *copy, family_t family, uint32_t channels) {
    stapes_requantize_t *q = &copy->parameters.requantize;
    if (family == REDUCE_SUM) {
        stapes_reduce_sum_t *r = &copy->parameters.reduce;
        r->multiplier = 1 << 30;
        r->shift = 1;
        r->bias = 0;
        r->zero_point = 0;
        return 0;
    }
    stapes_channel_t *table = take((channels + 1u) * sizeof *table);
    int8_t *shifts = take(channels + 4u);
    if (table == NULL || shifts == NULL) {
        return NO_ROOM;
    }
    for (uint32_t i = 0; i < channels; i++) {
        const int is_long = q->shifts[i] < 0;
        table[i].multiplier = is_long ? 1 << 30 : INT32_MAX;
        shifts[i] = is_long ? -STAPES_LONG : 0;
    }
    q->channels = table;
    q->shifts = shifts;
    q->zero_point = 0;
    q->rounding = 1;
    q->minimum = -128;
    q->maximum = 127;
    return 0;
}

/* A row of the request: NULL, bytes, or zeros (all such rows are one). */
static uint32_t get_row(const int8_t **row, const int8_t **zeros) {
    const uint32_t kind = get(1);
    *row = NULL;
    if (kind == 0u) {
        return 0;
    }
    const uint32_t length = get(4);
    if (kind == 1u) {
        *row = (const int8_t *)next;
        next += length;
        return 0;
    }
    if (*zeros == NULL) {
        *zeros = take(length);
    }
    *row = *zeros;
    return *zeros == NULL ? NO_ROOM : 0u;
}

/* The answer is the output row, then the state. */
static void call_once(void) {
    copy_t copy;
    stapes_call_t call;
    const uint32_t index = get(2);
    const family_t family = (family_t)get(1);
    const uint32_t channels = copy_layer(&copy, index, family);
    call.step = get(4);
    copy.layer.steps = get(4);
    const uint32_t output = get(4), state = get(4), scratch = get(4), rows = get(4);
    const uint32_t behind = (output + 7u) & ~7u; /* where the state is */
    call.layer = &copy.layer;
    const int8_t *zeros = NULL, **table = take(rows * sizeof *table);
    uint8_t *made = take(behind + state);
    call.scratch = take(scratch);
    if (table == NULL || made == NULL || call.scratch == NULL) {
        answer(NO_ROOM, NULL, 0);
        return;
    }
    memcpy(made, next, behind + state);
    next += behind + state;
    uint32_t status = family == AS_IT_IS ? 0u : make_identity(&copy, family, channels);
    for (uint32_t i = 0; i < rows && status == 0u; i++) {
        status = get_row(&table[i], &zeros);
    }
    if (status == 0u) {
        call.output = (int8_t *)made;
        call.state = state == 0u ? NULL : made + behind;
        call.scratch = scratch == 0u ? NULL : call.scratch;
        call.rows = table;
        copy.layer.kernel(&call);
    }
    answer(status, made, status == 0u ? behind + state : 0u);
}

/* Requantisation as it is in the image: 5 numbers, then of each channel bias, multiplier and shift. */
static void read_constants(void) {
    copy_t copy;
    const uint32_t index = get(2);
    const family_t family = (family_t)get(1);
    const uint32_t channels = copy_layer(&copy, index, family);
    uint8_t *out = take(20u + 9u * channels);
    if (out == NULL) {
        answer(NO_ROOM, NULL, 0);
        return;
    }
    if (family == REDUCE_SUM) {
        const stapes_reduce_sum_t *r = &copy.parameters.reduce;
        put(out, (uint32_t)r->zero_point);
        put(out + 20, (uint32_t)r->bias);
        put(out + 24, (uint32_t)r->multiplier);
        out[28] = (uint8_t)r->shift;
    } else {
        const stapes_requantize_t *q = &copy.parameters.requantize;
        put(out, (uint32_t)q->zero_point);
        put(out + 4, (uint32_t)q->rounding);
        put(out + 8, (uint32_t)q->minimum);
        put(out + 12, (uint32_t)q->maximum);
        put(out + 16, q->is_short);
        for (uint32_t i = 0; i < channels; i++) {
            put(out + 20 + 9u * i, (uint32_t)q->channels[i].bias);
            put(out + 24 + 9u * i, (uint32_t)q->channels[i].multiplier);
            out[28 + 9u * i] = (uint8_t)q->shifts[i];
        }
    }
    answer(0, out, 20u + 9u * channels);
}

static void answer_word(uint32_t value) {
    uint8_t four[4];
    put(four, value);
    board_write(four, sizeof four);
}

/* In the order of description_of in tools/stapes/proof/device.py. */
static void describe(void) {
    const stapes_model_t *m = &stapes_app_model;
    const uint32_t tensors = (uint32_t)m->input_count + m->layer_count;
    uint32_t words = 8u + m->output_count + 3u * m->layer_count + 3u * tensors;
    for (uint32_t i = 0; i < m->layer_count; i++) {
        words += 6u * m->layers[i].input_count;
    }
    begin_answer(0, 4u * (size_t)words);
    answer_word(m->input_count);
    answer_word(m->layer_count);
    answer_word(m->output_count);
    answer_word(m->arena_bytes);
    answer_word(sizeof(void *));
    answer_word(m->output_bytes);
    answer_word(m->rows);
    answer_word(m->row_bytes);
    for (uint32_t i = 0; i < m->output_count; i++) {
        answer_word(m->outputs[i]);
    }
    for (uint32_t i = 0; i < m->layer_count; i++) {
        const stapes_layer_t *layer = &m->layers[i];
        answer_word(layer->steps);
        answer_word(layer->accumulates);
        answer_word(layer->input_count);
        for (uint32_t k = 0; k < layer->input_count; k++) {
            const stapes_input_t *input = &layer->inputs[k];
            answer_word(input->tensor);
            answer_word(input->height);
            answer_word(input->stride);
            answer_word(input->dilation);
            answer_word((uint32_t)input->before);
            answer_word((uint32_t)input->left);
        }
    }
    for (uint32_t i = 0; i < tensors; i++) {
        answer_word(m->tensors[i].rows);
        answer_word(stapes_row_bytes(&m->tensors[i]));
        answer_word((uint32_t)(int32_t)m->tensors[i].zero_point);
    }
}

static void outside_row(void) {
    const stapes_layer_t *layer = &stapes_app_model.layers[get(2)];
    const int8_t *row = layer->inputs[get(1)].outside;
    answer(row == NULL ? NOT_THERE : 0u, row, get(4));
}

/* One kernel whose sums are its biases, those of column j plus j. */
typedef struct {
    copy_t copy;
    stapes_call_t call;
    stapes_channel_t *channels;
    uint32_t count; /* channels */
} sweep_t;

/* Weights as kernels for four bits take them, in place. */
static void to_four_bits(int8_t *weights, uint32_t count) {
    uint8_t *packed = (uint8_t *)weights;
    for (uint32_t at = 0; at < count; at += 8u) {
        for (uint32_t i = 0; i < 4u; i++) {
            *packed++ = (uint8_t)((weights[at + i] + 8) | (weights[at + 4u + i] + 8) << 4);
        }
    }
}

/* `columns` sums of one input each; the bias is put in for every call. */
static uint32_t make_reduction_sweep(sweep_t *s, uint32_t columns) {
    stapes_reduce_sum_t *r = &s->copy.parameters.reduce;
    int8_t *row = take(columns);
    const int8_t **rows = take(sizeof *rows);
    s->count = 1;
    s->channels = take(sizeof *s->channels);
    s->call.output = take(columns);
    s->call.state = take(columns * sizeof(int32_t));
    if (row == NULL || rows == NULL || s->channels == NULL || s->call.output == NULL ||
        s->call.state == NULL) {
        return NO_ROOM;
    }
    for (uint32_t j = 0; j < columns; j++) {
        row[j] = (int8_t)j;
    }
    rows[0] = row;
    r->outer = r->outer_added = r->middle = r->added = 1;
    r->inner = columns;
    s->call.layer = &s->copy.layer;
    s->call.rows = rows;
    s->call.scratch = NULL;
    s->call.step = 0;
    s->copy.layer.steps = 1;
    return 0;
}

static uint32_t make_sweep(sweep_t *s, uint32_t index, family_t family, uint32_t four_bits, uint32_t first,
                           uint32_t group, uint32_t columns) {
    (void)copy_layer(&s->copy, index, family);
    if (family == REDUCE_SUM) {
        return make_reduction_sweep(s, columns);
    }
    stapes_requantize_t *q = &s->copy.parameters.requantize;
    stapes_depthwise_conv_2d_t *d = &s->copy.parameters.depthwise;
#if STAPES_MVE
    if (family == DEPTHWISE && d->kernel_height > 4u) {
        /* Such kernels run through one loop over taps, whose number is no constant: fewer are sooner done. */
        d->kernel_width = 1;
    }
#endif
    const uint32_t height = family == DEPTHWISE ? d->kernel_height : 1u;
    const uint32_t taps = family == DEPTHWISE ? height * d->kernel_width : 4u;
    const uint32_t width = family == DEPTHWISE ? d->kernel_width : 1u;
    s->count = group == 1u ? 1u : SWEPT;
    const uint32_t count = s->count, padded = (count + 3u) & ~3u;
    const uint32_t stride =
        family == DEPTHWISE && d->column_step > d->tap_step ? d->column_step / d->tap_step : 1u;
    const uint32_t step = family == DEPTHWISE ? count : 2u; /* bytes of a column of the input */
    const uint32_t bytes = ((columns - 1u) * stride + width + 1u) * step;
    s->channels = take((padded + 1u) * sizeof *s->channels);
    int8_t *shifts = take(padded);
    int8_t *weights = take(taps * padded);
    int8_t *zeros = take(bytes), *row = take(bytes);
    const int8_t **rows = take(height * sizeof *rows);
    s->call.output = take(columns * count);
    s->call.scratch = take(8u * (height + 1u) * ((columns - 1u) * stride + 2u * width) + STAPES_QUAD_BYTES +
                           64u + taps * padded);
    s->call.state = take((padded + 1u) * sizeof(int32_t));
    if (s->channels == NULL || shifts == NULL || weights == NULL || zeros == NULL || row == NULL ||
        rows == NULL || s->call.output == NULL || s->call.scratch == NULL || s->call.state == NULL) {
        return NO_ROOM;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->channels[i].multiplier = q->channels[first + i % group].multiplier;
        shifts[i] = q->shifts[first + i % group];
    }
    q->channels = s->channels;
    q->shifts = shifts;
    s->call.layer = &s->copy.layer;
    s->call.rows = rows;
    s->call.step = 0;
    s->copy.layer.steps = 1;
    for (uint32_t i = 0; i < height; i++) {
        rows[i] = i == 0u ? row : zeros;
    }
    for (uint32_t j = 0; j < columns; j++) {
        memset(row + j * stride * step, (int)j, family == DEPTHWISE ? step : 1u);
    }
    if (family == DEPTHWISE) {
        /* Ones where a window's first column is: of four channels, or of one. */
        const uint32_t block = group == 1u ? 1u : 4u, run = group == 1u ? 1u : 4u * height;
        for (uint32_t i = 0; i < count; i += block) {
            memset(weights + i * taps, 1, run);
        }
        d->weights = weights;
        d->tap_step = step;
        d->column_step = step * stride;
        d->columns = columns;
        d->channels = (uint16_t)count;
        d->quads = (uint16_t)(group == 1u ? 0u : count / 4u);
        d->pad_left = d->pad_right = 0;
    } else {
        memset(weights, 1, taps * padded);
        if (family == CONV_2D) {
            stapes_conv_2d_t *c = &s->copy.parameters.conv;
            c->weights = weights;
            c->segment_bytes = c->segment_step = c->column_step = step;
            c->pairs = 1;
            c->columns = columns;
            c->kernel_height = c->segments = c->groups = 1;
            c->channels = (uint16_t)count;
        } else {
            stapes_fully_connected_t *f = &s->copy.parameters.dense;
            f->weights = weights;
            f->row_weights = 2u * padded;
            f->row_bytes = step;
            f->channels = (uint16_t)count;
        }
    }
    if (four_bits != 0u) {
        to_four_bits(weights, taps * padded);
    }
    return 0;
}

/* Where outputs change, as 6 bytes each: number in the group, sum, output. */
static uint8_t changes[6u * 64u];
static uint32_t pending;

static void flush(void) {
    board_write(changes, pending);
    pending = 0;
}

static void report_change(uint32_t number, uint32_t sum, int8_t output) {
    if (pending == sizeof changes) {
        flush();
    }
    changes[pending] = (uint8_t)number;
    put(changes + pending + 1, sum);
    changes[pending + 5u] = (uint8_t)output;
    pending += 6u;
}

/* One channel of those that are swept. */
typedef struct {
    uint32_t low, left; /* the next sum, how many come */
    uint32_t changes;
    int32_t last; /* output */
} swept_t;

/* Whether all outputs are still the last ones, and more come: mostly so, and quickly seen by words. */
static int is_as_before(const sweep_t *s, const swept_t *each, uint32_t group, uint32_t columns) {
    uint8_t four[4];
    uint32_t pattern, word;
    if (s->count % 4u != 0u) {
        return 0;
    }
    for (uint32_t i = 0; i < 4u; i++) {
        const swept_t *one = &each[i % group];
        if (one->last > 127 || one->left <= s->count / group * columns) {
            return 0;
        }
        four[i] = (uint8_t)one->last;
    }
    memcpy(&pattern, four, sizeof pattern);
    const int8_t *const end = s->call.output + columns * s->count;
    for (const int8_t *output = s->call.output; output != end; output += 4) {
        memcpy(&word, output, sizeof word);
        if (word != pattern) {
            return 0;
        }
    }
    return 1;
}

/* `group` neighbouring channels from `first` on at once, in the places that they have in the kernel. The end
 * is 255 and the number of outputs that were looked at; a channel that changes more than `most` times ends
 * there. */
static void sweep(void) {
    sweep_t s;
    const uint32_t index = get(2);
    const family_t family = (family_t)get(1);
    const uint32_t four_bits = get(1), first = get(2), group = get(1), columns = get(1), most = get(4);
    swept_t each[MOST_GROUP];
    uint32_t compared = 0;
    if (group > MOST_GROUP || columns > MOST_COLUMNS) {
        answer(NOT_THERE, NULL, 0);
        return;
    }
    for (uint32_t g = 0; g < group; g++) {
        each[g].low = get(4);
        each[g].left = get(4);
        each[g].changes = 0;
        each[g].last = 256;
    }
    const uint32_t status = make_sweep(&s, index, family, four_bits, first, group, columns);
    answer(status, NULL, 0);
    if (status != 0u) {
        return;
    }
    for (uint32_t goes_on = 1; goes_on != 0u;) {
        for (uint32_t g = 0; g < group; g++) {
            /* The last sum again where there are no more. */
            const uint32_t end = each[g].left == 0u ? 0u : each[g].left - 1u;
            uint32_t on = 0;
            for (uint32_t i = g; i < s.count; i += group) {
                s.channels[i].bias = (int32_t)(each[g].low + (on < end ? on : end));
                on += columns;
            }
        }
        if (family == REDUCE_SUM) {
            s.copy.parameters.reduce.bias = s.channels[0].bias;
        }
        s.copy.layer.kernel(&s.call);
        if (is_as_before(&s, each, group, columns)) {
            const uint32_t some = s.count / group * columns;
            for (uint32_t g = 0; g < group; g++) {
                each[g].low += some;
                each[g].left -= some;
            }
            compared += group * some;
            continue;
        }
        goes_on = 0;
        for (uint32_t g = 0; g < group; g++) {
            uint32_t left = each[g].left;
            for (uint32_t i = g; i < s.count; i += group) {
                const int8_t *output = s.call.output + i;
                for (uint32_t j = 0; j < columns && left != 0u; j++) {
                    if (*output != each[g].last) {
                        each[g].last = *output;
                        each[g].changes++;
                        report_change(g, each[g].low + (each[g].left - left), *output);
                    }
                    output += s.count;
                    left--;
                }
            }
            compared += each[g].left - left;
            each[g].low += each[g].left - left;
            each[g].left = each[g].changes > most ? 0u : left;
            goes_on |= each[g].left;
        }
    }
    report_change(255u, compared, 0);
    flush();
}

/* What a kernel of the schedule's test finds wrong first. */
typedef enum {
    NOTHING,
#define WRONG(name, value, text) name = (value),
#include "prove.def"
} wrong_t;
static struct {
    stapes_model_t model;
    const uint8_t
        *about; /* of each layer: bytes of state and scratch, whether the output row is one of them */
    const stapes_slide_t *slide; /* NULL: single windows */
    uint32_t *made;              /* where windows share rows: steps of each layer since the beginning */
    uint32_t window, calls;
    uint32_t wrong, layer, step, input, row;
} seen;
#define ABOUT_BYTES 9u

static void is_wrong(wrong_t wrong, uint32_t layer, uint32_t step, uint32_t input, uint32_t row) {
    if (seen.wrong == NOTHING) {
        seen.wrong = (uint32_t)wrong;
        seen.layer = layer;
        seen.step = step;
        seen.input = input;
        seen.row = row;
    }
}

/* What a byte is that belongs to a row of a tensor, counted from the first window on. */
static int8_t tag(uint32_t tensor, uint32_t row, uint32_t byte) {
    return (int8_t)(uint8_t)(tensor * 151u + row * 37u + (row >> 8) * 89u + byte * 11u);
}

static void write_tags(int8_t *bytes, uint32_t count, uint32_t tensor, uint32_t row) {
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = tag(tensor, row, i);
    }
}

static int has_tags(const int8_t *bytes, uint32_t count, uint32_t tensor, uint32_t row) {
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != tag(tensor, row, i)) {
            return 0;
        }
    }
    return 1;
}

static int is_filled(const int8_t *bytes, uint32_t count, int8_t value) {
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != value) {
            return 0;
        }
    }
    return 1;
}

static uint32_t number_of(const stapes_tensor_t *tensor) {
    return (uint32_t)(tensor - seen.model.tensors);
}

/* Row `row` of this window, counted from the first window on: kept rows are rows of the window before, and
 * windows that slide share rows. */
static uint32_t row_number(const stapes_tensor_t *tensor, uint32_t row) {
    if (seen.slide != NULL && number_of(tensor) <= seen.slide->trunk) {
        return seen.window * seen.slide->advance[number_of(tensor)] + row;
    }
    return seen.window * (tensor->rows - stapes_kept_rows(&seen.model, tensor)) + row;
}

static int holds(const stapes_tensor_t *tensor, uint32_t number, const int8_t *bytes) {
    const uint32_t count = stapes_row_bytes(tensor);
    if (number < stapes_kept_rows(&seen.model, tensor)) {
        const int8_t *initial = seen.model.states[tensor->state - 1u].initial;
        return initial == NULL ? is_filled(bytes, count, tensor->zero_point)
                               : memcmp(bytes, initial + number * count, count) == 0;
    }
    return has_tags(bytes, count, number_of(tensor), number);
}

static int meet(const void *one, uint32_t bytes, const void *other, uint32_t others) {
    const uintptr_t a = (uintptr_t)one, b = (uintptr_t)other;
    return bytes != 0u && others != 0u && a < b + others && b < a + bytes;
}

/* What a call reads, keeps and writes lies apart. */
static int is_apart(const stapes_call_t *call, uint32_t state, uint32_t scratch, uint32_t output) {
    const int8_t *const *rows = call->rows;
    if (meet(call->state, state, call->scratch, scratch) || meet(call->output, output, call->state, state) ||
        meet(call->output, output, call->scratch, scratch)) {
        return 0;
    }
    for (uint32_t i = 0; i < call->layer->input_count; i++) {
        const stapes_input_t *input = &call->layer->inputs[i];
        const uint32_t bytes = stapes_row_bytes(&seen.model.tensors[input->tensor]);
        for (uint32_t k = 0; k < input->height; k++) {
            const int8_t *row = *rows++;
            if (row != NULL && row != input->outside &&
                (meet(row + input->left, bytes, call->state, state) ||
                 meet(row + input->left, bytes, call->scratch, scratch) ||
                 meet(row + input->left, bytes, call->output, output))) {
                return 0;
            }
        }
    }
    return 1;
}

/* In the place of every kernel: the rows are those that the layer's windows ask for, with what made them
 * last. */
static void look(const stapes_call_t *call) {
    const stapes_layer_t *layer = call->layer;
    const uint32_t index = (uint32_t)(layer - seen.model.layers), step = call->step;
    const int8_t *const *rows = call->rows;
    const int runs_on = seen.slide != NULL && index < seen.slide->trunk;
    const uint32_t turn = runs_on ? seen.made[index]++ : step;
    seen.calls++;
    for (uint32_t i = 0; i < layer->input_count; i++) {
        const stapes_input_t *input = &layer->inputs[i];
        const stapes_tensor_t *source = &seen.model.tensors[input->tensor];
        for (uint32_t k = 0; k < input->height; k++) {
            const int32_t row = (int32_t)(step * input->stride + k * input->dilation) - input->before;
            const int8_t *bytes = *rows++;
            if (!runs_on && (row < 0 || row >= (int32_t)source->rows)) {
                if (bytes != input->outside) {
                    is_wrong(OUTSIDE, index, step, i, k);
                }
            } else if (source->height == 0u) {
                if (bytes != source->at.data + source->stride * (uint32_t)row) {
                    is_wrong(CONSTANT, index, step, i, k);
                }
            } else {
                bytes += input->left;
                const uint32_t number = turn * input->stride + k * input->dilation;
                if (!holds(source, runs_on ? number : row_number(source, (uint32_t)row), bytes)) {
                    is_wrong(ROW, index, step, i, k);
                }
                if (!is_filled(bytes - source->padding, source->padding, source->zero_point) ||
                    !is_filled(bytes + stapes_row_bytes(source), source->padding, source->zero_point)) {
                    is_wrong(PADDING, index, step, i, k);
                }
            }
        }
    }
    next = seen.about + ABOUT_BYTES * index;
    const uint32_t state = get(4), scratch = get(4), grows = get(1);
    const uint32_t before = seen.window * layer->steps + step;
    const stapes_tensor_t *made = stapes_layer_output(&seen.model, index);
    const uint32_t bytes = stapes_row_bytes(made), tensor = seen.model.input_count + index;
    const int writes = !layer->accumulates || step + 1u == layer->steps || grows != 0u;
    if (!is_apart(call, call->state == NULL ? 0u : state, call->scratch == NULL ? 0u : scratch,
                  writes ? bytes : 0u)) {
        is_wrong(OVERLAP, index, step, 0, 0);
    }
    const int is_first = step == 0u && (layer->accumulates || before == 0u);
    if (call->state != NULL && state != 0u) {
        if (!is_first && !has_tags(call->state, state, 7u * index, before)) {
            is_wrong(STATE, index, step, 0, 0);
        }
        write_tags(call->state, state, 7u * index, before + 1u);
    }
    if (call->scratch != NULL) {
        memset(call->scratch, 0x5a, scratch);
    }
    if (grows != 0u && step != 0u && !has_tags(call->output, bytes, tensor + 1u, before)) {
        is_wrong(OUTPUT_ROW, index, step, 0, 0);
    }
    if (!layer->accumulates || step + 1u == layer->steps) {
        const uint32_t row = stapes_kept_rows(&seen.model, made) + (layer->accumulates ? 0u : step);
        write_tags(call->output, bytes, tensor, runs_on ? turn : row_number(made, row));
    } else if (grows != 0u) {
        write_tags(call->output, bytes, tensor + 1u, before + 1u);
    }
}

static void check_outputs(const stapes_engine_t *engine) {
    for (uint32_t i = 0; i < seen.model.output_count; i++) {
        const stapes_tensor_t *tensor = &seen.model.tensors[seen.model.outputs[i]];
        const int8_t *bytes = stapes_engine_output(engine, i);
        for (uint32_t k = 0; k < tensor->rows; k++) {
            if (!holds(tensor, row_number(tensor, k), bytes + k * tensor->stride)) {
                is_wrong(RESULT, i, 0, 0, k);
            }
        }
    }
}

/* Windows one after the other, each from its first row on; `row` has room for an input's. */
static void run_single(stapes_engine_t *engine, uint32_t windows, int8_t *row) {
    int status = 0;
    for (; seen.window < windows; seen.window++) {
        status = status < 0 ? status : stapes_engine_next(engine);
        for (uint32_t input = 0; input < seen.model.input_count; input++) {
            const stapes_tensor_t *tensor = &seen.model.tensors[input];
            for (uint32_t i = stapes_kept_rows(&seen.model, tensor); i < tensor->rows && status >= 0; i++) {
                write_tags(row, stapes_row_bytes(tensor), input, row_number(tensor, i));
                status = stapes_engine_push_input_row(engine, input, row);
            }
        }
        if (status != 1) {
            is_wrong(ENDING, 0, 0, 0, (uint32_t)status);
        }
        check_outputs(engine);
    }
}

#if STAPES_APP_MODEL_SLIDES
/* Windows that share rows: one stream. */
static void run_sliding(stapes_engine_t *engine, uint32_t windows, int8_t *row) {
    const uint32_t rows = seen.model.rows, hop = stapes_app_slide.hop;
    for (uint32_t i = 0; seen.window < windows; i++) {
        write_tags(row, seen.model.row_bytes, 0, i);
        const int is_last = i + 1u >= rows && (i + 1u - rows) % hop == 0u;
        if (stapes_slide_row(engine, &stapes_app_slide, row) != is_last) {
            is_wrong(ENDING, 0, 0, 0, i);
            return;
        }
        if (is_last) {
            check_outputs(engine);
            seen.window++;
        }
    }
}
#endif

/* Some windows by the engine, whose rows hold nothing but who they are. */
static void run_schedule(void) {
    stapes_engine_t engine;
    const uint32_t slides = get(1), windows = get(4), count = stapes_app_model.layer_count;
    memset(&seen, 0, sizeof seen);
    seen.model = stapes_app_model;
    seen.about = next;
    seen.made = take(count * sizeof *seen.made);
    stapes_layer_t *layers = take(count * sizeof *layers);
    int8_t *row = take(STAPES_APP_MODEL_LONGEST_INPUT_ROW);
    uint8_t *out = take(24);
    if (seen.made == NULL || layers == NULL || row == NULL || out == NULL) {
        answer(NO_ROOM, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        layers[i] = stapes_app_model.layers[i];
        layers[i].kernel = look;
    }
    seen.model.layers = layers;
    (void)stapes_engine_init(&engine, &seen.model, arena, sizeof arena);
    if (slides == 0u) {
        run_single(&engine, windows, row);
    } else {
#if STAPES_APP_MODEL_SLIDES
        seen.slide = &stapes_app_slide;
        run_sliding(&engine, windows, row);
#else
        is_wrong(ENDING, 0, 0, 0, 0);
#endif
    }
    put(out, seen.wrong);
    put(out + 4, seen.layer);
    put(out + 8, seen.step);
    put(out + 12, seen.input);
    put(out + 16, seen.row);
    put(out + 20, seen.calls);
    answer(0, out, 24);
}

/* What softmax is made of, by the kernel's source. */
#define stapes_softmax     softmax_here
#define stapes_log_softmax log_softmax_here
#include "../runtime/src/kernel_softmax.c"
#undef stapes_softmax
#undef stapes_log_softmax

/* Of `count` differences from the greatest input, from 0 down, the exponentials; -1 where there is none.
 * Behind them a LOG_SOFTMAX has its way back from exponentials to differences. */
static void exponentials(void) {
    const uint32_t is_log = get(1);
    const void *parameters = stapes_app_model.layers[get(2)].parameters;
    const int32_t count = (int32_t)get(4);
    stapes_log_softmax_t p = {0};
    uint8_t four[4];
    if (is_log != 0u) {
        p = *(const stapes_log_softmax_t *)parameters;
    } else {
        const stapes_softmax_t *q = parameters;
        p.multiplier = q->multiplier;
        p.shift = q->shift;
        p.minimum_difference = q->minimum_difference;
    }
    begin_answer(0, 4u * (size_t)count + 8u);
    for (int32_t i = 0; i > -count; i--) {
        const int exists = i >= p.minimum_difference;
        put(four, exists ? (uint32_t)exp_negative(stapes_multiply(i, p.multiplier, p.shift)) : UINT32_MAX);
        board_write(four, sizeof four);
    }
    put(four, (uint32_t)p.reverse_multiplier);
    board_write(four, sizeof four);
    put(four, (uint32_t)(int32_t)p.reverse_shift);
    board_write(four, sizeof four);
}

/* Of `count` sums of exponentials the reciprocals or the logarithms: that of the first, then by how much each
 * is more than the one before (16 bits; -32768 where they are too few). */
static void of_sums(void) {
    static uint8_t piece[2u * 128u];
    const uint32_t is_log = get(1), first = get(4), count = get(4);
    uint32_t filled = 0;
    int32_t before = 0;
    begin_answer(0, 2u * (size_t)count + 2u);
    for (uint32_t sum = first; sum - first < count; sum++) {
        const uint32_t fraction = (sum << leading_zeros(sum)) - 0x80000000u;
        const int32_t value = is_log != 0u ? logarithm((int32_t)sum) : reciprocal((int32_t)fraction);
        const int32_t more = value - before;
        if (sum == first) {
            put(piece, (uint32_t)value);
            filled = 4;
        } else {
            const uint32_t half = more == (int16_t)more ? (uint32_t)more : 0x8000u;
            piece[filled++] = (uint8_t)half;
            piece[filled++] = (uint8_t)(half >> 8);
        }
        before = value;
        if (filled == sizeof piece) {
            board_write(piece, filled);
            filled = 0;
        }
    }
    board_write(piece, filled);
}

static uint32_t layer_crc[STAPES_APP_MODEL_LAYER_COUNT];

static void note_row(void *context, uint16_t layer, uint32_t row, const int8_t *data, size_t bytes) {
    (void)context;
    (void)row;
    layer_crc[layer] = stapes_crc32(layer_crc[layer], data, bytes);
}

static void push_row(void) {
    static stapes_engine_t engine;
    const uint32_t begins = get(1), input = get(2);
    int status = 0;
    if (begins != 0u) {
        /* 2: from the beginning; the schedule's windows use the same arena. */
        status = begins == 2u ? stapes_engine_init(&engine, &stapes_app_model, arena, sizeof arena)
                              : stapes_engine_next(&engine);
        (void)stapes_engine_set_observer(&engine, note_row, NULL);
        memset(layer_crc, 0, sizeof layer_crc);
    }
    if (status >= 0) {
        status = stapes_engine_push_input_row(&engine, input, (const int8_t *)next);
    }
    uint8_t *out = take(4u * STAPES_APP_MODEL_LAYER_COUNT);
    if (status < 0 || out == NULL) {
        answer(status < 0 ? NOT_THERE : NO_ROOM, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < STAPES_APP_MODEL_LAYER_COUNT; i++) {
        put(out + 4u * i, layer_crc[i]);
    }
    answer(0, out, status == 1 ? 4u * STAPES_APP_MODEL_LAYER_COUNT : 0u);
}

static void serve(uint8_t letter) {
    if (letter == 'H') {
        static const uint8_t about[] = {STAPES_DSP, STAPES_MVE};
        answer(0, about, sizeof about);
    } else if (letter == 'C') {
        call_once();
    } else if (letter == 'R') {
        read_constants();
    } else if (letter == 'D') {
        describe();
    } else if (letter == 'O') {
        outside_row();
    } else if (letter == 'S') {
        sweep();
    } else if (letter == 'T') {
        run_schedule();
    } else if (letter == 'X') {
        exponentials();
    } else if (letter == 'Y') {
        of_sums();
    } else if (letter == 'E') {
        push_row();
    } else {
        answer(NOT_THERE, NULL, 0);
    }
}

int main(void) {
    serve_requests();
}
