"""Operators that only move bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.graph.slices import slice_of

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


def transpose(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Axes in another order."""
    return [np.ascontiguousarray(inputs[0].transpose([int(axis) for axis in inputs[1].reshape(-1)]))]


def strided_slice(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """A regular part of the input."""
    part = inputs[0][slice_of(op, inputs[0].shape, *inputs[1:])]
    return [np.ascontiguousarray(part).reshape(graph.tensor(op.outputs[0]).shape)]


def split(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Equal parts along an axis; the axis is the first input."""
    parts = np.split(inputs[1], len(op.outputs), axis=int(inputs[0].reshape(-1)[0]))
    return [np.ascontiguousarray(part) for part in parts]


KERNELS = {
    "CONCATENATION": concatenation,
    "EXPAND_DIMS": reshape,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": reshape,
    "SPLIT": split,
    "SQUEEZE": reshape,
    "STRIDED_SLICE": strided_slice,
    "TRANSPOSE": transpose,
}
