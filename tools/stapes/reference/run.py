"""A whole network, operator by operator, in NumPy: the same bits as the TFLM interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, Op
from stapes.reference import kernels_conv, kernels_elementwise, kernels_forest, kernels_pool, kernels_shape

Array = npt.NDArray[np.generic]
Kernel = Callable[[Graph, Op, list[Array]], list[Array]]

KERNELS: dict[str, Kernel] = {
    "ADD": kernels_elementwise.add_or_sub,
    "AVERAGE_POOL_2D": kernels_pool.average_pool_2d,
    "CONCATENATION": kernels_shape.concatenation,
    "CONV_2D": kernels_conv.conv_2d,
    "CUSTOM:stapes_forest": kernels_forest.forest,
    "CUSTOM:stapes_statistics": kernels_forest.statistics,
    "DEPTHWISE_CONV_2D": kernels_conv.depthwise_conv_2d,
    "EXPAND_DIMS": kernels_shape.reshape,
    "FULLY_CONNECTED": kernels_conv.fully_connected,
    "HARD_SWISH": kernels_elementwise.unary,
    "LEAKY_RELU": kernels_elementwise.unary,
    "LOGISTIC": kernels_elementwise.unary,
    "MAX_POOL_2D": kernels_pool.max_pool_2d,
    "MEAN": kernels_pool.mean,
    "MUL": kernels_elementwise.mul,
    "PAD": kernels_shape.pad,
    "PADV2": kernels_shape.pad,
    "PRELU": kernels_elementwise.prelu,
    "QUANTIZE": kernels_elementwise.unary,
    "REDUCE_MAX": kernels_pool.reduce_max,
    "RELU": kernels_elementwise.unary,
    "RELU6": kernels_elementwise.unary,
    "RESHAPE": kernels_shape.reshape,
    "SOFTMAX": kernels_elementwise.softmax,
    "SPLIT": kernels_shape.split,
    "SQUEEZE": kernels_shape.reshape,
    "STRIDED_SLICE": kernels_shape.strided_slice,
    "SUB": kernels_elementwise.add_or_sub,
    "SUM": kernels_pool.total,
    "TANH": kernels_elementwise.unary,
    "TRANSPOSE": kernels_shape.transpose,
}


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
