"""Operators that only move bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from stapes.compiler.builder import Builder, Lowering, Pad, Shape
from stapes.compiler.plan import Array, Input
from stapes.graph import Op
from stapes.graph.slices import PARTS, SOURCE_OF_PARTS, parts_of
from stapes.graph.windows import Interpolation, alignment_of, nearest

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def concatenation(builder: Builder, op: Op) -> None:
    """Along rows, columns or channels."""
    if builder.keeps(op):
        return
    axis = op.integer("axis") % len(builder.tensor(op.outputs[0]).shape)
    _join(builder, op, axis, [builder.tensor(index).shape for index in op.inputs])


def pack(builder: Builder, op: Op) -> None:
    """CONCATENATION of tensors with one axis more."""
    axis = op.integer("axis") % len(builder.tensor(op.outputs[0]).shape)
    shapes = [builder.tensor(index).shape for index in op.inputs]
    _join(builder, op, axis, [(*shape[:axis], 1, *shape[axis:]) for shape in shapes])


def _join(builder: Builder, op: Op, axis: int, shapes: Sequence[tuple[int, ...]]) -> None:
    """The inputs, seen as `shapes`, one after the other."""
    if len(op.inputs) == 1:
        builder.alias(op)
        return
    output = builder.tensor(op.outputs[0])
    rank, item = len(output.shape), output.dtype.itemsize
    shape = builder.shape(output.index)
    first = 1 if rank > 1 and output.shape[0] == 1 else 0
    if rank - first > 1 and axis == first:
        parts = tuple(Shape.of((1, *part[first:]), item) for part in shapes)
        starts = accumulate((part.rows for part in parts), initial=0)
        builder.add_layer(
            op=op,
            kernel="concatenation_rows",
            inputs=tuple(
                Input(builder.source(op, index, part), before=start)
                for index, part, start in zip(op.inputs, parts, starts, strict=False)
            ),
            fields={"row_bytes": shape.row_bytes},
            knows_row=True,
        )
        return
    outer = math.prod(output.shape[first + 1 : axis]) if axis > first else 1
    sizes = [Shape.of((1, *part[first:]), item).row_bytes // outer for part in shapes]
    builder.add_layer(
        op=op,
        kernel="concatenation",
        inputs=tuple(
            Input(builder.source(op, index, Shape(shape.rows, outer, size)))
            for index, size in zip(op.inputs, sizes, strict=True)
        ),
        fields={
            "columns": outer,
            "bytes": Array("uint32_t", np.array(sizes, dtype=np.int64)),
        },
    )


def parts(builder: Builder, op: Op) -> None:
    """One layer for each part of the input; one part that is all of it costs nothing."""
    index = op.inputs[SOURCE_OF_PARTS.get(op.kind, 0)]
    # An array of the tensor's shape whose memory nobody touches: only views of it are taken.
    whole = np.empty(builder.tensor(index).shape, builder.tensor(index).dtype)
    constants = [builder.tensor(i).data for i in op.inputs]
    given = [
        whole if i == index or data is None else data for i, data in zip(op.inputs, constants, strict=True)
    ]
    for part, output in zip(parts_of(op, given), op.outputs, strict=True):
        if part.size == whole.size and part.flags.c_contiguous and builder.tensor(index).data is None:
            builder.alias(op, index, output)
        else:
            _pick(builder, op, index, whole, part, output)


def gather(builder: Builder, op: Op) -> None:
    """Rows, columns or channels in the order of the indices."""
    source = builder.tensor(op.inputs[0])
    indices = builder.tensor(op.inputs[1]).data
    assert indices is not None
    axis = op.integer("axis") % len(source.shape)
    whole = np.arange(source.elements).reshape(source.shape)
    taken = np.take(whole, indices.astype(np.int64), axis=axis)
    inner = math.prod(source.shape[axis + 1 :])
    _gather(builder, op, taken.reshape(-1, inner)[:, 0], inner)


def tile(builder: Builder, op: Op) -> None:
    """The input's pieces again and again."""
    source = builder.tensor(op.inputs[0])
    times = builder.tensor(op.inputs[1]).data
    assert times is not None
    counts = [int(count) for count in times.reshape(-1)]
    # Axes at the end that are taken once stay together.
    kept = max((axis + 1 for axis, count in enumerate(counts) if count > 1), default=0)
    inner = math.prod(source.shape[kept:])
    starts = np.tile(np.arange(0, source.elements, inner).reshape(source.shape[:kept]), counts[:kept])
    _gather(builder, op, starts.reshape(-1), inner)


def resize_nearest_neighbor(builder: Builder, op: Op) -> None:
    """Rows and columns of the input, some of them several times."""
    source, output = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    _, height, width, channels = source.shape
    whole = np.arange(height * width).reshape(height, width) * channels
    alignment = alignment_of(op)
    rows = nearest(height, output.shape[1], *alignment)
    columns = nearest(width, output.shape[2], *alignment)
    _gather(builder, op, whole[rows][:, columns].reshape(-1), channels)


def resize_bilinear(builder: Builder, op: Op) -> None:
    """Between two rows and two columns of the input."""
    source, output = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    _, height, width, channels = source.shape
    alignment = alignment_of(op)
    rows = Interpolation.of(height, output.shape[1], *alignment)
    columns = Interpolation.of(width, output.shape[2], *alignment)
    builder.add_layer(
        op=op,
        kernel="resize_bilinear",
        inputs=(
            Input(builder.source(op, op.inputs[0], Shape(height, width, channels)), height=height, stride=0),
        ),
        shape=Shape(output.shape[1], output.shape[2], channels),
        fields={
            "rows": Array("stapes_between_t", _between(rows, 1)),
            "positions": Array("stapes_between_t", _between(columns, channels)),
            "columns": output.shape[2],
            "channels": channels,
        },
        knows_row=True,
    )


