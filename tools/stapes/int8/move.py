"""Operators that only move bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.graph.slices import PARTS, parts_of
from stapes.graph.windows import Interpolation, alignment_of, nearest

Arrays = list[npt.NDArray[np.generic]]


def reshape(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """The same bytes in another shape: RESHAPE, SQUEEZE, EXPAND_DIMS."""
    return [inputs[0].reshape(graph.tensor(op.outputs[0]).shape)]


def concatenation(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Inputs one after the other along an axis."""
    return [np.concatenate(inputs, axis=op.integer("axis"))]


def pad(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """PAD with the zero point, PADV2 with a value of its own."""
    value = inputs[2].reshape(-1)[0] if len(inputs) > 2 else graph.tensor(op.outputs[0]).zero_point
    amounts = inputs[1].astype(np.int64).reshape(-1, 2)
    return [np.pad(inputs[0], [(int(a), int(b)) for a, b in amounts], constant_values=value)]


def parts(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Parts of the input, its axes in another order: all that `stapes.graph.slices` knows."""
    return [
        np.ascontiguousarray(part).reshape(graph.tensor(output).shape)
        for part, output in zip(parts_of(op, inputs), op.outputs, strict=True)
    ]


def pack(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Inputs one after the other along an axis of their own."""
    return [np.stack(inputs, axis=op.integer("axis"))]


def gather(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Entries along an axis, in any order, any number of times."""
    taken = np.take(inputs[0], inputs[1].astype(np.int64), axis=op.integer("axis"))
    return [np.ascontiguousarray(taken)]


def tile(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """The whole input several times along each axis."""
    return [np.tile(inputs[0], [int(count) for count in inputs[1].reshape(-1)])]


def resize_nearest_neighbor(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Every output row and column is one of the input's."""
    output = graph.tensor(op.outputs[0])
    rows, columns = (nearest(inputs[0].shape[axis], output.shape[axis], *alignment_of(op)) for axis in (1, 2))
    return [np.ascontiguousarray(inputs[0][:, rows][:, :, columns])]


def resize_bilinear(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Between two rows and two columns of the input, in 10 bits each, rounded to nearest, ties away from zero."""
    output = graph.tensor(op.outputs[0])
    values = inputs[0].astype(np.int64)
    for axis in (1, 2):
        along = Interpolation.of(values.shape[axis], output.shape[axis], *alignment_of(op))
        shape = [-1 if other == axis else 1 for other in range(4)]
        weights = np.array(along.weights, np.int64).reshape(shape)
        low, high = (np.take(values, list(positions), axis) for positions in (along.lower, along.upper))
        values = low * (1024 - weights) + high * weights
    nudged = values + np.where(values > 0, 1 << 19, -(1 << 19))
    return [(np.sign(nudged) * (np.abs(nudged) >> 20)).astype(np.int8)]


KERNELS = {
    "CONCATENATION": concatenation,
    "EXPAND_DIMS": reshape,
    "GATHER": gather,
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "SQUEEZE": reshape,
    "TILE": tile,
    **dict.fromkeys(PARTS, parts),
}
