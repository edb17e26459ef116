"""Pools and reductions."""

from __future__ import annotations

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.lower_conv import window_of
from stapes.compiler.plan import Fields, Input
from stapes.compiler.structures import macro
from stapes.graph import Op
from stapes.int8.arithmetic import activation_range
from stapes.int8.pool import mean_constants


def pool_2d(builder: Builder, op: Op) -> None:
    """Windows, or one window as high as the map, which is added up as the rows come."""
    kernel_h, kernel_w = op.integer("kernel_h"), op.integer("kernel_w")
    window = window_of(builder, op, kernel_h, kernel_w, may_pad=False)
    target = builder.tensor(op.outputs[0])
    output = Shape.of(target.shape)
    low, high = activation_range(op.text("activation"), target.scale, target.zero_point)
    whole = output.rows == 1 and kernel_h - window.before >= window.shape.rows
    rows = window.shape.rows if whole else kernel_h
    kind = "average" if op.kind == "AVERAGE_POOL_2D" else "max"
    narrow = rows * kernel_w <= macro("STAPES_NARROW_POOL")
    fields: Fields = {
        "kernel_width": kernel_w,
        "stride_width": op.integer("stride_w"),
        "pad_left": window.left,
        "input_columns": window.shape.columns,
        "columns": output.columns,
        "channels": output.channels,
        "minimum": low,
        "maximum": high,
    }
    source = Input(window.source)
    if not whole:
        source = Input(window.source, height=kernel_h, stride=op.integer("stride_h"), before=window.before)
    builder.add_layer(
        op=op,
        kernel=f"{kind}_pool_rows" if whole else f"{kind}_pool_2d",
        inputs=(source,),
        fields=fields,
        steps=rows if whole else None,
        state_bytes=(2 if narrow else 4) * output.row_bytes if whole and kind == "average" else 0,
        scratch_bytes=2 * output.channels if narrow and not whole and kind == "average" else 0,
        details=f"kernel {kernel_h}x{kernel_w}, stride {op.integer('stride_h')}x{op.integer('stride_w')}, "
        f"{op.text('padding')}",
    )


def reduce(builder: Builder, op: Op) -> None:
    """MEAN, SUM and REDUCE_MAX over any axes: one or two groups of them in a row, all rows, or both."""
    source, target = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    data = builder.tensor(op.inputs[1]).data
    assert data is not None
    rank = len(source.shape)
    axes = {int(axis) % rank for axis in data.reshape(-1)}
    shape = builder.shape(source.index)
    item = source.dtype.itemsize
    first = 1 if rank > 1 and source.shape[0] == 1 else 0
    over_rows = rank - first > 1 and first in axes and shape.rows > 1
    # A row as kept, reduced, kept, … axes in turn, those that follow each other taken together.
    runs: list[tuple[bool, int]] = []
    for axis in range(min(first + 1, rank - 1), rank):
        if source.shape[axis] > 1:
            size = runs.pop()[1] if runs and runs[-1][0] == (axis in axes) else 1
            runs.append((axis in axes, size * source.shape[axis]))
    outer, added, middle, last_added, kept = _groups(builder, op, runs)
    rows = shape.rows if over_rows else 1
    fields: Fields = {
        "outer": outer,
        "outer_added": added,
        "middle": middle,
        "added": last_added,
        "inner": kept,
    }
    kernel = "reduce_max"
    if op.kind != "REDUCE_MAX":
        kernel = "reduce_sum_int16" if item > 1 else "reduce_sum"
        count = rows * added * last_added
        multiplier, shift = mean_constants(source.scale, target.scale, count if op.kind == "MEAN" else 1)
        fields = {
            "multiplier": multiplier,
            "bias": -source.zero_point * count,
            "zero_point": target.zero_point,
            "shift": shift,
            **fields,
        }
    builder.add_layer(
        op=op,
        kernel=kernel,
        inputs=(Input(builder.source(op, op.inputs[0])),),
        shape=Shape(1 if over_rows else shape.rows, outer * middle, kept * item),
        fields=fields,
        steps=rows if over_rows else None,
        state_bytes=4 * outer * middle * kept if over_rows and kernel != "reduce_max" else 0,
        details=f"over {rows} rows of {added * last_added}",
    )


def _groups(builder: Builder, op: Op, runs: list[tuple[bool, int]]) -> tuple[int, ...]:
    """Outer, reduced, middle, reduced and inner elements: two groups of reduced axes, the second used first."""
    groups = [1]
    for is_reduced, size in runs:
        if is_reduced != (len(groups) % 2 == 0):
            groups.append(size)
        else:
            groups[-1] *= size
    groups += [1] * (1 - len(groups) % 2)
    if len(groups) > 5:
        raise builder.refuse(op, "a reduction over axes in three places", "reduce them one after the other")
    if len(groups) < 5:
        groups = [groups[0], 1, 1, *groups[1:]] if len(groups) == 3 else [1, 1, 1, 1, groups[0]]
    return tuple(groups)


LOWERINGS = {
    "AVERAGE_POOL_2D": Lowering(pool_2d, ("average_pool_2d", "average_pool_rows")),
    "MAX_POOL_2D": Lowering(pool_2d, ("max_pool_2d", "max_pool_rows")),
    "MEAN": Lowering(reduce, ("reduce_sum",)),
    "REDUCE_MAX": Lowering(reduce, ("reduce_max",)),
    "SUM": Lowering(reduce, ("reduce_sum",)),
}
