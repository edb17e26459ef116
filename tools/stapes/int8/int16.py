"""Operators on int16 activations that are no wider copy of their int8 kind, as the TFLM reference computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op, Tensor
from stapes.int8.arithmetic import (
    activation_range,
    bit_length,
    limits_of,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from stapes.int8.fixed_point import interpolated_sigmoid, interpolated_tanh

Arrays = list[npt.NDArray[np.generic]]
Int64 = npt.NDArray[np.int64]
Scaling = tuple[int, int]
"""Multiplier and shift."""


@dataclass(frozen=True)
class RescaleConstants:
    """QUANTIZE, RELU, RELU6, LEAKY_RELU: a factor each for what is not negative and for what is, then a range."""

    positive: Scaling
    negative: Scaling
    minimum: int
    maximum: int

    @classmethod
    def of(cls, graph: Graph, op: Op) -> RescaleConstants:
        """From the operator's tensors and options."""
        source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
        limits = limits_of(output.dtype)
        if op.kind == "RELU6":
            return cls((1 << 30, 1), (1 << 30, 1), *_range("RELU6", source, limits))
        positive = quantize_multiplier(source.scale / output.scale)
        if op.kind == "LEAKY_RELU":
            return cls(positive, quantize_multiplier(source.scale * op.real("alpha") / output.scale), *limits)
        if op.kind == "RELU":
            return cls(positive, positive, *_range("RELU", output, limits))
        return cls(positive, positive, *limits)


def _range(activation: str, tensor: Tensor, limits: tuple[int, int]) -> tuple[int, int]:
    return activation_range(activation, tensor.scale, tensor.zero_point, limits)


def rescale(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """From one tensor's steps to another's, of 8 or 16 bits each."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    constants = RescaleConstants.of(graph, op)
    centred = inputs[0].astype(np.int64) - source.zero_point
    kept = multiply_by_quantized_multiplier(centred, *constants.positive)
    bent = multiply_by_quantized_multiplier(centred, *constants.negative)
    values = np.where(centred >= 0, kept, bent) + output.zero_point
    return [np.minimum(np.maximum(values, constants.minimum), constants.maximum).astype(output.dtype)]


def sigmoid_scaling(source: Tensor, *, is_tanh: bool) -> Scaling:
    """Multiplier and right shift that bring a tensor's steps to those of the sigmoid's table, 2^-12 / 3."""
    power = round(float(np.log2(source.scale)))
    shift = 12 + power
    if source.scale == 2.0**power and shift in ((0, 1) if is_tanh else (0,)):
        return 3 << shift, 0
    multiplier, shift = source.scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = 2.0 * multiplier, shift + 1
    return int(multiplier), shift


def sigmoid(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """LOGISTIC and TANH, in steps of 1/32768."""
    is_tanh = op.kind == "TANH"
    multiplier, shift = sigmoid_scaling(graph.tensor(op.inputs[0]), is_tanh=is_tanh)
    thrice = (inputs[0].astype(np.int64) * multiplier + (1 << shift >> 1)) >> shift
    return [(interpolated_tanh if is_tanh else interpolated_sigmoid)(thrice).astype(np.int16)]


@cache
def exponentials() -> npt.NDArray[np.int16]:
    """exp(-10 … 0) in steps of 2^-15 at 513 places; `lookup` interpolates."""
    return _table(np.float32(10.0) / np.float32(65535), 32767, np.exp)


@cache
def reciprocals() -> npt.NDArray[np.int16]:
    """1 / (1 + x) for x from 0 to 1, likewise."""
    return _table(np.float32(1.0) / np.float32(65535), -32768, lambda x: np.float32(1) / (np.float32(1) + x))


def _table(
    scale: np.float32, zero_point: int, function: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
) -> npt.NDArray[np.int16]:
    """TensorFlow Lite's `LUTPopulate` for int16: every entry moved by half of the error in the middle behind it."""
    one = np.float32(1)
    low, high = scale * np.float32(-32768 - zero_point), scale * np.float32(32767 - zero_point)
    out = np.float32(2.0) / np.float32(65535)
    inverse = np.float32(65536) / (out * np.float32(32767) - out * np.float32(-32768))
    step = (high - low) / np.float32(512)
    places = np.arange(513, dtype=np.float32)
    at = (function(low + places[:-1] * step) * inverse).astype(np.float32)
    middle = (function(low + places[:-1] * step + step / np.float32(2)) * inverse).astype(np.float32)
    behind = (function(low + places[1:] * step) * inverse).astype(np.float32)
    between = _rounded((behind + _rounded(at)) / (one + one))
    bias = _rounded((between - _rounded(middle)) / (one + one))
    last = _rounded(np.asarray(function(np.array([high], np.float32)) * inverse, np.float32))
    table: npt.NDArray[np.float32] = np.concatenate([_rounded(at) - bias, last])
    return np.clip(table, -32768, 32767).astype(np.int16)


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To nearest, ties away from zero, as C's `round`."""
    return np.trunc(values + np.copysign(np.float32(0.5), values)).astype(np.float32)


def lookup(values: Int64, table: npt.NDArray[np.int16]) -> Int64:
    """Between the 513 entries of a table over all int16."""
    index = 256 + (values >> 7)
    base = table[index].astype(np.int64)
    slope = (table[index + 1] - base).astype(np.int16).astype(np.int64)
    found: Int64 = base + ((slope * (values & 127) + 64) >> 7)
    return found


def softmax_scaling(source: Tensor, beta: float) -> Scaling:
    """From a tensor's steps to those of `exponentials`."""
    return quantize_multiplier(source.scale * beta / (10.0 / 65535.0))


def softmax(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Softmax over the last axis, in steps of 1/32768."""
    scaling = softmax_scaling(graph.tensor(op.inputs[0]), op.real("beta"))
    values = inputs[0].astype(np.int64)
    differences = multiply_by_quantized_multiplier(values - values.max(axis=-1, keepdims=True), *scaling)
    terms = lookup(np.clip(differences + 32767, -32768, 32767), exponentials())
    total = terms.sum(axis=-1, keepdims=True)
    bits = bit_length(total)
    shifted = ((total << (31 - bits)) + (1 << 13)) >> 14
    reciprocal = lookup(np.clip(shifted - (1 << 15) - (1 << 16), -32768, 32767), reciprocals())
    right = bits - 1
    scaled = (terms * reciprocal + (np.int64(1) << (right - 1))) >> right
    return [np.clip(scaled, 0, 32767).astype(np.int16)]


KERNELS = {
    "LEAKY_RELU": rescale,
    "LOGISTIC": sigmoid,
    "QUANTIZE": rescale,
    "RELU": rescale,
    "RELU6": rescale,
    "SOFTMAX": softmax,
    "TANH": sigmoid,
}
