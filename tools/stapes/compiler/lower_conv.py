"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler.bounds import SumBounds, sum_bounds
from stapes.compiler.builder import VIEWS, Builder, Lowering, Pad, Shape
from stapes.compiler.pack import (
    can_carry,
    exceeds_carry,
    pack_depthwise,
    pack_int4,
    pack_pairs,
    patch_order,
    unpacked_bytes,
)
from stapes.compiler.plan import Array, Fields, Input
from stapes.compiler.structures import macro
from stapes.graph import Op
from stapes.int8.arithmetic import activation_range, padding_before, quantize_multiplier
from stapes.int8.conv import output_multipliers

CARRY = "two channels in one multiplication where there are DSP instructions"
NO_CARRY = "no two channels in one multiplication: a weight of -128 beside a negative one"
INT4 = "weights of four bits, unpacked in front of the products"


@dataclass(frozen=True)
class Window:
    """Where a convolution's or pool's windows lie on the stored (unpadded) map."""

    source: int
    shape: Shape
    before: int
    left: int
    right: int
    bottom: int
    """Rows of the last window that lie under the map."""


def window_of(builder: Builder, op: Op, kernel_h: int, kernel_w: int, may_pad: bool) -> Window:
    """The windows of `op`, padding operators in front of it included."""
    index = op.inputs[0]
    pad = builder.pads.get(index) if may_pad else None
    pad = pad or Pad(index, 0, 0, 0, 0)
    if builder.tensor(pad.tensor).shape[0] != 1:
        raise builder.refuse(op, f"a batch of {builder.tensor(pad.tensor).shape[0]}", "export a batch of 1")
    shape = Shape.of(builder.tensor(pad.tensor).shape)
    output = Shape.of(builder.tensor(op.outputs[0]).shape)
    stride_h, stride_w = op.integer("stride_h"), op.integer("stride_w")
    dilation_h, dilation_w = _dilation(op)
    padding = op.text("padding")
    before = pad.top + padding_before(
        padding, shape.rows + pad.top + pad.bottom, kernel_h, stride_h, dilation_h
    )
    left = pad.left + padding_before(
        padding, shape.columns + pad.left + pad.right, kernel_w, stride_w, dilation_w
    )
    last_row = (output.rows - 1) * stride_h + (kernel_h - 1) * dilation_h - before
    last_column = (output.columns - 1) * stride_w + (kernel_w - 1) * dilation_w - left
    return Window(
        builder.source(op, pad.tensor),
        shape,
        before,
        left,
        max(0, last_column + 1 - shape.columns),
        max(0, last_row + 1 - shape.rows),
    )


def _dilation(op: Op) -> tuple[int, int]:
    return (op.integer("dilation_h"), op.integer("dilation_w")) if "dilation_h" in op.attributes else (1, 1)


def requantization(
    builder: Builder,
    op: Op,
    weights: npt.NDArray[np.int8],
    spare: int = 0,
    long: npt.NDArray[np.bool_] | None = None,
) -> Fields:
    """The fields of stapes_requantize_t; `weights` [channels, inputs of one output], `spare` empty channels, `long`:
    channels that must not be requantised with the others.
    """
    output = builder.tensor(op.outputs[0])
    channels = weights.shape[0]
    multipliers, shifts = (np.broadcast_to(a, (channels,)) for a in output_multipliers(builder.graph, op))
    # Partial sums wrap as the reference's would; the total is the same modulo 2^32.
    folded = _biases(builder, op, weights).astype(np.int32)
    largest = bounds_of(builder, op, weights).largest
    right = -shifts.astype(np.int64)
    offsets = (np.abs(2 * output.zero_point + 1) << np.clip(right, 1, 31)) >> 1
    is_short = (right >= 1) & (largest < 2**29) & (largest + offsets < 2**31)
    if long is not None:
        is_short &= ~long
    low, high = activation_range(op.text("activation"), output.scale, output.zero_point)
    table = np.stack([folded, multipliers], axis=1)
    table = np.concatenate([table, np.zeros((spare, 2), table.dtype)])
    return {
        "channels": Array("stapes_channel_t", table),
        "shifts": Array(
            "int8_t", np.where(is_short, right - 1, -right - macro("STAPES_LONG")).astype(np.int8)
        ),
        "zero_point": output.zero_point,
        "rounding": 2 * output.zero_point + 1,
        "minimum": low,
        "maximum": high,
        "is_short": int(is_short.all()),
    }


