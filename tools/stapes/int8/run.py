"""A whole network, operator by operator, in NumPy: the same bits as the TFLM interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, Op
from stapes.int8 import conv, elementwise, forest, move, pool

Array = npt.NDArray[np.generic]
Kernel = Callable[[Graph, Op, list[Array]], list[Array]]

KERNELS: dict[str, Kernel] = {
    **conv.KERNELS,
    **elementwise.KERNELS,
    **pool.KERNELS,
    **move.KERNELS,
    **forest.KERNELS,
}
"""Every operator by its name in the file."""


def run_graph(graph: Graph, inputs: Sequence[Array]) -> dict[int, Array]:
    """Every activation by tensor index, the inputs included; `graph` must have passed `check_supported`.

    `inputs` are int8 arrays of the shapes of `graph.inputs`, in that order. Raises ValueError where they
    are not.
    """
    if len(inputs) != len(graph.inputs):
        raise ValueError(f"{len(inputs)} inputs for a network with {len(graph.inputs)}")
    values: dict[int, Array] = {}
    for index, given in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensor(index)
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            wanted = f"{tensor.dtype}{list(tensor.shape)}"
            raise ValueError(f"input {tensor.name}: {given.dtype}{list(given.shape)}, not {wanted}")
        values[index] = given
    for op in graph.ops:
        kernel = KERNELS.get(op.kind)
        if kernel is None:
            raise UnsupportedModelError(f"no reference for operator {op.kind}", [op.kind])
        results = kernel(graph, op, [_operand(graph, values, index) for index in op.inputs])
        values.update(zip(op.outputs, results, strict=True))
    return values


def _operand(graph: Graph, values: dict[int, Array], index: int) -> Array:
    """An activation or a constant; nothing at all for an absent optional input."""
    if index < 0:
        return np.empty(0, dtype=np.int8)
    data = graph.tensor(index).data
    return values[index] if data is None else data
