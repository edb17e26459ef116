"""Operators on single elements, and softmax."""

from __future__ import annotations

import math

import numpy as np

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.plan import Array, Fields, Input
from stapes.graph import Op, Tensor
from stapes.int8.arithmetic import activation_range, quantize_multiplier
from stapes.int8.elementwise import (
    ADD_LEFT_SHIFT,
    AddConstants,
    product_multiplier,
    rescale_multiplier,
    unary_table,
)


def add(builder: Builder, op: Op) -> None:
    """ADD and SUB."""
    constants = AddConstants.of(builder.graph, op)
    _binary(
        builder,
        op,
        "add",
        {
            "multiplier1": constants.left[0],
            "multiplier2": constants.right[0],
            "multiplier": constants.output[0],
            "shift1": constants.left[1],
            "shift2": constants.right[1],
            "shift": constants.output[1],
            "left_shift": ADD_LEFT_SHIFT,
            "subtracts": int(op.kind == "SUB"),
        },
    )


def mul(builder: Builder, op: Op) -> None:
    """MUL."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    multiplier, shift = product_multiplier(left, right, output)
    _binary(builder, op, "mul", {"multiplier": multiplier, "shift": shift})


def maximum_or_minimum(builder: Builder, op: Op) -> None:
    """MAXIMUM and MINIMUM: the same steps on all sides, so the operands' constants say everything."""
    _binary(builder, op, op.kind.lower(), {})


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
    _binary(builder, op, "prelu", fields)


def _binary(builder: Builder, op: Op, kernel: str, fields: Fields) -> None:
    """A layer with two operands that broadcast."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    activation = str(op.attributes.get("activation", "NONE"))
    low, high = activation_range(activation, output.scale, output.zero_point)
    shape = Shape.of(output.shape)
    first, second = (_operand_shape(builder, op, tensor) for tensor in (left, right))
    builder.add_layer(
        op=op,
        kernel=kernel,
        inputs=tuple(
            Input(builder.source(op, tensor.index, operand), stride=int(operand.rows > 1))
            for tensor, operand in ((left, first), (right, second))
        ),
        fields={
            "operands": {
                "columns": shape.columns,
                "channels": shape.channels,
                "column_step1": first.channels if first.columns > 1 else 0,
                "column_step2": second.channels if second.columns > 1 else 0,
                "channel_step1": int(first.channels > 1),
                "channel_step2": int(second.channels > 1),
                "minimum": low,
                "maximum": high,
                "offset1": -left.zero_point,
                "offset2": -right.zero_point,
                "zero_point": output.zero_point,
            },
            **fields,
        },
        details=activation,
    )


def _operand_shape(builder: Builder, op: Op, operand: Tensor) -> Shape:
    """An operand's shape, each of rows, columns and channels the output's or 1."""
    full = builder.tensor(op.outputs[0]).shape
    aligned = (1,) * (len(full) - len(operand.shape)) + operand.shape
    output = Shape.of(full)
    first = 1 if len(full) > 1 and full[0] == 1 else 0
    inner = aligned[first:]
    if len(inner) < 2:
        return Shape(1, 1, math.prod(inner))
    shape = Shape(inner[0], math.prod(inner[1:-1]), inner[-1])
    if shape.columns not in (1, output.columns):
        raise builder.refuse(op, "broadcasting along part of the inner axes", "reshape to four dimensions")
    return shape


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


UNARY = ("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "RELU6", "TANH")
"""Functions of one int8: tables."""

LOWERINGS = {
    "ADD": Lowering(add, ("add",)),
    "MAXIMUM": Lowering(maximum_or_minimum, ("maximum",)),
    "MINIMUM": Lowering(maximum_or_minimum, ("minimum",)),
    "MUL": Lowering(mul, ("mul",)),
    "PRELU": Lowering(prelu, ("prelu",)),
    "SOFTMAX": Lowering(softmax, ("softmax",)),
    "SUB": Lowering(add, ("add",)),
    **{kind: Lowering(lookup, ("lookup",)) for kind in UNARY},
}
