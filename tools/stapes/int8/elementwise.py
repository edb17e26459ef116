"""Operators on single elements, and softmax, as the TFLM reference computes them, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op, Tensor
from stapes.int8.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    INT32_MAX,
    INT32_MIN,
    activation_range,
    bit_length,
    limits_of,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    round_half_away,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from stapes.int8.fixed_point import (
    exp_on_negative_values,
    inverse_square_root,
    log_of_sum,
    logistic,
    one_over_one_plus_x,
    reciprocal,
    tanh,
)

Arrays = list[npt.NDArray[np.generic]]


def add_left_shift(graph: Graph, op: Op) -> int:
    """Bits that the operands of ADD and SUB get behind the point before they are scaled."""
    return 15 if graph.is_wide(op) else 20


@dataclass(frozen=True)
class AddConstants:
    """ADD and SUB: `(multiplier, shift)` of both inputs (after the left shift) and of the output."""

    left: tuple[int, int]
    right: tuple[int, int]
    output: tuple[int, int]

    @classmethod
    def of(cls, graph: Graph, op: Op) -> AddConstants:
        """From the three scales, in float64."""
        left, right, output = (graph.tensor(i).scale for i in (*op.inputs, op.outputs[0]))
        twice_max = 2 * max(left, right)
        return cls(
            quantize_multiplier(left / twice_max),
            quantize_multiplier(right / twice_max),
            quantize_multiplier(twice_max / ((1 << add_left_shift(graph, op)) * output)),
        )


def add_or_sub(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Sum or difference with broadcasting and a fused activation."""
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    constants = AddConstants.of(graph, op)
    operands = []
    for values, tensor, scaling in ((inputs[0], left, constants.left), (inputs[1], right, constants.right)):
        shifted = (values.astype(np.int64) - tensor.zero_point) << add_left_shift(graph, op)
        operands.append(multiply_by_quantized_multiplier(shifted, *scaling))
    raw = operands[0] + operands[1] if op.kind == "ADD" else operands[0] - operands[1]
    return [_activated(op, output, multiply_by_quantized_multiplier(raw, *constants.output))]


