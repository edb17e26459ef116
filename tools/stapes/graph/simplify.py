"""Passes that make a graph smaller without changing a bit of what it computes.

Tensors keep their indices and names, operators their indices; operators disappear, and a pass may add tensors behind
those of the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stapes.errors import ModelError
from stapes.graph.dilation import fold_dilations, raise_pads
from stapes.graph.ir import Graph, Op, Tensor
from stapes.graph.slices import slice_of

Array = npt.NDArray[np.generic]
# Shapes are a handful of integers: what is larger is no shape arithmetic and is left alone.
_MAX_FOLDED_ELEMENTS = 64


def simplify(graph: Graph) -> Graph:
    """`graph` without shape arithmetic, without float or uint8 edges, and without operators nobody needs.

    - Constants in another shape are constants. SHAPE and what follows from it (STRIDED_SLICE, PACK, GATHER,
      CONCATENATION, … of integers), which an export with a dynamic batch leaves before RESHAPE, become constants, and
      so does the shape it gives.
    - A QUANTIZE from float32 or uint8 right at the input and a DEQUANTIZE or QUANTIZE to uint8 right at
      the output are taken off: the network then begins and ends in int8.
    - SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND become one dilated convolution; a PAD moves right before
      the convolution that can take it.
    - Operators whose results reach no output are dropped.
    """
    return drop_unused(raise_pads(fold_dilations(strip_edges(fold_shapes(graph)))))


def fold_shapes(graph: Graph) -> Graph:
    """Integer operators on constants, SHAPE, and constants in another shape become constants."""
    tensors = list(graph.tensors)
    kept: list[Op] = []
    for op in graph.ops:
        values = _folded(op, tensors)
        if values is None:
            kept.append(op)
            shape = _reshaped(op, tensors)
            if shape is not None:
                tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], shape=shape)
        else:
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], data=values)
    return replace(graph, tensors=tuple(tensors), ops=tuple(kept))


def strip_edges(graph: Graph) -> Graph:
    """The network between its int8 tensors: see `simplify`."""
    ops = {op.index: op for op in graph.ops}
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    stripped = dict(graph.stripped)
    assigned = {state.assigned for state in graph.states}
    for position, index in enumerate(inputs):
        readers = [op for op in ops.values() if index in op.inputs]
        if len(readers) == 1 and index not in graph.ends and _is_edge(graph, readers[0], outside=index):
            inputs[position] = readers[0].outputs[0]
            stripped[inputs[position]] = graph.tensors[index].type_name
            del ops[readers[0].index]
    for position, index in enumerate(outputs):
        makers = [op for op in ops.values() if index in op.outputs]
        readers = [op for op in ops.values() if index in op.inputs]
        if len(makers) != 1 or readers or index in assigned:
            continue
        if _is_edge(graph, makers[0], outside=index):
            inside = makers[0].inputs[0]
            if inside in outputs or inside in inputs:
                continue
            outputs[position] = inside
            stripped[inside] = graph.tensors[index].type_name
            del ops[makers[0].index]
    return replace(
        graph, ops=tuple(ops.values()), inputs=tuple(inputs), outputs=tuple(outputs), stripped=stripped
    )


def drop_unused(graph: Graph) -> Graph:
    """Without the operators and states that reach no output of the network, in this run or a later one."""
    needed = set(graph.outputs)
    while True:
        kept: list[Op] = []
        for op in reversed(graph.ops):
            if needed.intersection(op.outputs):
                kept.append(op)
                needed.update(op.inputs)
        states = tuple(state for state in graph.states if state.read in needed)
        assigned = {state.assigned for state in states}
        if assigned <= needed:
            return replace(graph, ops=tuple(reversed(kept)), states=states)
        needed |= assigned


def _is_edge(graph: Graph, op: Op, outside: int) -> bool:
    """Whether `op` only carries the network's int8 edge to float32, or to the same steps in uint8."""
    if op.kind not in ("QUANTIZE", "DEQUANTIZE") or len(op.inputs) != 1 or len(op.outputs) != 1:
        return False
    other = graph.tensors[op.outputs[0] if op.inputs[0] == outside else op.inputs[0]]
    edge = graph.tensors[outside]
    if other.type_name not in ("INT8", "INT16") or other.data is not None or other.shape != edge.shape:
        return False
    if edge.type_name == "FLOAT32":
        return True
    if edge.type_name != "UINT8" or op.kind != "QUANTIZE":
        return False
    ours, theirs = other.quantization, edge.quantization
    return (
        not other.is_wide
        and ours is not None
        and theirs is not None
        and len(ours.scale) == len(theirs.scale) == 1
        and bool(ours.scale[0] == theirs.scale[0])
        and bool(ours.zero_point[0] + 128 == theirs.zero_point[0])
    )


