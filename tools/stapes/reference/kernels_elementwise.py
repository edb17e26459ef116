"""Operators on single elements, and softmax, as the TFLM reference computes them, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op, Tensor
from stapes.reference.arithmetic import (
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from stapes.reference.fixed_point import exp_on_negative_values, one_over_one_plus_x

Arrays = list[npt.NDArray[np.generic]]
ADD_LEFT_SHIFT = 20


@dataclass(frozen=True)
class AddConstants:
    """ADD and SUB: `(multiplier, shift)` of both inputs (after a left shift of 20) and of the output."""

    left: tuple[int, int]
    right: tuple[int, int]
    output: tuple[int, int]

    @classmethod
    def of(cls, left: Tensor, right: Tensor, output: Tensor) -> AddConstants:
        """From the three scales."""
        twice_max = 2 * max(left.scale, right.scale)
        return cls(
            quantize_multiplier(left.scale / twice_max),
            quantize_multiplier(right.scale / twice_max),
            quantize_multiplier(twice_max / ((1 << ADD_LEFT_SHIFT) * output.scale)),
        )


def add(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Sum with broadcasting and a fused activation."""
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    constants = AddConstants.of(left, right, output)
    operands = []
    for values, tensor, scaling in ((inputs[0], left, constants.left), (inputs[1], right, constants.right)):
        shifted = (values.astype(np.int64) - tensor.zero_point) << ADD_LEFT_SHIFT
        operands.append(multiply_by_quantized_multiplier(shifted, *scaling))
    raw = operands[0] + operands[1] if op.kind == "ADD" else operands[0] - operands[1]
    scaled = multiply_by_quantized_multiplier(raw, *constants.output) + output.zero_point
    low, high = activation_range(op.text("activation"), output.scale, output.zero_point)
    return [np.minimum(np.maximum(scaled, low), high).astype(np.int8)]


def unary_table(graph: Graph, op: Op) -> npt.NDArray[np.int8]:
    """Output for each of the 256 inputs, entry q + 128, of an operator with one int8 input and output."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    return _TABLES[op.kind](op, source, output)


def unary(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Any operator that `unary_table` knows."""
    return [unary_table(graph, op)[inputs[0].astype(np.int64) + 128]]


def _every_input() -> npt.NDArray[np.int64]:
    return np.arange(-128, 128, dtype=np.int64)


def _int8(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    return np.clip(values, -128, 127).astype(np.int8)


def _relu_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    # The ratio of the scales is taken in float32.
    ratio = float(np.float32(source.scale) / np.float32(output.scale))
    scaled = multiply_by_quantized_multiplier(_every_input() - source.zero_point, *quantize_multiplier(ratio))
    low, high = activation_range("RELU", output.scale, output.zero_point)
    return _int8(np.clip(scaled + output.zero_point, low, high))


def _relu6_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    low, high = activation_range("RELU6", source.scale, source.zero_point)
    return _int8(np.clip(_every_input(), low, high))


_TABLES = {"RELU": _relu_table, "RELU6": _relu6_table}


@dataclass(frozen=True)
class SoftmaxConstants:
    """`exponentials[d]`: exp(-d * scale * beta), 31 fractional bits, for d = max - q in 0…255; 0 = ignored."""

    exponentials: npt.NDArray[np.int32]

    @classmethod
    def of(cls, input_scale: float, beta: float) -> SoftmaxConstants:
        """From the input's scale and the operator's beta."""
        real = min(beta * input_scale * (1 << 26), (1 << 31) - 1.0)
        multiplier, shift = quantize_multiplier(real)
        radius = int(np.floor(31.0 * (1 << 26) / 2.0**shift))
        differences = np.arange(0, -256, -1, dtype=np.int64)
        shifted = (differences << shift).astype(np.int32).astype(np.int64)
        rescaled = saturating_rounding_doubling_high_mul(shifted, multiplier)
        values = np.where(differences >= -radius, exp_on_negative_values(rescaled), 0)
        return cls(values.astype(np.int32))


def softmax(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Softmax over the last axis; output in steps of 1/256 from -128."""
    constants = SoftmaxConstants.of(graph.tensor(op.inputs[0]).scale, op.real("beta"))
    values = inputs[0].astype(np.int64)
    exponentials = constants.exponentials.astype(np.int64)[values.max(axis=-1, keepdims=True) - values]
    total = rounding_divide_by_pot(exponentials, 12).sum(axis=-1, keepdims=True)  # Q12
    headroom = 32 - np.vectorize(int.bit_length, otypes=[np.int64])(total)
    reciprocal = one_over_one_plus_x((total << headroom) - (1 << 31))
    product = saturating_rounding_doubling_high_mul(exponentials, reciprocal)
    scaled = rounding_divide_by_pot(product, 12 - headroom + 31 - 8)
    return [_int8(scaled - 128)]
