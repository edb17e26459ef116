"""Convolutions and matrix products: what is supported of them."""

from __future__ import annotations

import math

import numpy as np

from stapes.graph.support.inspection import Inspection, Operator
from stapes.graph.windows import output_size

_INT32_LIMIT = 2**31 - 1
_WIDE_INT32_BIAS = ("CONV_2D", "FULLY_CONNECTED")
INT4 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators whose weights may have four bits."""


def _conv_2d(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    check.rank4(source, weights, output)
    channels, kernel_h, kernel_w, depth = weights.shape
    check.require(depth >= 1 and source.shape[3] % depth == 0, "channels of input and weights do not fit")
    groups = source.shape[3] // depth
    check.require(groups >= 1 and channels % groups == 0, f"{channels} output channels in {groups} groups")
    check.activation()
    check.window(kernel_h, kernel_w, channels, dilation=True)
    quantized = check.quantized(source, output)
    if _weights(check, 0, channels) and quantized:
        _weight_rescale(check)


def _depthwise_conv_2d(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    check.rank4(source, weights, output)
    one, kernel_h, kernel_w, channels = weights.shape
    check.require(one == 1, "depthwise weights with a first axis other than 1")
    check.require(
        source.shape[3] * check.op.integer("depth_multiplier") == channels,
        "the depth multiplier does not fit",
    )
    check.activation()
    check.window(kernel_h, kernel_w, channels, dilation=True)
    quantized = check.quantized(source, output)
    if _weights(check, 3, channels) and quantized:
        _weight_rescale(check)


def _fully_connected(check: Inspection) -> None:
    check.arity(2, 3)
    source, weights, output = check.input(0), check.input(1), check.output
    check.require(len(weights.shape) == 2, f"weights with {len(weights.shape)} dimensions, not 2")
    channels, depth = weights.shape
    check.require(channels >= 1 and depth >= 1 and len(output.shape) >= 1, "empty weights or output")
    check.require(
        output.shape[-1] == channels and source.elements * channels == output.elements * depth,
        f"shapes {list(source.shape)}, {list(weights.shape)} and {list(output.shape)} do not fit",
    )
    if check.op.integer("weights_format") != 0:
        check.refuse("shuffled weights", "convert with the default weights format")
    check.activation()
    quantized = check.quantized(source, output)
    if _weights(check, 0, channels) and quantized:
        _weight_rescale(check)


def _transpose_conv(check: Inspection) -> None:
    """Inputs: the output's shape, weights [channels, height, width, input channels], the map, perhaps biases."""
    check.arity(3, 4)
    source, weights, output = check.input(2), check.input(1), check.output
    check.rank4(source, weights, output)
    channels, kernel_h, kernel_w, depth = weights.shape
    check.require(depth == source.shape[3], "channels of input and weights do not fit")
    sizes = check.constant_ints(0, "the output's shape")
    if sizes is not None:
        check.require(tuple(int(size) for size in sizes) == output.shape, f"the shape {list(output.shape)}")
    stride_h, stride_w = check.op.integer("stride_h"), check.op.integer("stride_w")
    check.require(min(kernel_h, kernel_w, stride_h, stride_w) >= 1, "a stride or kernel size of no use")
    if source.shape[0] != 1:
        check.refuse(f"a batch of {source.shape[0]}", "export the network with a batch of 1")
    padding = check.op.text("padding")
    expected = tuple(
        output_size(padding, output.shape[axis], kernel, stride)
        for axis, kernel, stride in ((1, kernel_h, stride_h), (2, kernel_w, stride_w))
    )
    check.require(
        source.shape[1:3] == expected and output.shape[3] == channels and output.shape[0] == source.shape[0],
        f"{list(source.shape)} from the output's shape {list(output.shape)}",
    )
    check.activation()
    quantized = check.quantized(source, output)
    if _weights(check, 0, channels, bias=3) and quantized:
        scales = weights.quantization
        assert scales is not None
        _rescale(check, source.scale * float(np.max(scales.scale)) / output.scale)


