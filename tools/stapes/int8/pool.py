"""Pools and reductions as the TFLM reference computes them, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.int8.arithmetic import (
    activation_range,
    limits_of,
    multiply_by_quantized_multiplier,
    padding_before,
    padding_total,
    quantize_multiplier,
)

Arrays = list[npt.NDArray[np.generic]]


def average_pool_2d(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Mean over the part of the window inside the input, rounded to nearest, ties away from zero."""
    total = _pooled(graph, op, inputs[0].astype(np.int32), 0).sum(axis=(-2, -1))
    ones = np.ones((1, *inputs[0].shape[1:3], 1), dtype=np.int32)
    count = _pooled(graph, op, ones, 0).sum(axis=(-2, -1))
    nudged = np.where(total > 0, total + count // 2, total - count // 2)
    mean = np.sign(nudged) * (np.abs(nudged) // count)
    return [_clamped(graph, op, mean)]


def max_pool_2d(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Largest value of the part of the window inside the input."""
    return [
        _clamped(graph, op, _pooled(graph, op, inputs[0].astype(np.int32), -(1 << 15)).max(axis=(-2, -1)))
    ]


def mean_constants(input_scale: float, output_scale: float, count: int) -> tuple[int, int]:
    """`(multiplier, shift)` of MEAN over `count` elements: the division folded in, rounded towards zero."""
    multiplier, shift = quantize_multiplier(float(np.float64(input_scale) / np.float64(output_scale)))
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


def mean(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Mean along constant axes, requantised."""
    return [_reduced_sum(graph, op, inputs, is_mean=True)]


def total(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """SUM along constant axes, requantised."""
    return [_reduced_sum(graph, op, inputs, is_mean=False)]


def reduce_max(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Largest value along constant axes."""
    output = graph.tensor(op.outputs[0])
    return [inputs[0].max(axis=reduction_axes(inputs)).reshape(output.shape)]


def reduction_axes(inputs: Arrays) -> tuple[int, ...]:
    """The axes of a reduction, sorted, without repetition."""
    return tuple(sorted({int(axis) % inputs[0].ndim for axis in inputs[1].reshape(-1)}))


def _reduced_sum(graph: Graph, op: Op, inputs: Arrays, is_mean: bool) -> npt.NDArray[np.generic]:
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    axes = reduction_axes(inputs)
    count = 1
    for axis in axes:
        count *= source.shape[axis]
    multiplier, shift = mean_constants(source.scale, output.scale, count if is_mean else 1)
    sums = inputs[0].astype(np.int64).sum(axis=axes) - source.zero_point * count
    scaled = multiply_by_quantized_multiplier(np.asarray(sums), multiplier, shift) + output.zero_point
    return np.clip(scaled, *limits_of(output.dtype)).astype(output.dtype).reshape(output.shape)


def _clamped(graph: Graph, op: Op, values: npt.NDArray[np.int32]) -> npt.NDArray[np.generic]:
    output = graph.tensor(op.outputs[0])
    low, high = activation_range(
        op.text("activation"), output.scale, output.zero_point, limits_of(output.dtype)
    )
    return np.minimum(np.maximum(values, low), high).astype(output.dtype)


def _pooled(graph: Graph, op: Op, values: npt.NDArray[np.int32], fill: int) -> npt.NDArray[np.int32]:
    """[batch, out_h, out_w, channels, kernel_h, kernel_w]; `fill` where the window leaves the input."""
    output = graph.tensor(op.outputs[0])
    padding = op.text("padding")
    kernels = (op.integer("kernel_h"), op.integer("kernel_w"))
    strides = (op.integer("stride_h"), op.integer("stride_w"))
    pads = []
    for size, kernel, stride in zip(values.shape[1:3], kernels, strides, strict=True):
        before = padding_before(padding, size, kernel, stride)
        pads.append((before, padding_total(padding, size, kernel, stride) - before))
    padded = np.pad(values, ((0, 0), *pads, (0, 0)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels, axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1]]
    return windows[:, : output.shape[1], : output.shape[2]]


KERNELS = {
    "AVERAGE_POOL_2D": average_pool_2d,
    "MAX_POOL_2D": max_pool_2d,
    "MEAN": mean,
    "REDUCE_MAX": reduce_max,
    "SUM": total,
}
