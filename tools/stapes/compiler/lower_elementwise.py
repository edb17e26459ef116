"""Operators on single elements, and softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.plan import Array, Fields, Input
from stapes.graph import Op, Tensor
from stapes.int8.arithmetic import activation_range, limits_of, quantize_multiplier
from stapes.int8.elementwise import (
    SQUARED_LEFT_SHIFT,
    UNARY,
    AddConstants,
    LogSoftmaxConstants,
    add_left_shift,
    product_multiplier,
    quotient_constants,
    reciprocals,
    rescale_multiplier,
    squared_difference_constants,
    unary_table,
)


def add(builder: Builder, op: Op) -> None:
    """ADD and SUB."""
    binary(builder, op, "add", add_fields(builder, op))


def add_fields(builder: Builder, op: Op) -> Fields:
    """The fields of stapes_add_t besides the operands."""
    constants = AddConstants.of(builder.graph, op)
    return _sum_fields(constants, add_left_shift(builder.graph, op), subtracts=op.kind == "SUB")


def squared_difference(builder: Builder, op: Op) -> None:
    """SQUARED_DIFFERENCE."""
    constants = squared_difference_constants(builder.graph, op)
    binary(builder, op, "squared_difference", _sum_fields(constants, SQUARED_LEFT_SHIFT, subtracts=True))


def _sum_fields(constants: AddConstants, left_shift: int, *, subtracts: bool) -> Fields:
    return {
        "multiplier1": constants.left[0],
        "multiplier2": constants.right[0],
        "multiplier": constants.output[0],
        "shift1": constants.left[1],
        "shift2": constants.right[1],
        "shift": constants.output[1],
        "left_shift": left_shift,
        "subtracts": int(subtracts),
    }


def div(builder: Builder, op: Op) -> None:
    """DIV: the reciprocals of all 256 divisors are a table."""
    multiplier, shift = quotient_constants(builder.graph, op)
    table = reciprocals(builder.tensor(op.inputs[1]))
    fields: Fields = {
        "divisors": Array("stapes_divisor_t", table),
        "multiplier": multiplier,
        "shift": shift,
    }
    binary(builder, op, "div", fields, offset2=128)


def mul(builder: Builder, op: Op) -> None:
    """MUL."""
    binary(builder, op, "mul", mul_fields(builder, op))


def mul_fields(builder: Builder, op: Op) -> Fields:
    """The fields of stapes_mul_t besides the operands."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    multiplier, shift = product_multiplier(left, right, output)
    return {"multiplier": multiplier, "shift": shift}


def maximum_or_minimum(builder: Builder, op: Op) -> None:
    """MAXIMUM and MINIMUM: the same steps on all sides, so the operands' constants say everything."""
    binary(builder, op, op.kind.lower(), {})


def prelu(builder: Builder, op: Op) -> None:
    """PRELU."""
    source, slopes, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    multiplier, shift = rescale_multiplier(source, output)
    negative, negative_shift = product_multiplier(source, slopes, output)
    fields: Fields = {
        "multiplier": multiplier,
        "negative_multiplier": negative,
        "shift": shift,
        "negative_shift": negative_shift,
    }
    binary(builder, op, "prelu", fields)


