"""Operators on single elements, softmax, and those that only move bytes."""

from __future__ import annotations

import math

import numpy as np

from stapes.compiler.builder import Builder, Pad, Shape
from stapes.compiler.plan import Array, Input
from stapes.graph import Op, Tensor
from stapes.reference.arithmetic import activation_range, quantize_multiplier
from stapes.reference.kernels_elementwise import ADD_LEFT_SHIFT, AddConstants, unary_table

UNARY = ("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "RELU6", "TANH")
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def add(builder: Builder, op: Op) -> None:
    """ADD with broadcasting."""
    left, right, output = (builder.tensor(i) for i in (*op.inputs, op.outputs[0]))
    constants = AddConstants.of(builder.graph, op)
    shape = Shape.of(output.shape)
    low, high = activation_range(op.text("activation"), output.scale, output.zero_point)
    shapes = [_operand_shape(builder, op, tensor) for tensor in (left, right)]
    inputs = tuple(
        Input(builder.source(op, tensor.index, operand), stride=int(operand.rows > 1))
        for tensor, operand in zip((left, right), shapes, strict=True)
    )
    sign = -1 if op.kind == "SUB" else 1
    builder.add_layer(
        op=op,
        kernel="add",
        inputs=inputs,
        fields={
            "offset1": -left.zero_point,
            "offset2": -right.zero_point,
            "multiplier1": constants.left[0],
            "multiplier2": sign * constants.right[0],
            "multiplier": constants.output[0],
            "shift1": constants.left[1],
            "shift2": constants.right[1],
            "shift": constants.output[1],
            "left_shift": ADD_LEFT_SHIFT,
            "zero_point": output.zero_point,
            "minimum": low,
            "maximum": high,
            "columns": shape.columns,
            "channels": shape.channels,
            "column_step1": shapes[0].channels if shapes[0].columns > 1 else 0,
            "column_step2": shapes[1].channels if shapes[1].columns > 1 else 0,
            "channel_step1": int(shapes[0].channels > 1),
            "channel_step2": int(shapes[1].channels > 1),
        },
        details=op.text("activation"),
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


def concatenation(builder: Builder, op: Op) -> None:
    """Along rows, columns or channels."""
    output = builder.tensor(op.outputs[0])
    rank = len(output.shape)
    axis = op.integer("axis") % rank
    shape = Shape.of(output.shape)
    first = 1 if rank > 1 and output.shape[0] == 1 else 0
    tensors = [builder.tensor(index) for index in op.inputs]
    if rank - first > 1 and axis == first:
        # Every output row is one row of one input; all of them are there before the first comes out.
        parts = tuple(Shape.of((1, *tensor.shape[first:])) for tensor in tensors)
        builder.add_layer(
            op=op,
            kernel="concatenation_rows",
            inputs=tuple(
                Input(builder.source(op, tensor.index, part), height=part.rows, stride=0)
                for tensor, part in zip(tensors, parts, strict=True)
            ),
            fields={"row_bytes": shape.row_bytes},
        )
        return
    outer = math.prod(output.shape[first + 1 : axis]) if axis > first else 1
    sizes = [Shape.of((1, *tensor.shape[first:])).row_bytes // outer for tensor in tensors]
    builder.add_layer(
        op=op,
        kernel="concatenation",
        inputs=tuple(
            Input(builder.source(op, tensor.index, Shape(shape.rows, outer, size)))
            for tensor, size in zip(tensors, sizes, strict=True)
        ),
        fields={
            "columns": outer,
            "inputs": len(sizes),
            "bytes": Array("uint16_t", np.array(sizes, dtype=np.int64)),
        },
    )


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


def pad(builder: Builder, op: Op) -> None:
    """Zero points around a map that only convolutions read cost nothing; other padding is a layer."""
    source = builder.tensor(op.inputs[0])
    output = builder.tensor(op.outputs[0])
    amounts = builder.tensor(op.inputs[1]).data
    assert amounts is not None
    pairs = [(int(low), int(high)) for low, high in amounts.reshape(-1, 2)]
    value = output.zero_point
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        given = builder.tensor(op.inputs[2]).data
        assert given is not None
        value = int(given.reshape(-1)[0])
    readers = builder.consumers(output.index)
    if (
        len(pairs) == 4
        and pairs[0] == pairs[3] == (0, 0)
        and value == source.zero_point
        and output.index not in builder.graph.outputs
        and all(reader.kind in CONVOLUTIONS for reader in readers)
        and op.inputs[0] not in builder.pads
    ):
        builder.pads[output.index] = Pad(source.index, *pairs[1], *pairs[2])
        builder.notes.append(f"PAD {output.name}: folded into {len(readers)} convolution(s)")
        return
    first = 1 if len(pairs) > 1 and output.shape[0] == 1 else 0
    inner = pairs[first:]
    shape = Shape.of(source.shape)
    if len(inner) > 3 or (first and pairs[0] != (0, 0)):
        raise builder.refuse(op, "padding of more than three axes", "pad rows, columns and channels only")
    rows = inner[0] if len(inner) > 1 else (0, 0)
    columns = inner[1] if len(inner) > 2 else (0, 0)
    channels = inner[-1]
    builder.add_layer(
        op=op,
        kernel="pad",
        inputs=(Input(builder.source(op, op.inputs[0]), before=rows[0]),),
        fields={
            "columns": shape.columns,
            "channels": shape.channels,
            "columns_before": columns[0],
            "columns_after": columns[1],
            "channels_before": channels[0],
            "channels_after": channels[1],
            "value": value,
        },
        details=f"padding {inner} with {value}",
    )