def _between(along: Interpolation, step: int) -> npt.NDArray[np.int64]:
    lower, upper = (np.array(values, np.int64) * step for values in (along.lower, along.upper))
    return np.stack([lower, upper, np.array(along.weights, np.int64)], axis=1)


def _gather(builder: Builder, op: Op, starts: npt.NDArray[np.int64], inner: int) -> None:
    """A layer that copies pieces of `inner` elements that begin at `starts` in the first input."""
    number = builder.source(op, op.inputs[0])
    storage = builder.storage(number)
    shape = builder.shape(op.outputs[0])
    item = builder.tensor(op.outputs[0]).dtype.itemsize
    starts, inner = starts * item, inner * item
    piece = math.gcd(inner, shape.row_bytes, storage.row_bytes)  # never across a row of either side
    pieces = (starts[:, None] + np.arange(0, inner, piece)).reshape(shape.rows, -1)
    bases, offsets = pieces.min(axis=1), pieces[0] - pieces[0].min()
    if np.any(pieces != bases[:, None] + offsets):
        # Every row has pieces of its own: one long row, which readers cut.
        shape = Shape(1, shape.rows * shape.columns, shape.channels)
        bases, offsets = np.zeros(1, np.int64), pieces.reshape(-1)
    builder.add_layer(
        op=op,
        kernel="gather",
        shape=shape,
        inputs=(Input(number, height=storage.rows, stride=0),),
        fields={
            "bases": Array("uint32_t", bases),
            "offsets": Array("uint32_t", offsets),
            "count": offsets.size,
            "piece_bytes": piece,
            "input_bytes": storage.row_bytes,
        },
        knows_row=True,
    )


def _pick(
    builder: Builder,
    op: Op,
    source: int,
    whole: npt.NDArray[np.generic],
    part: npt.NDArray[np.generic],
    output: int,
) -> None:
    """The bytes that the view `part` takes from `whole`: NumPy's strides are the kernel's steps."""
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    shape = builder.shape(output)
    axes = [(size, step) for size, step in zip(part.shape, part.strides, strict=True) if size != 1]
    if part.itemsize > 1:
        axes.append((part.itemsize, 1))
    row_step = axes.pop(0)[1] if shape.rows > 1 else 0
    inner: list[tuple[int, int]] = []
    for size, step in axes:
        if inner and inner[-1][1] == size * step:
            inner[-1] = (inner[-1][0] * size, step)
        else:
            inner.append((size, step))
    if len(inner) > 4:
        raise builder.refuse(op, f"bytes along {len(inner)} axes in another order", "reshape first")
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
    is_run = inner in ([], [(shape.row_bytes, 1)]) and (window.stride == 1 or shape.rows == 1)
    if by_rows and is_run and number >= 0:
        builder.view(output, number, row, column, shape.rows, shape.row_bytes)
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
        and output.index not in builder.graph.ends
        and all(reader.kind in CONVOLUTIONS for reader in readers)
        and op.inputs[0] not in builder.pads
    ):
        builder.pads[output.index] = Pad(source.index, *pairs[1], *pairs[2])
        builder.notes.append(f"PAD {output.name}: folded into {len(readers)} convolution(s)")
        return
    first = 1 if len(pairs) > 1 and output.shape[0] == 1 else 0
    has_rows = len(pairs) - first > 1
    above = pairs[first][0] if has_rows else 0
    rows = source.shape[first] if has_rows else 1
    inner = range(first + 1 if has_rows else first, len(pairs))
    # Runs of bytes that stay together, and the axes along which they lie apart.
    item = source.dtype.itemsize
    run, step, start = item, item, 0
    axes: list[tuple[int, int]] = []
    for axis in reversed(inner):
        start += pairs[axis][0] * step
        if run == step:
            run *= source.shape[axis]
        elif source.shape[axis] > 1:
            axes.insert(0, (source.shape[axis], step))
        step *= output.shape[axis]
    if len(axes) > 3:
        raise builder.refuse(op, "padding of more than four axes", "pad one after the other")
    padded = [(1, 0)] * (3 - len(axes)) + axes
    builder.add_layer(
        op=op,
        kernel="pad",
        inputs=(
            Input(
                builder.source(op, op.inputs[0], Shape(rows, 1, source.elements // rows * item)), before=above
            ),
        ),
        fields={
            "counts": [size for size, _ in padded],
            "steps": [step for _, step in padded],
            "start": start,
            "run_bytes": run,
            "row_bytes": builder.shape(output.index).row_bytes,
            "value": value,
        },
        details=f"padding {pairs} with {value}",
    )


LOWERINGS = {
    "CONCATENATION": Lowering(concatenation, ("concatenation", "concatenation_rows")),
    "GATHER": Lowering(gather, ("gather",)),
    "RESIZE_BILINEAR": Lowering(resize_bilinear, ("resize_bilinear",)),
    "RESIZE_NEAREST_NEIGHBOR": Lowering(resize_nearest_neighbor, ("gather",)),
    "TILE": Lowering(tile, ("gather",)),
    "PACK": Lowering(pack, ("concatenation", "concatenation_rows")),
    "PAD": Lowering(pad, ("pad",)),
    "PADV2": Lowering(pad, ("pad",)),
    **dict.fromkeys(PARTS, Lowering(parts, ("pick",))),
}
