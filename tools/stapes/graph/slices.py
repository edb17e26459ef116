"""The parts of their input that operators take that only move bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def split_sizes(sizes: npt.NDArray[np.generic], total: int) -> list[int]:
    """The lengths of SPLIT_V's parts, of which one may be -1: whatever is left of `total`.

    Raises ValueError where they do not add up to it.
    """
    given = [int(size) for size in sizes.reshape(-1)]
    if given.count(-1) == 1:
        given[given.index(-1)] = total - sum(given) - 1
    if sum(given) != total or any(size < 1 for size in given):
        raise ValueError(f"parts of {[int(size) for size in sizes.reshape(-1)]} of an axis of {total}")
    return given


def parts_of(op: Op, inputs: Sequence[npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic]]:
    """What `op` (one of `PARTS`) takes from its input, one view of it for each of the outputs.

    `inputs` are the operator's, constants with their values. Raises ValueError where they do not fit.
    """
    return PARTS[op.kind](op, inputs)


Views = list[npt.NDArray[np.generic]]
Inputs = Sequence[npt.NDArray[np.generic]]


def _strided_slice(op: Op, inputs: Inputs) -> Views:
    return [inputs[0][slice_of(op, inputs[0].shape, *inputs[1:])]]


def _slice(op: Op, inputs: Inputs) -> Views:
    source, begins, sizes = inputs
    if not begins.size == sizes.size == source.ndim:
        raise ValueError(f"{begins.size} begins and {sizes.size} sizes for {source.ndim} axes")
    index = []
    for length, begin, size in zip(source.shape, map(int, begins.flat), map(int, sizes.flat), strict=True):
        end = length if size == -1 else begin + size
        if not 0 <= begin <= end <= length:
            raise ValueError(f"{size} from {begin} on, of an axis of {length}")
        index.append(slice(begin, end))
    return [source[tuple(index)]]


def _split(op: Op, inputs: Inputs) -> Views:
    axis, source = inputs
    return list(np.split(source, len(op.outputs), axis=int(axis.reshape(-1)[0])))


def _split_v(op: Op, inputs: Inputs) -> Views:
    source, sizes, axis = inputs
    along = int(axis.reshape(-1)[0])
    ends = np.cumsum(split_sizes(sizes, source.shape[along]))
    return list(np.split(source, [int(end) for end in ends[:-1]], axis=along))


def _transpose(op: Op, inputs: Inputs) -> Views:
    return [inputs[0].transpose([int(axis) for axis in inputs[1].reshape(-1)])]


def _unpack(op: Op, inputs: Inputs) -> Views:
    (source,) = inputs
    return list(np.moveaxis(source, op.integer("axis"), 0))


PARTS: dict[str, Callable[[Op, Inputs], Views]] = {
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
"""Operators whose outputs are views of their input."""

SOURCE_OF_PARTS = {"SPLIT": 1}
"""Which of its inputs one of `PARTS` takes apart, where that is not the first."""