def _weights(check: Inspection, axis: int, channels: int, bias: int = 2) -> bool:
    """Constant int8 or int4 weights with one symmetric scale or one per channel along `axis`; int32 biases or none at
    the input `bias`.
    """
    weights = check.input(1)
    types = ("INT8", "INT4") if check.op.kind in INT4 and not check.is_wide else ("INT8",)
    if weights.type_name not in types or weights.data is None:
        what = f"{weights.type_name} weights" if weights.data is not None else "weights computed at run time"
        check.refuse(f"{what} {weights.name}", "convert to full int8 with constant int8 weights")
        return False
    quantization = weights.quantization
    if quantization is None:
        check.refuse(f"weights {weights.name} without scales", "convert to full int8")
        return False
    if np.any(quantization.zero_point != 0):
        check.refuse(f"asymmetric weights {weights.name}", "quantise weights symmetrically (zero point 0)")
        return False
    if len(quantization.scale) > 1:
        check.require(quantization.axis == axis, f"scales of {weights.name} along axis {quantization.axis}")
    bits, kinds = 32, ["INT32"]
    if check.is_wide:
        # Sums of int16 have 48 bits, with biases of 32 bits, which not every kernel of TFLM's takes, 32.
        kinds = ["INT64", "INT32"] if check.op.kind in _WIDE_INT32_BIAS else ["INT64"]
        bits = 32 if check.has_input(bias) and check.input(bias).type_name == "INT32" else 48
    accumulator = (1 << 15 if check.is_wide else 255) * np.abs(
        np.moveaxis(weights.data.astype(np.int64), axis, 0)
    ).reshape(channels, -1).sum(axis=1)
    if check.has_input(bias):
        given = check.input(bias)
        if given.type_name not in kinds or given.data is None:
            what = " or ".join(kind.lower() for kind in kinds)
            check.refuse(
                f"{given.type_name} bias {given.name}", f"convert to full int8 (constant {what} biases)"
            )
            return False
        check.require(given.elements == channels, f"{given.elements} biases for {channels} channels")
        size = np.abs(given.data.astype(np.float64).reshape(-1))
        accumulator = accumulator + np.minimum(size, float(1 << 62)).astype(np.int64)
    if np.any(accumulator >= 1 << (bits - 1)):
        check.refuse(f"an accumulator that may exceed {bits} bits", "use smaller weights or a smaller bias")
    return True


def _weight_rescale(check: Inspection) -> None:
    weights = check.input(1).quantization
    assert weights is not None
    _rescale(check, check.input(0).scale * float(np.max(weights.scale)) / check.output.scale)


def _rescale(check: Inspection, real: float) -> None:
    if check.is_wide and not real < 1 << 7:
        check.refuse(f"rescaling by {real:.3g}", "calibrate again: an output scale is far too small")
    check.rescale(real)


def _batch_matmul(check: Inspection) -> None:
    check.arity(2, 2)
    left, right, output = check.input(0), check.input(1), check.output
    check.require(min(len(left.shape), len(right.shape)) >= 2, "a matrix with less than two dimensions")
    rows, depth = left.shape[-2:][:: -1 if check.op.integer("adj_x") else 1]
    also, columns = right.shape[-2:][:: -1 if check.op.integer("adj_y") else 1]
    check.require(depth == also, f"{depth} and {also} elements to multiply")
    batches = [tensor.shape[:-2] for tensor in (left, right)]
    try:
        check.shape((*np.broadcast_shapes(*batches), rows, columns))
    except ValueError:
        check.require(False, f"batches of {list(batches[0])} and {list(batches[1])}")
    for tensor, batch in zip((left, right), batches, strict=True):
        if math.prod(batch) not in (1, math.prod(output.shape[:-2])):
            check.refuse(
                f"a batch of {list(batch)} of {tensor.name}", "give both the same batch, or one matrix"
            )
    check.limit("TRANSPOSE_DIMENSIONS", len(output.shape), "reshape first")
    if 255 * 255 * depth > _INT32_LIMIT:
        check.refuse(f"sums of {depth} products", "multiply in parts")
    if check.quantized(left, right, output):
        check.rescale(left.scale * right.scale / output.scale)


OPERATORS = {
    "BATCH_MATMUL": Operator(
        _batch_matmul, "two tensors, transposed or not; equal batches, or a single matrix on one side"
    ),
    "CONV_2D": Operator(
        _conv_2d,
        "any kernel, stride, dilation, padding, groups; weights int8 or int4, per channel or tensor; fused activation",
        takes_int16=True,
    ),
    "DEPTHWISE_CONV_2D": Operator(
        _depthwise_conv_2d,
        "any kernel, stride, dilation, padding, multiplier; weights int8 or int4, per channel or tensor; fused "
        "activation",
        takes_int16=True,
    ),
    "TRANSPOSE_CONV": Operator(
        _transpose_conv,
        "any kernel, stride, padding; weights per channel or per tensor; fused activation",
        takes_int16=True,
    ),
    "FULLY_CONNECTED": Operator(
        _fully_connected,
        "weights int8 or int4, per channel or per tensor; fused activation",
        takes_int16=True,
    ),
}
