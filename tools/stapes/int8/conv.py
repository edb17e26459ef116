"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED as the TFLM reference computes them, in NumPy."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.int8.arithmetic import (
    IntArray,
    activation_range,
    effective_scales,
    limits_of,
    multiply_by_quantized_multiplier,
    multiply_wide,
    padding_before,
    padding_total,
    quantize_multiplier,
    quantize_multipliers,
    wrap_int32,
)

Arrays = list[npt.NDArray[np.generic]]
_Number = TypeVar("_Number", np.float32, np.int32)


def output_multipliers(graph: Graph, op: Op) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """`(multipliers, shifts)` of a convolution or dense layer, one per channel, or one each per tensor."""
    position = 2 if op.kind == "TRANSPOSE_CONV" else 0
    source, weights, output = (graph.tensor(i) for i in (op.inputs[position], op.inputs[1], op.outputs[0]))
    assert weights.quantization is not None
    return quantize_multipliers(effective_scales(source.scale, weights.quantization.scale, output.scale))


def requantize(graph: Graph, op: Op, accumulator: IntArray) -> npt.NDArray[np.generic]:
    """Accumulators, channels last, to the op's output: multiplier, zero point, fused activation."""
    output = graph.tensor(op.outputs[0])
    multipliers, shifts = output_multipliers(graph, op)
    low, high = activation_range(
        op.text("activation"), output.scale, output.zero_point, limits_of(output.dtype)
    )
    multiply = multiply_wide if sums_are_wide(graph, op) else multiply_by_quantized_multiplier
    scaled = multiply(accumulator, multipliers, shifts) + output.zero_point
    # As TFLM clamps: first up, then down.
    return np.minimum(np.maximum(scaled, low), high).astype(output.dtype)


def sums_are_wide(graph: Graph, op: Op) -> bool:
    """Whether the reference adds up 64 bits: activations are int16, and biases not int32."""
    position = 3 if op.kind == "TRANSPOSE_CONV" else 2
    bias = op.inputs[position] if len(op.inputs) > position else -1
    return graph.is_wide(op) and not (bias >= 0 and graph.tensor(bias).type_name == "INT32")


