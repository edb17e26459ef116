"""Operators that only move bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.graph import Graph, Op
from stapes.graph.slices import PARTS, parts_of

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


KERNELS = {
    "CONCATENATION": concatenation,
    "EXPAND_DIMS": reshape,
    "GATHER": gather,
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    **dict.fromkeys(PARTS, parts),
}
