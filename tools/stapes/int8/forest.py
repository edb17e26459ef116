"""The two operators of a forest bundle, in NumPy. They are no operators of TensorFlow Lite: stapes defines them.

A forest bundle's model.tflite holds them as custom operators, so that all that follows from a model works for it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stapes.graph import STATISTICS_LAG, Graph, Op

Arrays = list[npt.NDArray[np.generic]]


def statistics(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Int8 [1, 6 * bands] of int8 [1, rows, bands, 1], over the rows, each kind for all bands before the next kind.

    Mean (rounded, halves up); twice the standard deviation, minus 128; minimum; maximum; four times the mean absolute
    difference to the row before, minus 128; the same to the row `STATISTICS_LAG` before. Divisions and the root are
    rounded down, what exceeds 127 becomes 127.
    """
    rows = inputs[0].reshape(inputs[0].shape[1], -1).astype(np.int64)
    count = len(rows)
    total, squares = rows.sum(axis=0), (rows * rows).sum(axis=0)
    spread = [math.isqrt(int(value)) for value in 4 * (count * squares - total * total)]
    kinds = [
        (2 * total + count) // (2 * count),
        _lifted(np.array(spread) // count),
        rows.min(axis=0),
        rows.max(axis=0),
        *(
            _lifted(4 * np.abs(rows[lag:] - rows[:-lag]).sum(axis=0) // (count - lag))
            for lag in (1, STATISTICS_LAG)
        ),
    ]
    return [np.concatenate(kinds).astype(np.int8).reshape(graph.tensor(op.outputs[0]).shape)]


def forest(graph: Graph, op: Op, inputs: Arrays) -> Arrays:
    """Share of the trees that vote for each class, in steps of 1/256 (rounded down, at most 255), minus 128.

    `inputs`: features int8 [1, n], nodes int16 [m, 4] (feature, threshold, step to the next node when the feature is
    below the threshold, and when it is not; -1 - class at a leaf), roots int32 [trees].
    """
    features, nodes = inputs[0].reshape(-1), inputs[1]
    output = graph.tensor(op.outputs[0])
    votes = np.zeros(output.elements, dtype=np.int64)
    for root in inputs[2].tolist():
        place = root
        while True:
            feature, threshold, below, otherwise = nodes[place].tolist()
            child = below if features[feature] < threshold else otherwise
            if child < 0:
                votes[-1 - child] += 1
                break
            place += child
    return [_lifted(256 * votes // inputs[2].size).astype(np.int8).reshape(output.shape)]


def _lifted(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.minimum(values, 255) - 128


KERNELS = {
    "CUSTOM:stapes_forest": forest,
    "CUSTOM:stapes_statistics": statistics,
}