def conv_2d(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """NHWC input, OHWI weights; groups follow from the number of input channels in the weights."""
    weights = inputs[1]
    channels, kernel_h, kernel_w, depth = weights.shape
    patches = _patches(graph, op, inputs[0].astype(np.float32), kernel_h, kernel_w)
    batch, height, width = patches.shape[:3]
    groups = patches.shape[-1] // depth
    accumulator = np.empty((batch, height, width, channels), dtype=np.int64)
    per_group = channels // groups
    for group in range(groups):
        columns = patches[..., group * depth : (group + 1) * depth].reshape(-1, kernel_h * kernel_w * depth)
        rows = weights[group * per_group : (group + 1) * per_group].reshape(per_group, -1)
        product = exact_matmul(columns, rows)
        accumulator[..., group * per_group : (group + 1) * per_group] = product.reshape(
            batch, height, width, per_group
        )
    return [requantize(graph, op, _with_bias(graph, op, accumulator, inputs[2:]))]


def depthwise_conv_2d(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """NHWC input, 1HWC weights; output channel c reads input channel c // depth_multiplier."""
    weights = inputs[1].astype(np.int32)[0]
    kernel_h, kernel_w, _ = weights.shape
    patches = _patches(graph, op, inputs[0].astype(np.int32), kernel_h, kernel_w)
    multiplier = op.integer("depth_multiplier")
    accumulator: npt.NDArray[np.int64] | np.int64 = np.int64(0)
    for y in range(kernel_h):
        for x in range(kernel_w):
            tap = patches[:, :, :, y, x, :]
            if multiplier > 1:
                tap = np.repeat(tap, multiplier, axis=-1)
            accumulator = accumulator + tap * weights[y, x]
    return [requantize(graph, op, _with_bias(graph, op, np.asarray(accumulator), inputs[2:]))]


def transpose_conv(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Every input adds its part to a window of the output; inputs: shape, OHWI weights, map, perhaps biases."""
    source, output = graph.tensor(op.inputs[2]), graph.tensor(op.outputs[0])
    weights = inputs[1].astype(np.int64)
    centred = inputs[2].astype(np.int64) - source.zero_point
    _, kernel_h, kernel_w, _ = weights.shape
    _, height, width, channels = output.shape
    stride_h, stride_w = op.integer("stride_h"), op.integer("stride_w")
    top = padding_before(op.text("padding"), height, kernel_h, stride_h)
    left = padding_before(op.text("padding"), width, kernel_w, stride_w)
    rows, columns = source.shape[1:3]
    reach = (1, (rows - 1) * stride_h + kernel_h, (columns - 1) * stride_w + kernel_w, channels)
    whole = np.zeros((1, max(reach[1], top + height), max(reach[2], left + width), channels), np.int64)
    for y in range(kernel_h):
        for x in range(kernel_w):
            part = np.einsum("bhwi,oi->bhwo", centred, weights[:, y, x])
            bottom, right = y + (rows - 1) * stride_h + 1, x + (columns - 1) * stride_w + 1
            whole[:, y:bottom:stride_h, x:right:stride_w] += part
    accumulator = whole[:, top : top + height, left : left + width]
    return [requantize(graph, op, _with_bias(graph, op, accumulator, inputs[3:]))]


def fully_connected(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Rows of the flattened input times the rows of the weights."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    weights = inputs[1]
    rows = inputs[0].astype(np.float32).reshape(-1, weights.shape[1]) - np.float32(source.zero_point)
    accumulator = exact_matmul(rows, weights)
    return [requantize(graph, op, _with_bias(graph, op, accumulator, inputs[2:])).reshape(output.shape)]


def batch_matmul(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Matrices times matrices, one step of scale for all."""
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    first = inputs[0].astype(np.int64) - left.zero_point
    second = inputs[1].astype(np.int64) - right.zero_point
    first = first.swapaxes(-1, -2) if op.integer("adj_x") else first
    second = second.swapaxes(-1, -2) if op.integer("adj_y") else second
    multiplier, shift = quantize_multiplier(left.scale * right.scale / output.scale)
    scaled = multiply_by_quantized_multiplier(first @ second, multiplier, shift) + output.zero_point
    return [np.clip(scaled, -128, 127).astype(np.int8)]


def exact_matmul(rows: npt.NDArray[np.float32], weights: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """rows @ weights.T for int8 `weights` and |rows| ≤ 2^15, exact: in floating point that holds every partial sum."""
    columns = weights.astype(np.float32)
    largest = max(255.0, float(np.abs(rows).max(initial=0))) * np.abs(columns).sum(
        axis=1, dtype=np.float64
    ).max(initial=0)
    if largest >= 1 << 24:
        return (rows.astype(np.float64) @ columns.astype(np.float64).T).astype(np.int64)
    return (rows @ columns.T).astype(np.int64)


def _with_bias(
    graph: Graph, op: Op, accumulator: npt.NDArray[np.int64], biases: Arrays
) -> npt.NDArray[np.int64]:
    if biases and biases[0].size:
        accumulator = accumulator + biases[0].astype(np.int64).reshape(-1)
    return accumulator if sums_are_wide(graph, op) else wrap_int32(accumulator)


def _patches(
    graph: Graph, op: Op, values: npt.NDArray[_Number], kernel_h: int, kernel_w: int
) -> npt.NDArray[_Number]:
    """[batch, out_h, out_w, kernel_h, kernel_w, channels] of input minus zero point; zeros where it pads."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    padding = op.text("padding")
    inside: list[slice] = []
    spans: list[tuple[int, int, int]] = []
    sizes: list[int] = []
    for axis, kernel in ((1, kernel_h), (2, kernel_w)):
        side = "hw"[axis - 1]
        stride, dilation = op.integer(f"stride_{side}"), op.integer(f"dilation_{side}")
        size = source.shape[axis]
        before = padding_before(padding, size, kernel, stride, dilation)
        inside.append(slice(before, before + size))
        sizes.append(size + padding_total(padding, size, kernel, stride, dilation))
        spans.append(((kernel - 1) * dilation + 1, stride, dilation))
    batch, _, _, channels = values.shape
    padded = np.zeros((batch, *sizes, channels), values.dtype)
    np.subtract(values, values.dtype.type(source.zero_point), out=padded[:, inside[0], inside[1]])
    (span_h, stride_h, dilation_h), (span_w, stride_w, dilation_w) = spans
    windows = np.lib.stride_tricks.sliding_window_view(padded, (span_h, span_w), axis=(1, 2))
    windows = windows[:, ::stride_h, ::stride_w, :, ::dilation_h, ::dilation_w]
    windows = windows[:, : output.shape[1], : output.shape[2]]
    return np.moveaxis(windows, 3, -1)


KERNELS = {
    "BATCH_MATMUL": batch_matmul,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
}
