"""A whole network, operator by operator, in NumPy: the same bits as the TFLM interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, Op
from stapes.int8 import conv, elementwise, forest, int16, move, pool, recurrent

Array = npt.NDArray[np.generic]
Kernel = Callable[[Graph, Op, list[Array]], list[Array]]

KERNELS: dict[str, Kernel] = {
    **conv.KERNELS,
    **elementwise.KERNELS,
    **pool.KERNELS,
    **move.KERNELS,
    **forest.KERNELS,
    **recurrent.KERNELS,
}
"""Every operator by its name in the file."""


def initial_state(graph: Graph) -> dict[int, Array]:
    """What the first run finds in the tensors that are kept from run to run, by their index."""
    found: dict[int, Array] = {state.read: state.initial for state in graph.states}
    for op in graph.ops:
        for index in op.inputs:
            if index >= 0 and graph.tensor(index).is_variable:
                tensor = graph.tensor(index)
                zero = tensor.zero_point if tensor.type_name == "INT8" else 0
                found[index] = np.full(tensor.shape, zero, tensor.dtype)
    return found


def run_graph(
    graph: Graph, inputs: Sequence[Array], state: dict[int, Array] | None = None
) -> dict[int, Array]:
    """Every activation by tensor index, the inputs included; `graph` must have passed `check_supported`.

    `inputs` are arrays of the types and the shapes of `graph.inputs`, in that order. A network that keeps something
    from run to run begins with `state` (as of `initial_state`, which None means) and leaves there what the next run
    finds. Raises ValueError where inputs are not as they must be.
    """
    if len(inputs) != len(graph.inputs):
        raise ValueError(f"{len(inputs)} inputs for a network with {len(graph.inputs)}")
    kept = initial_state(graph) if state is None else state
    values: dict[int, Array] = {index: array.copy() for index, array in kept.items()}
    for index, given in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensor(index)
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            wanted = f"{tensor.dtype}{list(tensor.shape)}"
            raise ValueError(f"input {tensor.name}: {given.dtype}{list(given.shape)}, not {wanted}")
        values[index] = given
    for op in graph.ops:
        wide: Kernel | None = int16.KERNELS.get(op.kind) if graph.is_wide(op) else None
        kernel = wide or KERNELS.get(op.kind)
        if kernel is None:
            raise UnsupportedModelError(f"no reference for operator {op.kind}", [op.kind])
        results = kernel(graph, op, [_operand(graph, values, index) for index in op.inputs])
        values.update(zip(op.outputs, results, strict=True))
    after = {each.read: _operand(graph, values, each.assigned) for each in graph.states}
    kept.update({index: after.get(index, values[index]) for index in kept})
    return values


def _operand(graph: Graph, values: dict[int, Array], index: int) -> Array:
    """An activation or a constant; nothing at all for an absent optional input."""
    if index < 0:
        return np.empty(0, dtype=np.int8)
    data = graph.tensor(index).data
    return values[index] if data is None else data