def _folded(op: Op, tensors: Sequence[Tensor]) -> Array | None:
    """The constant that `op` makes, or None where it is no shape arithmetic."""
    fold = _FOLDS.get(op.kind)
    if fold is None or len(op.outputs) != 1 or any(index < 0 for index in op.inputs) or not op.inputs:
        return None
    output = tensors[op.outputs[0]]
    given = tensors[op.inputs[0]]
    if (
        op.kind in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
        and given.data is not None
        and given.dtype == output.dtype
    ):
        return given.data.reshape(output.shape) if given.elements == output.elements else None
    if output.type_name not in ("INT32", "INT64") or output.elements > _MAX_FOLDED_ELEMENTS:
        return None
    sources = [tensors[index] for index in op.inputs]
    if op.kind != "SHAPE" and any(source.data is None or source.dtype.kind != "i" for source in sources):
        return None
    try:
        values = fold(op, sources)
    except (ValueError, IndexError):
        return None  # not understood here: left for `check_supported` to refuse
    if values.size != output.elements:
        raise ModelError(
            f"corrupt: operator {op.index} ({op.kind}) makes {values.size} values, not {output.elements}"
        )
    return values.astype(output.dtype).reshape(output.shape)


def _reshaped(op: Op, tensors: Sequence[Tensor]) -> tuple[int, ...] | None:
    """The shape a RESHAPE gives where the file, written for an unknown batch, has only a placeholder."""
    if op.kind != "RESHAPE" or len(op.inputs) != 2 or len(op.outputs) != 1 or min(op.inputs) < 0:
        return None
    source, wanted, output = (tensors[index] for index in (*op.inputs, op.outputs[0]))
    if wanted.data is None or wanted.dtype.kind != "i" or output.data is not None:
        return None
    if output.elements == source.elements:
        return None
    sizes = [int(size) for size in wanted.data.reshape(-1)]
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0:
        sizes = [source.elements // known if size == -1 else size for size in sizes]
    fits = math.prod(sizes) == source.elements and all(size >= 1 for size in sizes)
    return tuple(sizes) if fits else None


def _data(tensor: Tensor) -> Array:
    assert tensor.data is not None
    return tensor.data


def _fold_shape(op: Op, sources: Sequence[Tensor]) -> Array:
    return np.array(sources[0].shape)


def _fold_strided_slice(op: Op, sources: Sequence[Tensor]) -> Array:
    source, begin, end, strides = (_data(tensor) for tensor in sources)
    values: Array = np.asarray(source[slice_of(op, source.shape, begin, end, strides)])
    return values


def _fold_pack(op: Op, sources: Sequence[Tensor]) -> Array:
    return np.stack([_data(tensor) for tensor in sources], axis=op.integer("axis"))


def _fold_concatenation(op: Op, sources: Sequence[Tensor]) -> Array:
    return np.concatenate([_data(tensor) for tensor in sources], axis=op.integer("axis"))


def _fold_gather(op: Op, sources: Sequence[Tensor]) -> Array:
    if op.integer("batch_dims") != 0:
        raise ValueError("batch_dims is not 0")
    source, indices = (_data(tensor) for tensor in sources)
    values: Array = np.take(source, indices.astype(np.int64), axis=op.integer("axis"))
    return values


def _fold_reshape(op: Op, sources: Sequence[Tensor]) -> Array:
    return _data(sources[0])


def _fold_product(op: Op, sources: Sequence[Tensor]) -> Array:
    left, right = (_data(tensor).astype(np.int64) for tensor in sources)
    return left * right


def _fold_reduce_prod(op: Op, sources: Sequence[Tensor]) -> Array:
    source, axes = (_data(tensor) for tensor in sources)
    axis = tuple(int(value) for value in np.atleast_1d(axes))
    return np.asarray(np.prod(source.astype(np.int64), axis=axis))


_FOLDS: dict[str, Callable[[Op, Sequence[Tensor]], Array]] = {
    "SHAPE": _fold_shape,
    "STRIDED_SLICE": _fold_strided_slice,
    "PACK": _fold_pack,
    "CONCATENATION": _fold_concatenation,
    "GATHER": _fold_gather,
    "CAST": _fold_reshape,
    "RESHAPE": _fold_reshape,
    "SQUEEZE": _fold_reshape,
    "EXPAND_DIMS": _fold_reshape,
    "MUL": _fold_product,
    "REDUCE_PROD": _fold_reduce_prod,
}