def bounds_of(builder: Builder, op: Op, weights: npt.NDArray[np.int8]) -> SumBounds:
    """What sums of `op` can reach, for all that its input can hold."""
    return sum_bounds(weights, _biases(builder, op, weights), builder.range_of(op.inputs[0]))


def _biases(builder: Builder, op: Op, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """With the input's zero point in them: sum((q - z) w) = sum(q w) - z sum(w)."""
    bias: npt.NDArray[np.int64] = -builder.tensor(op.inputs[0]).zero_point * weights.astype(np.int64).sum(
        axis=1
    )
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        given = builder.tensor(op.inputs[2]).data
        assert given is not None
        bias = bias + given.astype(np.int64).reshape(-1)
    return bias


def conv_2d(builder: Builder, op: Op) -> None:
    """Any kernel, stride, dilation, padding, groups; with a group for every input channel it is depthwise."""
    weights = _constant(builder, op)
    channels, kernel_h, kernel_w, depth = weights.shape
    groups = Shape.of(builder.tensor(op.inputs[0]).shape).channels // depth
    if depth == 1 and groups > 1:
        _depthwise(builder, op, np.moveaxis(weights[..., 0], 0, 2), channels // groups)
    else:
        _convolution(builder, op, weights, kernel_h, kernel_w, groups)


def depthwise_conv_2d(builder: Builder, op: Op) -> None:
    """Any depth multiplier; with one input channel it is an ordinary convolution."""
    weights = _constant(builder, op)[0]
    kernel_h, kernel_w, channels = weights.shape
    multiplier = op.integer("depth_multiplier")
    if multiplier == channels:
        _convolution(builder, op, np.moveaxis(weights, 2, 0)[..., None], kernel_h, kernel_w, 1)
    else:
        _depthwise(builder, op, weights, multiplier)


def _depthwise(builder: Builder, op: Op, weights: npt.NDArray[np.int8], multiplier: int) -> None:
    """`weights` [kernel_h, kernel_w, output channels], `multiplier` output channels for each input channel."""
    kernel_h, kernel_w, channels = weights.shape
    window = window_of(builder, op, kernel_h, kernel_w, may_pad=True)
    output = Shape.of(builder.tensor(op.outputs[0]).shape)
    depth = window.shape.channels
    requantize = requantization(builder, op, weights.reshape(-1, channels).T)
    fast = multiplier == 1 and op.integer("dilation_w") == 1
    quads = channels // 4 if fast else 0
    gathered = (output.columns - 1) * op.integer("stride_w") + kernel_w
    kernel, why = "depthwise_conv_2d", f"{4 * quads} of {channels} channels by fours"
    simple = quads * 4 == channels and requantize["is_short"] == 1
    if simple and output.columns == 1 and kernel_w == 1:
        kernel, why = "depthwise_column", "all channels by fours, a kernel for one column"
    elif simple and output.columns > 1 and (kernel_h, kernel_w) in ((3, 3), (5, 5)):
        kernel, why = (
            f"depthwise_{kernel_h}x{kernel_w}",
            "all channels by fours, a kernel with code of its own",
        )
    packed = pack_depthwise(weights, quads)
    constants = Array("int8_t", packed, rows=kernel_h, fours=4 * quads * kernel_h * kernel_w)
    scratch = 8 * max(kernel_h, 2) * (gathered + kernel_w) + macro("STAPES_QUAD_BYTES") if quads else 0
    if _is_int4(builder, op):
        kernel, why = "depthwise_int4", INT4
        constants = Array("int8_t", pack_int4(packed, packed.size))
        scratch += unpacked_bytes(packed.size)
    builder.add_layer(
        op=op,
        kernel=kernel,
        why=why,
        inputs=(_input(op, window, kernel_h, depth),),
        fields={
            "requantize": requantize,
            "weights": constants,
            "kernel_height": kernel_h,
            "kernel_width": kernel_w,
            "tap_step": op.integer("dilation_w") * depth,
            "column_step": op.integer("stride_w") * depth,
            "columns": output.columns,
            "channels": channels,
            "quads": quads,
            "multiplier": multiplier,
            "pad_left": window.left if window.left + window.right < gathered else 0,
            "pad_right": window.right if window.left + window.right < gathered else 0,
        },
        macs=output.rows * output.row_bytes * kernel_h * kernel_w,
        scratch_bytes=scratch,
        details=_details(op, kernel_h, kernel_w),
    )


def _constant(builder: Builder, op: Op) -> npt.NDArray[np.int8]:
    data = builder.tensor(op.inputs[1]).data
    assert data is not None
    return data.astype(np.int8)


def _is_int4(builder: Builder, op: Op) -> bool:
    return builder.tensor(op.inputs[1]).type_name == "INT4"


def _details(op: Op, kernel_h: int, kernel_w: int) -> str:
    return (
        f"kernel {kernel_h}x{kernel_w}, stride {op.integer('stride_h')}x{op.integer('stride_w')}, "
        f"{op.text('padding')}, {op.text('activation')}"
    )


def _input(op: Op, window: Window, kernel_h: int, depth: int) -> Input:
    return Input(
        window.source,
        height=kernel_h,
        stride=op.integer("stride_h"),
        dilation=_dilation(op)[0],
        before=window.before,
        left=window.left * depth,
        right=window.right * depth,
        fills_outside=window.before > 0 or window.bottom > 0,
    )


def _convolution(
    builder: Builder, op: Op, weights: npt.NDArray[np.int8], kernel_h: int, kernel_w: int, groups: int
) -> None:
    """`weights` [channels, kernel_h, kernel_w, input channels of one group]."""
    window = window_of(builder, op, kernel_h, kernel_w, may_pad=True)
    channels, *_, depth = weights.shape
    all_depth = window.shape.channels
    dilation_w = op.integer("dilation_w")
    output = Shape.of(builder.tensor(op.outputs[0]).shape)
    in_one_run = groups == 1 and (dilation_w == 1 or kernel_w == 1)
    segments, segment_size = (1, kernel_w * depth) if in_one_run else (kernel_w, depth)
    _add_conv(
        builder,
        op,
        weights=weights.reshape(channels, -1),
        window=_input(op, window, kernel_h, all_depth),
        segments=segments,
        segment_size=segment_size,
        segment_step=dilation_w * all_depth,
        column_step=op.integer("stride_w") * all_depth,
        shape=output,
        groups=groups,
        details=_details(op, kernel_h, kernel_w) + (f", {groups} groups" if groups > 1 else ""),
    )


def _add_conv(
    builder: Builder,
    op: Op,
    *,
    weights: npt.NDArray[np.int8],
    window: Input,
    segments: int,
    segment_size: int,
    segment_step: int,
    column_step: int,
    shape: Shape,
    groups: int,
    details: str,
) -> None:
    order = patch_order(window.height * segments, segment_size)
    per_group = weights.shape[0] // groups
    parts = [slice(start, start + per_group) for start in range(0, weights.shape[0], per_group)]
    packed = [pack_pairs(weights[part], order) for part in parts]
    carried = all(can_carry(weights[part]) for part in parts)
    long, why = None, NO_CARRY
    if carried:
        bounds = bounds_of(builder, op, weights)
        long = np.concatenate([exceeds_carry(bounds.lowest[part], bounds.highest[part]) for part in parts])
        why = CARRY
    kernel = "conv_2d_carry" if carried else "conv_2d"
    constants = Array("int8_t", np.concatenate(packed), carried)
    scratch = 2 * len(order) * min(macro("STAPES_TILE"), shape.columns)
    if _is_int4(builder, op):
        kernel, why = "conv_2d_int4", INT4
        constants = Array("int8_t", pack_int4(np.concatenate(packed), 2 * len(order)))
        scratch += unpacked_bytes(2 * len(order))
    builder.add_layer(
        op=op,
        kernel=kernel,
        why=why,
        inputs=(window,),
        shape=shape,
        fields={
            # The kernel takes channels by twos: behind a last odd one there is a spare.
            "requantize": requantization(builder, op, weights, per_group % 2, long),
            "weights": constants,
            "kernel_height": window.height,
            "segments": segments,
            "segment_bytes": segment_size,
            "segment_step": segment_step,
            "column_step": column_step,
            "columns": shape.columns,
            "channels": per_group,
            "groups": groups,
            "pairs": len(order) // 2,
        },
        macs=shape.rows * shape.columns * weights.size,
        scratch_bytes=scratch,
        details=details,
    )


def fully_connected(builder: Builder, op: Op) -> None:
    """One output row per input row where the weights fit a row; otherwise sums over all rows."""
    weights = _constant(builder, op)
    channels, depth = weights.shape
    source, output = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    details = f"{depth} to {channels}, {op.text('activation')}"
    if source.elements == depth:
        number = builder.whole(op.inputs[0])
        storage = builder.storage(number)
        sums, rows = 4 * (channels + 1), (storage.rows - 1) * storage.row_bytes
        scratch = 2 * (storage.row_bytes + 1)
        if storage.rows > 1 and number < VIEWS and sums + scratch < rows + 2 * depth:
            _add_accumulating(builder, op, weights, number, details)
            return
        window = Input(number, height=storage.rows, stride=0)
        shape = Shape(1, 1, channels)
        segment = storage.row_bytes
    else:
        shape = Shape.of(output.shape)
        wanted = Shape(shape.rows, shape.columns, depth)
        window = Input(builder.source(op, op.inputs[0], wanted))
        segment = depth
    _add_conv(
        builder,
        op,
        weights=weights,
        window=window,
        segments=1,
        segment_size=segment,
        segment_step=segment,
        column_step=segment,
        shape=shape,
        groups=1,
        details=details,
    )


def _add_accumulating(
    builder: Builder, op: Op, weights: npt.NDArray[np.int8], number: int, details: str
) -> None:
    storage = builder.storage(number)
    channels = weights.shape[0]
    order = patch_order(1, storage.row_bytes)
    by_row = weights.reshape(channels, storage.rows, storage.row_bytes)
    packed = [pack_pairs(by_row[:, row], order) for row in range(storage.rows)]
    carried = can_carry(weights)
    kernel, why = ("fully_connected_carry", CARRY) if carried else ("fully_connected", NO_CARRY)
    constants = Array("int8_t", np.concatenate(packed), carried)
    row_weights, scratch = len(packed[0]), 2 * len(order)
    if _is_int4(builder, op):
        kernel, why = "fully_connected_int4", INT4
        constants = Array("int8_t", pack_int4(np.concatenate(packed), 2 * len(order)))
        row_weights = len(constants.values) // storage.rows
        scratch += unpacked_bytes(2 * len(order))
    builder.add_layer(
        op=op,
        kernel=kernel,
        why=why,
        inputs=(Input(number),),
        shape=Shape(1, 1, channels),
        fields={
            "requantize": requantization(builder, op, weights),
            "weights": constants,
            "row_weights": row_weights,
            "row_bytes": storage.row_bytes,
            "channels": channels,
        },
        macs=weights.size,
        steps=storage.rows,
        state_bytes=4 * (channels + channels % 2),
        scratch_bytes=scratch,
        details=details,
    )


def transpose_conv(builder: Builder, op: Op) -> None:
    """Every output adds up what reaches it: the rows of the whole map are there when the first is made."""
    weights = _constant(builder, op)
    channels, kernel_h, kernel_w, _ = weights.shape
    source, output = builder.tensor(op.inputs[2]), builder.tensor(op.outputs[0])
    multipliers, shifts = (np.broadcast_to(a, (channels,)) for a in output_multipliers(builder.graph, op))
    bias = np.zeros(channels, np.int64)
    if len(op.inputs) > 3 and op.inputs[3] >= 0:
        given = builder.tensor(op.inputs[3]).data
        assert given is not None
        bias = given.astype(np.int64).reshape(-1)
    low, high = activation_range(op.text("activation"), output.scale, output.zero_point)
    window, shapes = transpose_window(builder, op)
    builder.add_layer(
        op=op,
        kernel="transpose_conv",
        inputs=(window,),
        fields={
            "weights": Array("int8_t", weights.reshape(-1)),
            "channels": Array("stapes_channel_t", np.stack([bias, multipliers], axis=1)),
            "shifts": Array("int8_t", shifts.astype(np.int8)),
            "offset": -source.zero_point,
            "zero_point": output.zero_point,
            "minimum": low,
            "maximum": high,
            **shapes,
        },
        macs=math.prod(source.shape[1:3]) * weights.size,
        knows_row=True,
        details=_details(op, kernel_h, kernel_w),
    )


def transpose_window(builder: Builder, op: Op) -> tuple[Input, Fields]:
    """TRANSPOSE_CONV's window, all rows of the map, and what its kernel must know of sizes and steps."""
    channels, kernel_h, kernel_w, depth = builder.tensor(op.inputs[1]).shape
    source = builder.tensor(op.inputs[2])
    rows, columns = source.shape[1:3]
    _, height, width, _ = builder.tensor(op.outputs[0]).shape
    stride_h, stride_w = op.integer("stride_h"), op.integer("stride_w")
    padding = op.text("padding")
    number = builder.source(op, source.index, Shape(rows, columns, depth * source.dtype.itemsize))
    return Input(number, height=rows, stride=0), {
        "input_rows": rows,
        "input_columns": columns,
        "depth": depth,
        "columns": width,
        "output_channels": channels,
        "kernel_height": kernel_h,
        "kernel_width": kernel_w,
        "stride_height": stride_h,
        "stride_width": stride_w,
        "pad_top": padding_before(padding, height, kernel_h, stride_h),
        "pad_left": padding_before(padding, width, kernel_w, stride_w),
    }


def batch_matmul(builder: Builder, op: Op) -> None:
    """Both operands lie in one row each."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    rows, columns = output.shape[-2:]
    transposes = [bool(op.integer(name)) for name in ("adj_x", "adj_y")]
    depth = left.shape[-2 if transposes[0] else -1]
    shape = Shape.of(output.shape)
    multiplier, shift = quantize_multiplier(left.scale * right.scale / output.scale)
    builder.add_layer(
        op=op,
        kernel="batch_matmul",
        inputs=tuple(
            Input(builder.source(op, tensor.index, Shape(1, 1, tensor.elements)), stride=0)
            for tensor in (left, right)
        ),
        fields={
            "multiplier": multiplier,
            "offset1": -left.zero_point,
            "offset2": -right.zero_point,
            "zero_point": output.zero_point,
            "shift": shift,
            "lines": shape.row_bytes // columns,
            "rows": rows,
            "columns": columns,
            "depth": depth,
            "batch_step1": rows * depth if left.elements > rows * depth else 0,
            "batch_step2": columns * depth if right.elements > columns * depth else 0,
            "row_step1": 1 if transposes[0] else depth,
            "depth_step1": rows if transposes[0] else 1,
            "depth_step2": 1 if transposes[1] else columns,
            "column_step2": depth if transposes[1] else 1,
        },
        macs=output.elements * depth,
        knows_row=True,
        details=f"{depth} products each",
    )


_DENSE = ("conv_2d", "conv_2d_carry", "conv_2d_int4")
_DEPTHWISE = ("depthwise_conv_2d", "depthwise_3x3", "depthwise_5x5", "depthwise_column", "depthwise_int4")
_ACCUMULATING = ("fully_connected", "fully_connected_carry", "fully_connected_int4")
LOWERINGS = {
    "BATCH_MATMUL": Lowering(batch_matmul, ("batch_matmul",)),
    "CONV_2D": Lowering(conv_2d, (*_DENSE, *_DEPTHWISE)),
    "DEPTHWISE_CONV_2D": Lowering(depthwise_conv_2d, (*_DEPTHWISE, *_DENSE)),
    "TRANSPOSE_CONV": Lowering(transpose_conv, ("transpose_conv",)),
    "FULLY_CONNECTED": Lowering(fully_connected, (*_DENSE, *_ACCUMULATING)),
}
