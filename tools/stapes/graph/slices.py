"""The part of its input that a STRIDED_SLICE takes, as Python slices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.graph.ir import Op


def slice_of(
    op: Op,
    shape: tuple[int, ...],
    begin: npt.NDArray[np.generic],
    end: npt.NDArray[np.generic],
    strides: npt.NDArray[np.generic],
) -> tuple[slice | int, ...]:
    """An index for an array of `shape`: a slice, or one position where the axis is to disappear.

    Raises ValueError where begin, end and strides do not fit each other or the shape, where a stride is
    zero, and for the ellipsis and new-axis masks.
    """
    if op.integer("ellipsis_mask") or op.integer("new_axis_mask"):
        raise ValueError("ellipsis and new-axis masks are not supported")
    rank = begin.size
    if not rank == end.size == strides.size or rank > len(shape):
        raise ValueError(f"{rank} begins, {end.size} ends and {strides.size} strides for {len(shape)} axes")
    index: list[slice | int] = []
    for axis in range(rank):
        bit = 1 << axis
        stride = int(strides.flat[axis])
        if stride == 0:
            raise ValueError("a stride of zero")
        first = int(begin.flat[axis])
        last = int(end.flat[axis])
        if op.integer("offset"):
            last += first
        if op.integer("shrink_axis_mask") & bit:
            if not -shape[axis] <= first < shape[axis]:
                raise ValueError(f"position {first} of an axis of {shape[axis]}")
            index.append(first)
            continue
        index.append(
            slice(
                None if op.integer("begin_mask") & bit else first,
                None if op.integer("end_mask") & bit else last,
                stride,
            )
        )
    return tuple(index)