def _activated(op: Op, output: Tensor, scaled: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
    """With the zero point, within the fused activation, in the output's type."""
    low, high = activation_range(
        op.text("activation"), output.scale, output.zero_point, limits_of(output.dtype)
    )
    return np.minimum(np.maximum(scaled + output.zero_point, low), high).astype(output.dtype)


SQUARED_LEFT_SHIFT = 7


def squared_difference_constants(graph: Graph, op: Op) -> AddConstants:
    """SQUARED_DIFFERENCE: as ADD, after a left shift of 7; the output's factor is of squares."""
    left, right, output = (graph.tensor(i).scale for i in (*op.inputs, op.outputs[0]))
    twice_max = 2 * max(left, right)
    return AddConstants(
        quantize_multiplier(left / twice_max),
        quantize_multiplier(right / twice_max),
        quantize_multiplier(twice_max * twice_max / ((1 << 2 * SQUARED_LEFT_SHIFT) * output)),
    )


def squared_difference(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """The square of a difference, with broadcasting."""
    constants = squared_difference_constants(graph, op)
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    operands = [
        multiply_by_quantized_multiplier(
            (values.astype(np.int64) - tensor.zero_point) << SQUARED_LEFT_SHIFT, *scaling
        )
        for values, tensor, scaling in (
            (inputs[0], left, constants.left),
            (inputs[1], right, constants.right),
        )
    ]
    difference = operands[0] - operands[1]
    scaled = multiply_by_quantized_multiplier(difference * difference, *constants.output)
    return [_int8(scaled + output.zero_point)]


def quotient_constants(graph: Graph, op: Op) -> tuple[int, int]:
    """`(multiplier, shift)` of DIV."""
    left, right, output = (graph.tensor(i).scale for i in (*op.inputs, op.outputs[0]))
    return quantize_multiplier(left / (right * output))


def reciprocals(divisor: Tensor) -> npt.NDArray[np.int64]:
    """Of every divisor, entry q + 128: its reciprocal as a multiplier, the bits behind it, its sign. By the zero point,
    which TFLM does not divide by, a quotient is as large as it gets.
    """
    table = []
    for centred in _every_input() - divisor.zero_point:
        size = abs(int(centred))
        multiplier, bits = reciprocal(size) if size else (INT32_MAX, -31)
        table.append((multiplier, bits, -1 if centred < 0 else 1))
    return np.array(table, np.int64)


def div(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Quotient with broadcasting and a fused activation. Where it is so small that TFLM shifts by more than 31 bits,
    which C does not define, it is 0 here.
    """
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    multiplier, shift = quotient_constants(graph, op)
    table = reciprocals(right)[inputs[1].astype(np.int64) + 128]
    dividend = (inputs[0].astype(np.int64) - left.zero_point) * table[..., 2]
    headroom = 31 - bit_length(np.where(dividend < 0, ~dividend, dividend))
    quotient = saturating_rounding_doubling_high_mul(dividend << headroom, table[..., 0])
    total = table[..., 1] + headroom - shift
    high = saturating_rounding_doubling_high_mul(quotient, multiplier)
    shifted = np.where(
        total < 0,
        np.clip(high << np.clip(-total, 0, 31), INT32_MIN >> 1, INT32_MAX >> 1),
        np.where(total > 31, 0, rounding_divide_by_pot(high, np.clip(total, 0, 31))),
    )
    return [_activated(op, output, shifted)]


def maximum_or_minimum(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """The larger or the smaller of two, which have the same steps, with broadcasting."""
    choose = np.maximum if op.kind == "MAXIMUM" else np.minimum
    return [choose(inputs[0], inputs[1])]


def mul(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Product with broadcasting and a fused activation."""
    left, right, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    product = (inputs[0].astype(np.int64) - left.zero_point) * (inputs[1].astype(np.int64) - right.zero_point)
    scaled = multiply_by_quantized_multiplier(product, *product_multiplier(left, right, output))
    return [_activated(op, output, scaled)]


def prelu(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Negative inputs times alpha, which broadcasts; the others only requantised."""
    source, alpha, output = (graph.tensor(i) for i in (*op.inputs, op.outputs[0]))
    centred = inputs[0].astype(np.int64) - source.zero_point
    slope = inputs[1].astype(np.int64) - alpha.zero_point
    kept = multiply_by_quantized_multiplier(centred, *rescale_multiplier(source, output))
    bent = multiply_by_quantized_multiplier(centred * slope, *product_multiplier(source, alpha, output))
    return [_int8(np.where(centred >= 0, kept, bent) + output.zero_point)]


def rescale_multiplier(source: Tensor, output: Tensor) -> tuple[int, int]:
    """`(multiplier, shift)` from one tensor's steps to another's, divided in float64."""
    return quantize_multiplier(source.scale / output.scale)


def product_multiplier(left: Tensor, right: Tensor, output: Tensor) -> tuple[int, int]:
    """`(multiplier, shift)` from products of two tensors' steps to the output's."""
    return quantize_multiplier(left.scale * right.scale / output.scale)


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
    low, high = activation_range("RELU", output.scale, output.zero_point)
    return np.clip(_requantize_table(op, source, output), low, high).astype(np.int8)


def _relu6_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    low, high = activation_range("RELU6", source.scale, source.zero_point)
    return _int8(np.clip(_every_input(), low, high))


def _leaky_relu_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    centred = _every_input() - source.zero_point
    kept = multiply_by_quantized_multiplier(centred, *rescale_multiplier(source, output))
    bent_by = quantize_multiplier(source.scale * op.real("alpha") / output.scale)
    bent = multiply_by_quantized_multiplier(centred, *bent_by)
    return _int8(np.where(centred >= 0, kept, bent) + output.zero_point)


def _requantize_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    centred = _every_input() - source.zero_point
    scaled = multiply_by_quantized_multiplier(centred, *rescale_multiplier(source, output))
    return _int8(scaled + output.zero_point)


def _sigmoid_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    """LOGISTIC (in steps of 1/256) and TANH (of 1/128): fixed point with 4 integer bits inside a radius."""
    multiplier, shift = quantize_multiplier(source.scale * (1 << 27))
    radius = int(15.0 * (1 << 27) / 2.0**shift)
    centred = _every_input() - source.zero_point
    inside = np.where(np.abs(centred) < radius, centred, 0)
    argument = multiply_by_quantized_multiplier(inside, multiplier, shift)
    if op.kind == "LOGISTIC":
        values = rounding_divide_by_pot(logistic(argument), 31 - 8) - 128
    else:
        values = rounding_divide_by_pot(tanh(argument), 31 - 7)
    return _int8(np.where(centred <= -radius, -128, np.where(centred >= radius, 127, values)))


def _hard_swish_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    """x * relu6(x + 3) / 6 in 16 bits; every rounding as in TFLM."""
    hires_scale = source.scale / 128
    output_multiplier, output_shift = quantize_multiplier(hires_scale / output.scale)
    reluish_multiplier, reluish_shift = quantize_multiplier(hires_scale / (3 / 32768))
    hires = (_every_input() - source.zero_point) << 7
    preshift = _high_mul_int16(hires, _down_to_int16(output_multiplier))
    reluish = hires
    if reluish_shift > 0:
        reluish = _int16(reluish << (reluish_shift - 1))
    reluish = _high_mul_int16(reluish, _down_to_int16(reluish_multiplier))
    if reluish_shift > 0:
        reluish = _int16(reluish << 1)
    reluish = rounding_divide_by_pot(reluish, max(0, -reluish_shift))
    product = ((reluish + (1 << 15)) >> 1) * preshift
    towards_zero = np.sign(product) * (np.abs(product) >> 15)
    return _int8(rounding_divide_by_pot(towards_zero, -output_shift) + output.zero_point)


def _down_to_int16(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _int16(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def _high_mul_int16(values: npt.NDArray[np.int64], factor: int) -> npt.NDArray[np.int64]:
    """Rounding doubling high multiplication of 16-bit values."""
    return (values * factor + (1 << 14)) >> 15


def _float_table(function: Callable[[float], float], source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    """A function of the real value, in float32, rounded to the output's steps (TensorFlow Lite's `LUTPopulate`)."""
    inverse = np.float32(1) / np.float32(output.scale)
    table = []
    with np.errstate(under="ignore"):  # what is too small for float32 is nothing in int8
        for centred in _every_input() - source.zero_point:
            value = np.float32(function(float(np.float32(source.scale) * np.float32(centred))))
            table.append(round_half_away(float(value * inverse)) + output.zero_point)
    return _int8(np.array(table))


def _gelu_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    """x times the normal distribution's share below x; or its approximation by tanh."""

    def exact(x: float) -> float:
        argument = np.float32(x) * np.float32(-math.sqrt(0.5))
        return float(np.float32(0.5) * np.float32(x) * np.float32(math.erfc(float(argument))))

    def approximate(x: float) -> float:
        real = np.float32(x)
        cube = np.float32(0.044715) * real * real * real
        inner = np.float32(math.tanh(float(np.float32(math.sqrt(2 / math.pi)) * (real + cube))))
        return float(np.float32(0.5) * real * (np.float32(1) + inner))

    return _float_table(approximate if op.integer("approximate") else exact, source, output)


def _elu_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    return _float_table(lambda x: math.expm1(x) if x < 0 else x, source, output)


def _exp_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    return _float_table(lambda x: math.exp(min(x, 88.0)), source, output)


def _abs_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    sizes = np.abs(_every_input() - source.zero_point)
    if source.scale != output.scale:
        ratio = float(np.float32(source.scale) / np.float32(output.scale))  # divided in float32
        sizes = multiply_by_quantized_multiplier(sizes, *quantize_multiplier(ratio))
    return _int8(sizes + output.zero_point)


def _rsqrt_table(op: Op, source: Tensor, output: Tensor) -> npt.NDArray[np.int8]:
    """1 / sqrt(x). Of 0 it is the largest value, and of what is negative, where TFLM fails, too."""
    factor, factor_shift = quantize_multiplier(
        1.0 / float(np.float32(np.sqrt(np.float32(source.scale))) * np.float32(output.scale))
    )
    table = []
    for centred in _every_input() - source.zero_point:
        if centred <= 0:
            table.append(INT8_MAX)
            continue
        root, shift = inverse_square_root(int(centred))
        data = multiply_by_quantized_multiplier(np.array([1]), root, shift + 20)
        scaled = multiply_by_quantized_multiplier(data, factor, factor_shift - 20)
        table.append(int(scaled[0]) + output.zero_point)
    return _int8(np.array(table))


_TABLES = {
    "RSQRT": _rsqrt_table,
    "ABS": _abs_table,
    "ELU": _elu_table,
    "EXP": _exp_table,
    "GELU": _gelu_table,
    "HARD_SWISH": _hard_swish_table,
    "LEAKY_RELU": _leaky_relu_table,
    "LOGISTIC": _sigmoid_table,
    "QUANTIZE": _requantize_table,
    "RELU": _relu_table,
    "RELU6": _relu6_table,
    "TANH": _sigmoid_table,
}
UNARY = tuple(sorted(_TABLES))
"""Functions of one int8."""


@dataclass(frozen=True)
class SoftmaxConstants:
    """`exponentials[d]`: exp(-d * scale * beta) in Q0 for d = max - q in 0…255; 0: ignored."""

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
    headroom = 32 - bit_length(total)
    reciprocal = one_over_one_plus_x((total << headroom) - (1 << 31))
    product = saturating_rounding_doubling_high_mul(exponentials, reciprocal)
    scaled = rounding_divide_by_pot(product, 12 - headroom + 31 - 8)
    return [_int8(scaled - 128)]


@dataclass(frozen=True)
class LogSoftmaxConstants:
    """As TFLM's LOG_SOFTMAX has them: from steps to Q5, back again, and the least difference that counts."""

    multiplier: int
    shift: int
    reverse_multiplier: int
    reverse_shift: int
    minimum_difference: int

    @classmethod
    def of(cls, input_scale: float) -> LogSoftmaxConstants:
        """From the input's scale."""
        multiplier, shift = quantize_multiplier(min(input_scale * (1 << 26), (1 << 31) - 1.0))
        reverse = quantize_multiplier((1 << (31 - shift)) / multiplier)
        return cls(multiplier, shift, *reverse, -int(31.0 * (1 << 26) / 2.0**shift))


def log_softmax(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Logarithm of the softmax over the last axis; output in steps of 1/16 down from 127."""
    constants = LogSoftmaxConstants.of(graph.tensor(op.inputs[0]).scale)
    values = inputs[0].astype(np.int64)
    difference = values - values.max(axis=-1, keepdims=True)
    fine = multiply_by_quantized_multiplier(difference, constants.multiplier, constants.shift)
    counts = difference >= constants.minimum_difference
    powers = rounding_divide_by_pot(exp_on_negative_values(np.where(counts, fine, 0)), 12)
    logarithm = log_of_sum(np.where(counts, powers, 0).sum(axis=-1, keepdims=True))
    least = multiply_by_quantized_multiplier(
        logarithm + INT32_MIN, constants.reverse_multiplier, constants.reverse_shift
    )
    least = np.maximum(constants.minimum_difference - 1, least)
    scaled = rounding_divide_by_pot(fine - logarithm, 22) + 127
    return [_int8(np.where(difference > least, scaled, INT8_MIN))]


KERNELS = {
    **dict.fromkeys(("ABS", "ELU", "EXP", "GELU", "RSQRT"), unary),
    "DIV": div,
    "LOG_SOFTMAX": log_softmax,
    "SQUARED_DIFFERENCE": squared_difference,
    "ADD": add_or_sub,
    "HARD_SWISH": unary,
    "LEAKY_RELU": unary,
    "LOGISTIC": unary,
    "MAXIMUM": maximum_or_minimum,
    "MINIMUM": maximum_or_minimum,
    "MUL": mul,
    "PRELU": prelu,
    "QUANTIZE": unary,
    "RELU": unary,
    "RELU6": unary,
    "SOFTMAX": softmax,
    "SUB": add_or_sub,
    "TANH": unary,
}
