"""Operators on int16 activations with int8 weights; those that only move bytes are in lower_move."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.lower_conv import transpose_window, window_of
from stapes.compiler.lower_elementwise import add_fields, binary, mul_fields
from stapes.compiler.lower_pool import reduce
from stapes.compiler.plan import Array, Fields, Input
from stapes.graph import Op
from stapes.int8 import int16
from stapes.int8.arithmetic import activation_range, limits_of, reduced_multiplier
from stapes.int8.conv import output_multipliers, sums_are_wide

BYTES = 2
"""Of an element."""
WHY = "activations of 16 bits: portable C on every core"


def _limits(builder: Builder, op: Op) -> Fields:
    output = builder.tensor(op.outputs[0])
    low, high = activation_range(op.text("activation"), output.scale, 0, limits_of(output.dtype))
    return {"minimum": low, "maximum": high}


def _channels(builder: Builder, op: Op, channels: int, position: int) -> Array:
    """Biases, multipliers and shifts of all output channels; the input `position` holds biases, or none."""
    multipliers, shifts = (
        np.broadcast_to(each, (channels,)) for each in output_multipliers(builder.graph, op)
    )
    if sums_are_wide(builder.graph, op):
        multipliers = reduced_multiplier(multipliers).astype(np.int32)
    biases = np.zeros(channels, np.int64)
    if len(op.inputs) > position and op.inputs[position] >= 0:
        given = builder.tensor(op.inputs[position]).data
        assert given is not None
        biases = given.astype(np.int64).reshape(-1)
    table = np.stack([biases, multipliers.astype(np.int64), shifts.astype(np.int64)], axis=1)
    return Array("stapes_channel_int16_t", table)


def _weights(builder: Builder, op: Op) -> npt.NDArray[np.int8]:
    data = builder.tensor(op.inputs[1]).data
    assert data is not None
    return data.astype(np.int8)


def _add_conv(
    builder: Builder,
    op: Op,
    *,
    weights: npt.NDArray[np.int8],
    window: Input,
    shape: Shape,
    columns: int,
    groups: int,
    fields: Fields,
    details: str,
) -> None:
    """`weights` [output channels, …], those of one group one after the other."""
    channels = weights.shape[0]
    builder.add_layer(
        op=op,
        kernel="conv_2d_int16",
        why=WHY,
        inputs=(window,),
        shape=shape,
        fields={
            "channels": _channels(builder, op, channels, 2),
            "weights": Array("int8_t", np.ascontiguousarray(weights).reshape(-1)),
            "columns": columns,
            "groups": groups,
            "group_channels": channels // groups,
            "kernel_height": window.height,
            "is_narrow": int(not sums_are_wide(builder.graph, op)),
            **_limits(builder, op),
            **fields,
        },
        macs=shape.rows * columns * weights.size,
        details=details,
    )


def conv_2d(builder: Builder, op: Op) -> None:
    """Any kernel, stride, dilation, padding, groups."""
    _windows(builder, op, _weights(builder, op))


def depthwise_conv_2d(builder: Builder, op: Op) -> None:
    """Any depth multiplier: as many groups as input channels."""
    weights = _weights(builder, op)[0]
    _windows(builder, op, np.moveaxis(weights, 2, 0)[..., None])


def _windows(builder: Builder, op: Op, weights: npt.NDArray[np.int8]) -> None:
    """`weights` [output channels, kernel height, kernel width, input channels of one group]."""
    _, kernel_h, kernel_w, depth = weights.shape
    window = window_of(builder, op, kernel_h, kernel_w, may_pad=True)
    column = BYTES * window.shape.channels
    dilation = op.integer("dilation_w") * column
    groups = window.shape.channels // depth
    shape = builder.shape(op.outputs[0])
    # A depthwise tap is one run across the columns; otherwise a run for each column.
    segments, count, step = (1, kernel_w, dilation) if depth == 1 else (kernel_w, depth, BYTES)
    if depth > 1 and groups == 1 and op.integer("dilation_w") == 1:
        segments, count = 1, kernel_w * depth
    _add_conv(
        builder,
        op,
        weights=weights,
        window=Input(
            window.source,
            height=kernel_h,
            stride=op.integer("stride_h"),
            dilation=op.integer("dilation_h"),
            before=window.before,
            left=window.left * column,
            right=window.right * column,
            fills_outside=window.before > 0 or window.bottom > 0,
        ),
        shape=shape,
        columns=shape.columns,
        groups=groups,
        fields={
            "segments": segments,
            "count": count,
            "segment_step": dilation,
            "input_step": step,
            "column_step": op.integer("stride_w") * column,
            "group_step": BYTES * depth,
        },
        details=f"kernel {kernel_h}x{kernel_w}, {groups} groups, {op.text('padding')}, {op.text('activation')}",
    )


def fully_connected(builder: Builder, op: Op) -> None:
    """One output row per input row where the weights fit a row; otherwise sums over all rows."""
    weights = _weights(builder, op)
    channels, depth = weights.shape
    source = builder.tensor(op.inputs[0])
    shape = builder.shape(op.outputs[0])
    columns, count = shape.columns, depth
    if source.elements == depth:
        number = builder.whole(op.inputs[0])
        storage = builder.storage(number)
        window = Input(number, height=storage.rows, stride=0)
        shape, columns, count = Shape(1, 1, BYTES * channels), 1, storage.row_bytes // BYTES
    else:
        window = Input(builder.source(op, op.inputs[0], Shape(shape.rows, columns, BYTES * depth)))
    _add_conv(
        builder,
        op,
        weights=weights,
        window=window,
        shape=shape,
        columns=columns,
        groups=1,
        fields={
            "segments": 1,
            "count": count,
            "segment_step": 0,
            "input_step": BYTES,
            "column_step": BYTES * depth,
            "group_step": 0,
        },
        details=f"{depth} to {channels}, {op.text('activation')}",
    )


def transpose_conv(builder: Builder, op: Op) -> None:
    """Every output gathers what the inputs scatter."""
    weights = _weights(builder, op)
    window, shapes = transpose_window(builder, op)
    output = builder.shape(op.outputs[0])
    builder.add_layer(
        op=op,
        kernel="transpose_conv_int16",
        why=WHY,
        inputs=(window,),
        fields={
            "channels": _channels(builder, op, weights.shape[0], 3),
            "weights": Array("int8_t", weights.reshape(-1)),
            **shapes,
            **_limits(builder, op),
        },
        macs=output.rows * output.columns * weights.size,
        knows_row=True,
    )


def add(builder: Builder, op: Op) -> None:
    """ADD and SUB."""
    binary(builder, op, "add_int16", add_fields(builder, op))


def mul(builder: Builder, op: Op) -> None:
    """MUL."""
    binary(builder, op, "mul_int16", mul_fields(builder, op))


def maximum_or_minimum(builder: Builder, op: Op) -> None:
    """MAXIMUM and MINIMUM: equal steps on all sides."""
    binary(builder, op, f"{op.kind.lower()}_int16", {})


def _alone(builder: Builder, op: Op, kernel: str, fields: Fields) -> None:
    """A layer of single elements."""
    builder.add_layer(
        op=op, kernel=kernel, inputs=(Input(builder.source(op, op.inputs[0])),), fields=fields, why=WHY
    )


def rescale(builder: Builder, op: Op) -> None:
    """QUANTIZE, RELU, RELU6, LEAKY_RELU."""
    source, output = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    constants = int16.RescaleConstants.of(builder.graph, op)
    shape = builder.shape(op.outputs[0])
    fields: Fields = {
        "multiplier": constants.positive[0],
        "negative_multiplier": constants.negative[0],
        "shift": constants.positive[1],
        "negative_shift": constants.negative[1],
        "input_bytes": source.dtype.itemsize,
        "output_bytes": output.dtype.itemsize,
        "offset": -source.zero_point,
        "zero_point": output.zero_point,
        "minimum": constants.minimum,
        "maximum": constants.maximum,
        "count": shape.row_bytes // output.dtype.itemsize,
    }
    _alone(builder, op, "rescale", fields)


def sigmoid(builder: Builder, op: Op) -> None:
    """LOGISTIC and TANH."""
    is_tanh = op.kind == "TANH"
    multiplier, shift = int16.sigmoid_scaling(builder.tensor(op.inputs[0]), is_tanh=is_tanh)
    fields: Fields = {
        "multiplier": multiplier,
        "shift": shift,
        "is_tanh": int(is_tanh),
        "count": builder.shape(op.outputs[0]).row_bytes // BYTES,
    }
    _alone(builder, op, "sigmoid_int16", fields)


def softmax(builder: Builder, op: Op) -> None:
    """SOFTMAX over the last axis."""
    multiplier, shift = int16.softmax_scaling(builder.tensor(op.inputs[0]), op.real("beta"))
    shape = builder.shape(op.outputs[0])
    fields: Fields = {
        "exponentials": Array("int16_t", int16.exponentials()),
        "reciprocals": Array("int16_t", int16.reciprocals()),
        "multiplier": multiplier,
        "shift": shift,
        "columns": shape.columns,
        "channels": shape.channels // BYTES,
    }
    _alone(builder, op, "softmax_int16", fields)


def pool_2d(builder: Builder, op: Op) -> None:
    """Windows of the whole kernel's height."""
    kernel_h, kernel_w = op.integer("kernel_h"), op.integer("kernel_w")
    window = window_of(builder, op, kernel_h, kernel_w, may_pad=False)
    output = builder.shape(op.outputs[0])
    # Rows below the map need no place in a window that is higher than it.
    height = min(kernel_h, window.shape.rows + window.before) if output.rows == 1 else kernel_h
    builder.add_layer(
        op=op,
        kernel=f"{'average' if op.kind == 'AVERAGE_POOL_2D' else 'max'}_pool_2d_int16",
        why=WHY,
        inputs=(Input(window.source, height=height, stride=op.integer("stride_h"), before=window.before),),
        fields={
            "kernel_width": kernel_w,
            "stride_width": op.integer("stride_w"),
            "pad_left": window.left,
            "input_columns": window.shape.columns,
            "columns": output.columns,
            "channels": output.channels // BYTES,
            "kernel_height": height,
            **_limits(builder, op),
        },
        details=f"kernel {kernel_h}x{kernel_w}, {op.text('padding')}",
    )


