"""The operators of a forest bundle."""

from __future__ import annotations

import numpy as np

from stapes.compiler.builder import Builder, Lowering, Shape
from stapes.compiler.plan import Array, Input
from stapes.compiler.structures import macro
from stapes.graph import Op


def statistics(builder: Builder, op: Op) -> None:
    """Sums are kept in the state while the rows come."""
    shape = Shape.of(builder.tensor(op.inputs[0]).shape)
    builder.add_layer(
        op=op,
        kernel="statistics",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        fields={"rows": shape.rows, "bands": shape.row_bytes},
        steps=shape.rows,
        state_bytes=macro("STAPES_STATISTICS_STATE_BYTES") * shape.row_bytes,
        details="mean, deviation, minimum, maximum, steps, slow steps",
    )


def forest(builder: Builder, op: Op) -> None:
    """Nodes in flash, votes in the scratch."""
    nodes, roots = (builder.tensor(index).data for index in op.inputs[1:])
    assert nodes is not None and roots is not None
    classes = builder.tensor(op.outputs[0]).elements
    builder.add_layer(
        op=op,
        kernel="forest",
        inputs=(Input(builder.source(op, op.inputs[0])),),
        fields={
            "nodes": Array("stapes_forest_node_t", nodes.astype(np.int16)),
            "roots": Array("uint16_t", roots.astype(np.uint16)),
            "trees": roots.size,
            "classes": classes,
        },
        scratch_bytes=2 * classes,
        details=f"{roots.size} trees, {len(nodes)} nodes",
    )


LOWERINGS = {
    "CUSTOM:stapes_forest": Lowering(forest, ("forest",)),
    "CUSTOM:stapes_statistics": Lowering(statistics, ("statistics",)),
}
