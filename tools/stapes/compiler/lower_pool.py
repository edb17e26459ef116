"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from __future__ import annotations

from stapes.compiler.builder import Builder, Shape
from stapes.compiler.lower_conv import window_of
from stapes.compiler.plan import Fields, Input
from stapes.graph import Op
from stapes.reference.arithmetic import activation_range
from stapes.reference.kernels_pool import mean_constants


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
    fields: Fields = {
        "kernel_height": rows,
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
        state_bytes=4 * output.row_bytes if whole and kind == "average" else 0,
        details=f"kernel {kernel_h}x{kernel_w}, stride {op.integer('stride_h')}x{op.integer('stride_w')}, "
        f"{op.text('padding')}",
    )


def mean(builder: Builder, op: Op) -> None:
    """Mean over rows, columns or both."""
    source, target = builder.tensor(op.inputs[0]), builder.tensor(op.outputs[0])
    data = builder.tensor(op.inputs[1]).data
    assert data is not None
    rank = len(source.shape)
    axes = {int(axis) % rank for axis in data.reshape(-1)}
    axes = {axis for axis in axes if source.shape[axis] != 1}
    shape = Shape.of(source.shape)
    first = 1 if rank > 1 and source.shape[0] == 1 else 0
    row_axis = first if rank - first > 1 else -1
    column_axes = {axis for axis in range(first + 1, rank - 1) if source.shape[axis] != 1}
    over_rows = row_axis in axes
    over_columns = bool(column_axes) and column_axes <= axes
    known = {row_axis} | (column_axes if over_columns else set())
    if not axes <= known:
        raise builder.refuse(op, f"mean over axes {sorted(axes)}", "average over time, frequency or both")
    count = (shape.rows if over_rows else 1) * (shape.columns if over_columns else 1)
    multiplier, shift = mean_constants(source.scale, target.scale, count)
    columns = 1 if over_columns else shape.columns
    builder.add_layer(
        op=op,
        kernel="mean",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        shape=Shape(1 if over_rows else shape.rows, columns, shape.channels),
        fields={
            "multiplier": multiplier,
            "bias": -source.zero_point * count,
            "zero_point": target.zero_point,
            "shift": shift,
            "over_columns": int(over_columns),
            "rows": shape.rows if over_rows else 1,
            "columns": shape.columns,
            "channels": shape.channels,
        },
        steps=shape.rows if over_rows else None,
        state_bytes=4 * columns * shape.channels if over_rows else 0,
        details=f"mean over {count}",
    )