def binary(builder: Builder, op: Op, kernel: str, fields: Fields, offset2: int | None = None) -> None:
    """A layer with two operands that broadcast; `offset2` is added to the second instead of minus its zero point."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    activation = str(op.attributes.get("activation", "NONE"))
    low, high = activation_range(activation, output.scale, output.zero_point, limits_of(output.dtype))
    first, second = (_operand(tensor, output) for tensor in (left, right))
    levels = _levels(builder, op, first, second)
    (planes, columns, channels), steps1, steps2 = zip(*levels, strict=True)
    builder.add_layer(
        op=op,
        kernel=kernel,
        inputs=tuple(
            Input(builder.source(op, tensor.index, operand.shape), stride=int(operand.shape.rows > 1))
            for tensor, operand in ((left, first), (right, second))
        ),
        fields={
            "operands": {
                "planes": planes,
                "columns": columns,
                "channels": channels,
                "plane_step1": steps1[0],
                "plane_step2": steps2[0],
                "column_step1": steps1[1],
                "column_step2": steps2[1],
                "channel_step1": steps1[2],
                "channel_step2": steps2[2],
                "minimum": low,
                "maximum": high,
                "offset1": -left.zero_point,
                "offset2": -right.zero_point if offset2 is None else offset2,
                "zero_point": output.zero_point,
            },
            **fields,
        },
        details=activation,
    )


@dataclass(frozen=True)
class Operand:
    """One of two operands, along the axes of a row of the output."""

    shape: Shape
    sizes: tuple[int, ...]
    """Of the output."""
    steps: tuple[int, ...]
    """Bytes from one to the next; 0 where it has a single one."""


def _operand(operand: Tensor, output: Tensor) -> Operand:
    full = output.shape or (1,)
    first = 1 if len(full) > 1 and full[0] == 1 else 0
    has_rows = len(full) - first > 1
    aligned = ((1,) * (len(full) - len(operand.shape)) + operand.shape)[first:]
    sizes, item = aligned[1:] if has_rows else aligned, operand.dtype.itemsize
    steps = [math.prod(sizes[axis + 1 :]) * item if size > 1 else 0 for axis, size in enumerate(sizes)]
    shape = Shape(aligned[0] if has_rows else 1, 1, math.prod(sizes) * item)
    return Operand(shape, full[first + has_rows :], tuple(steps))


def _levels(builder: Builder, op: Op, first: Operand, second: Operand) -> list[tuple[int, int, int]]:
    """A row as planes, columns and channels: how many, and the operands' steps. Channels are the last axis; those
    before it are taken together where both operands allow it.
    """
    axes = list(zip(first.sizes, first.steps, second.steps, strict=True))
    found: list[tuple[int, int, int]] = []
    for size, step1, step2 in axes[:-1]:
        if size == 1:
            continue
        if found and found[-1][1:] == (size * step1, size * step2):
            found[-1] = (found[-1][0] * size, step1, step2)
        else:
            found.append((size, step1, step2))
    if len(found) > 2:
        raise builder.refuse(op, "broadcasting in three places of a row", "reshape to four dimensions")
    return [(1, 0, 0)] * (2 - len(found)) + found + [axes[-1]]


def lookup(builder: Builder, op: Op) -> None:
    """Any function of one int8: the reference computes all 256 values now."""
    shape = Shape.of(builder.tensor(op.outputs[0]).shape)
    builder.add_layer(
        op=op,
        kernel="lookup",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        fields={
            "table": Array("int8_t", unary_table(builder.graph, op).astype(np.int8)),
            "count": shape.row_bytes,
        },
    )


def softmax(builder: Builder, op: Op) -> None:
    """Softmax over the last axis; constants as TFLite's PreprocessSoftmaxScaling and CalculateInputRadius."""
    source = builder.tensor(op.inputs[0])
    shape = Shape.of(source.shape)
    real = min(op.real("beta") * source.scale * (1 << 26), (1 << 31) - 1.0)
    multiplier, shift = quantize_multiplier(real)
    builder.add_layer(
        op=op,
        kernel="softmax",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        fields={
            "multiplier": multiplier,
            "minimum_difference": -int(31.0 * (1 << 26) / 2.0**shift),
            "shift": shift,
            "columns": shape.columns,
            "channels": shape.channels,
        },
    )


def log_softmax(builder: Builder, op: Op) -> None:
    """Logarithm of the softmax over the last axis."""
    source = builder.tensor(op.inputs[0])
    constants = LogSoftmaxConstants.of(source.scale)
    shape = Shape.of(source.shape)
    builder.add_layer(
        op=op,
        kernel="log_softmax",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        fields={
            "multiplier": constants.multiplier,
            "reverse_multiplier": constants.reverse_multiplier,
            "minimum_difference": constants.minimum_difference,
            "columns": shape.columns,
            "channels": shape.channels,
            "shift": constants.shift,
            "reverse_shift": constants.reverse_shift,
        },
    )


LOWERINGS = {
    "ADD": Lowering(add, ("add",)),
    "DIV": Lowering(div, ("div",)),
    "LOG_SOFTMAX": Lowering(log_softmax, ("log_softmax",)),
    "SQUARED_DIFFERENCE": Lowering(squared_difference, ("squared_difference",)),
    "MAXIMUM": Lowering(maximum_or_minimum, ("maximum",)),
    "MINIMUM": Lowering(maximum_or_minimum, ("minimum",)),
    "MUL": Lowering(mul, ("mul",)),
    "PRELU": Lowering(prelu, ("prelu",)),
    "SOFTMAX": Lowering(softmax, ("softmax",)),
    "SUB": Lowering(add, ("add",)),
    **{kind: Lowering(lookup, ("lookup",)) for kind in UNARY},
}