LOWERINGS = {
    "ADD": Lowering(add, ("add_int16",)),
    "AVERAGE_POOL_2D": Lowering(pool_2d, ("average_pool_2d_int16",)),
    "CONV_2D": Lowering(conv_2d, ("conv_2d_int16",)),
    "DEPTHWISE_CONV_2D": Lowering(depthwise_conv_2d, ("conv_2d_int16",)),
    "FULLY_CONNECTED": Lowering(fully_connected, ("conv_2d_int16",)),
    "LEAKY_RELU": Lowering(rescale, ("rescale",)),
    "LOGISTIC": Lowering(sigmoid, ("sigmoid_int16",)),
    "MAXIMUM": Lowering(maximum_or_minimum, ("maximum_int16",)),
    "MAX_POOL_2D": Lowering(pool_2d, ("max_pool_2d_int16",)),
    "MEAN": Lowering(reduce, ("reduce_sum_int16",)),
    "MINIMUM": Lowering(maximum_or_minimum, ("minimum_int16",)),
    "MUL": Lowering(mul, ("mul_int16",)),
    "QUANTIZE": Lowering(rescale, ("rescale",)),
    "RELU": Lowering(rescale, ("rescale",)),
    "RELU6": Lowering(rescale, ("rescale",)),
    "SOFTMAX": Lowering(softmax, ("softmax_int16",)),
    "SUB": Lowering(add, ("add_int16",)),
    "SUM": Lowering(reduce, ("reduce_sum_int16",)),
    "TANH": Lowering(sigmoid, ("sigmoid_int16",)),
    "TRANSPOSE_CONV": Lowering(transpose_conv, ("transpose_conv_int16",)),
}
