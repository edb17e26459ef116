"""The two operators of a forest bundle: what is supported of them."""

from __future__ import annotations

import numpy as np

from stapes.definitions import limit
from stapes.graph.support.inspection import Inspection, Operator

STATISTICS_KINDS = 6
"""Statistics of each band: see `stapes.int8.forest.statistics`."""

STATISTICS_LAG = limit("STATISTICS_LAG")
"""Rows between the two of a slow step; the firmware's LAG."""


def _statistics(check: Inspection) -> None:
    check.arity(1, 1)
    source = check.input(0)
    check.quantized(source, check.output)
    check.require(len(source.shape) >= 3 and source.shape[0] == 1, f"input shape {list(source.shape)}")
    rows, bands = source.shape[1], source.elements // max(1, source.shape[1])
    check.require(rows > STATISTICS_LAG, f"{rows} rows")
    check.limit("STATISTICS_ROWS", rows, "use shorter windows")
    check.shape((1, STATISTICS_KINDS * bands))


def _forest(check: Inspection) -> None:
    check.arity(3, 3)
    source, nodes, roots = (check.input(i) for i in range(3))
    if check.quantized(source, check.output) and (check.output.scale, check.output.zero_point) != (
        2.0**-8,
        -128,
    ):
        check.refuse("an output that is not in steps of 1/256", "train the forest with `stapes train`")
    features, classes = source.elements, check.output.elements
    check.require(features >= 1, "no features")
    check.limit("FOREST_FEATURES", features, "leave out some of the features")
    for tensor, kind in ((nodes, "INT16"), (roots, "INT32")):
        check.require(
            tensor.data is not None and tensor.type_name == kind, f"{tensor.name}: no {kind} constant"
        )
    assert nodes.data is not None and roots.data is not None
    count = nodes.shape[0] if nodes.shape else 0
    check.require(nodes.shape == (count, 4) and count >= 1, f"nodes of the shape {list(nodes.shape)}")
    check.limit("FOREST_NODES", count, "train a smaller forest")
    check.limit("FOREST_TREES", roots.elements, "train fewer trees")
    starts, values = roots.data.astype(np.int64), nodes.data.astype(np.int64)
    check.require(starts.size >= 1 and bool(((starts >= 0) & (starts < count)).all()), "bad roots")
    check.require(
        bool(((values[:, 0] >= 0) & (values[:, 0] < features)).all()), "a feature that is not there"
    )
    check.require(bool((np.abs(values[:, 1]) <= 127).all()), "a threshold outside of int8")
    # A node only leads forward, so that every walk ends.
    steps = values[:, 2:]
    last = np.arange(count)[:, None] + steps >= count
    check.require(not bool(((steps == 0) | ((steps > 0) & last) | (steps < -classes)).any()), "bad nodes")


OPERATORS = {
    "CUSTOM:stapes_forest": Operator(
        _forest, f"trees of int8 features, one vote each; up to {limit('FOREST_FEATURES')} features"
    ),
    "CUSTOM:stapes_statistics": Operator(_statistics, "six statistics of every band over time"),
}
