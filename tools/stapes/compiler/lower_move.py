"""Operators that only move bytes."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from stapes.compiler.builder import Builder, Lowering, Pad, Shape
from stapes.compiler.plan import Array, Input
from stapes.graph import Op
from stapes.graph.slices import slice_of

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def concatenation(builder: Builder, op: Op) -> None:
    """Along rows, columns or channels."""
    if builder.keeps(op):
        return
    output = builder.tensor(op.outputs[0])
    rank = len(output.shape)
    axis = op.integer("axis") % rank
    shape = Shape.of(output.shape)
    first = 1 if rank > 1 and output.shape[0] == 1 else 0
    tensors = [builder.tensor(index) for index in op.inputs]
    if rank - first > 1 and axis == first:
        parts = tuple(Shape.of((1, *tensor.shape[first:])) for tensor in tensors)
        starts = accumulate((part.rows for part in parts), initial=0)
        builder.add_layer(
            op=op,
            kernel="concatenation_rows",
            inputs=tuple(
                Input(builder.source(op, tensor.index, part), before=start)
                for tensor, part, start in zip(tensors, parts, starts, strict=False)
            ),
            fields={"row_bytes": shape.row_bytes},
            knows_row=True,
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
            "bytes": Array("uint32_t", np.array(sizes, dtype=np.int64)),
        },
    )


def strided_slice(builder: Builder, op: Op) -> None:
    """A regular part of the input."""
    begin, end, strides = (builder.tensor(index).data for index in op.inputs[1:])
    assert begin is not None and end is not None and strides is not None
    whole = _whole(builder, op.inputs[0])
    _pick(
        builder, op, op.inputs[0], whole, whole[slice_of(op, whole.shape, begin, end, strides)], op.outputs[0]
    )


def split(builder: Builder, op: Op) -> None:
    """One layer for each part."""
    axis = builder.tensor(op.inputs[0]).data
    assert axis is not None
    whole = _whole(builder, op.inputs[1])
    parts = np.split(whole, len(op.outputs), axis=int(axis.reshape(-1)[0]))
    for part, output in zip(parts, op.outputs, strict=True):
        _pick(builder, op, op.inputs[1], whole, part, output)


def transpose(builder: Builder, op: Op) -> None:
    """Axes in another order."""
    order = builder.tensor(op.inputs[1]).data
    assert order is not None
    whole = _whole(builder, op.inputs[0])
    _pick(
        builder,
        op,
        op.inputs[0],
        whole,
        whole.transpose([int(axis) for axis in order.reshape(-1)]),
        op.outputs[0],
    )


def _whole(builder: Builder, index: int) -> npt.NDArray[np.int8]:
    """An array of the tensor's shape whose memory nobody touches: only views of it are taken."""
    return np.empty(builder.tensor(index).shape, np.int8)


def _pick(
    builder: Builder,
    op: Op,
    source: int,
    whole: npt.NDArray[np.int8],
    part: npt.NDArray[np.int8],
    output: int,
) -> None:
    """The bytes that the view `part` takes from `whole`: NumPy's strides are the kernel's steps."""
    shape = builder.tensor(output).shape
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    # Axes that the operator took away have no stride; those of length one need none.
    strides = iter([step for size, step in zip(part.shape, part.strides, strict=True) if size != 1])
    steps = [next(strides) if size != 1 else 0 for size in shape]
    first = 1 if len(shape) > 1 and shape[0] == 1 else 0
    is_flat = len(shape) - first < 2
    inner = list(zip(shape, steps, strict=True))[first if is_flat else first + 1 :]
    row_step = 0 if is_flat else steps[first]
    if len(inner) > 4:
        raise builder.refuse(op, f"{len(shape)} dimensions", "reshape to at most 5")
    number = builder.source(op, source)
    storage = builder.storage(number)
    row_bytes = storage.row_bytes
    row, column = divmod(start, row_bytes)
    lowest = column + sum(min(0, (size - 1) * step) for size, step in inner)
    highest = column + sum(max(0, (size - 1) * step) for size, step in inner)
    by_rows = row_step % row_bytes == 0 and row_step >= 0 and lowest >= 0 and highest < row_bytes
    if by_rows:
        window = Input(number, stride=row_step // row_bytes, before=-row)
        start, row_step, row_bytes = column, 0, 0
    else:
        window = Input(number, height=storage.rows, stride=0)
    run = math.prod(size for size, _ in inner)
    is_run = [step for size, step in inner if size > 1] == [
        math.prod(size for size, _ in inner[position + 1 :])
        for position, (size, _) in enumerate(inner)
        if size > 1
    ]
    if by_rows and is_run and window.stride == 1 and number >= 0:
        out = Shape.of(shape)
        builder.view(output, number, row, column, out.rows, run)
        builder.notes.append(f"{op.kind} {builder.tensor(output).name}: no code, read where it is")
        return
    padded = [(1, 0)] * (4 - len(inner)) + inner
    builder.add_layer(
        op=op,
        kernel="pick",
        output=output,
        inputs=(window,),
        fields={
            "counts": [size for size, _ in padded],
            "steps": [step for _, step in padded],
            "start": start,
            "row_step": row_step,
            "input_bytes": row_bytes,
        },
        knows_row=not by_rows,
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


LOWERINGS = {
    "CONCATENATION": Lowering(concatenation, ("concatenation", "concatenation_rows")),
    "PAD": Lowering(pad, ("pad",)),
    "PADV2": Lowering(pad, ("pad",)),
    "SPLIT": Lowering(split, ("pick",)),
    "STRIDED_SLICE": Lowering(strided_slice, ("pick",)),
    "TRANSPOSE": Lowering(transpose, ("pick",)),
}
