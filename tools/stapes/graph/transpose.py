"""A network whose input is [1, bands, frames, 1] as one whose input is [1, frames, bands, 1], at compile time.

Every map is turned by swapping its two spatial axes, and so is everything that knows them: kernels, strides,
paddings, axes, the weights of a dense layer behind a map. Sums run over the same products, so every bit stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from stapes.graph.edit import Editor
from stapes.graph.ir import Attribute, Graph, Op, Tensor

_SWAP = (0, 2, 1, 3)

_ALIASES = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE"})

_ELEMENTWISE = frozenset(
    {"RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE", "GELU", "SOFTMAX"}
)
"""One map to another of the same shape, or along the last axis, which stays."""

_BINARY = frozenset({"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"})


class NotTransposable(Exception):
    """Why the axes cannot be swapped throughout."""


def transposed(graph: Graph) -> Graph:
    """`graph`, a simplified one with one input of `bands` by `frames` values, with the input [1, frames, bands, 1].

    Raises `NotTransposable` with the first operator that forbids it.
    """
    start, begun = _beginning(graph)
    work = _Work(graph, start)
    for op in graph.ops:
        if op.index not in begun:
            work.turn(op)
    for index in graph.outputs:
        if index in work.turned and not _flat(graph.tensor(index).shape):
            raise NotTransposable("its output is a map")
    work.edit.ops = [op for op in work.edit.ops if op.index not in begun]
    return work.edit.finished(inputs=(start,))


def _beginning(graph: Graph) -> tuple[int, set[int]]:
    """The first tensor [1, bands, frames, 1], and the operators that only give the input this shape."""
    index = graph.inputs[0]
    passed: set[int] = set()
    while True:
        shape = graph.tensor(index).shape
        if len(shape) == 4 and shape[0] == shape[3] == 1:
            return index, passed
        readers = [op for op in graph.ops if index in op.inputs]
        if len(readers) != 1 or readers[0].kind not in _ALIASES or not _is_alias(graph, readers[0]):
            raise NotTransposable(f"its input {list(shape)} does not become a map of one channel")
        passed.add(readers[0].index)
        index = readers[0].outputs[0]


def _is_alias(graph: Graph, op: Op) -> bool:
    """Whether the operator leaves all bytes where they are."""
    if op.kind != "TRANSPOSE":
        return True
    shape, order = graph.tensor(op.inputs[0]).shape, _constant(graph, op, 1).reshape(-1)
    moved = [int(axis) for axis in order if shape[int(axis)] != 1]
    return moved == sorted(moved)


def _constant(graph: Graph, op: Op, position: int) -> npt.NDArray[np.generic]:
    data = graph.tensor(op.inputs[position]).data
    if data is None:
        raise NotTransposable(f"{_name(graph, op)} has no constant {position}")
    return data


def _name(graph: Graph, op: Op) -> str:
    return f"operator {op.index} {op.kind} ({graph.tensor(op.outputs[0]).name.partition(';')[0]})"


def _flat(shape: tuple[int, ...]) -> bool:
    """Whether swapping the axes of [1, h, w, c] moves no byte."""
    return len(shape) == 4 and 1 in shape[1:3]


def _swapped(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in _SWAP)


class _Work:
    """The graph as it is turned, operator by operator."""

    def __init__(self, graph: Graph, start: int) -> None:
        self.graph = graph
        self.edit = Editor(graph)
        self.turned = {start}
        """Activations [1, h, w, c] that are [1, w, h, c] now."""
        self._reshape(start)

    def turn(self, op: Op) -> None:
        """Turn one operator where it reads a turned map."""
        maps = [index for index in op.inputs if index in self.turned]
        if not maps:
            return
        turn = _TURNS.get(op.kind)
        if turn is None or len(op.outputs) != 1:
            raise NotTransposable(_name(self.graph, op))
        turn(self, op)

    def source(self, op: Op, position: int = 0) -> Tensor:
        """An operand, with the shape that it has in the file."""
        return self.graph.tensor(op.inputs[position])

    def output_turns(self, op: Op) -> None:
        """The result is a turned map."""
        index = op.outputs[0]
        if len(self.graph.tensor(index).shape) != 4:
            raise NotTransposable(_name(self.graph, op))
        self.turned.add(index)
        self._reshape(index)

    def change(
        self,
        op: Op,
        attributes: Mapping[str, Attribute] | None = None,
        constants: Mapping[int, npt.NDArray[np.generic]] | None = None,
    ) -> None:
        """Put other attributes and constants (by their place among the inputs) into an operator."""
        inputs = list(op.inputs)
        for position, data in (constants or {}).items():
            tensor = self.graph.tensor(inputs[position])
            data = np.ascontiguousarray(data)
            inputs[position] = self.edit.tensor(replace(tensor, shape=data.shape, data=data))
        place = self.edit.ops.index(op)
        changed = {**op.attributes, **(attributes or {})}
        self.edit.ops[place] = replace(op, inputs=tuple(inputs), attributes=changed)

    def _reshape(self, index: int) -> None:
        tensor = self.edit.tensors[index]
        self.edit.tensors[index] = replace(tensor, shape=_swapped(tensor.shape))


def _exchanged(op: Op, *names: str) -> dict[str, Attribute]:
    """The attributes with those of height and width exchanged."""
    found: dict[str, Attribute] = {}
    for name in names:
        found[f"{name}_h"], found[f"{name}_w"] = op.attributes[f"{name}_w"], op.attributes[f"{name}_h"]
    return found


def _turn_conv(work: _Work, op: Op) -> None:
    kernel = _constant(work.graph, op, 1).transpose(_SWAP)
    work.change(op, _exchanged(op, "stride", "dilation"), {1: kernel})
    work.output_turns(op)


def _turn_pool(work: _Work, op: Op) -> None:
    work.change(op, _exchanged(op, "stride", "kernel"))
    work.output_turns(op)


def _turn_elementwise(work: _Work, op: Op) -> None:
    work.output_turns(op)


def _turn_binary(work: _Work, op: Op) -> None:
    constants = {}
    for position, index in enumerate(op.inputs):
        tensor = work.graph.tensor(index)
        if index in work.turned:
            continue
        if tensor.data is None:
            if tensor.elements == 1 or _is_channels(tensor.shape):
                continue
            raise NotTransposable(_name(work.graph, op))
        if len(tensor.shape) > 1 and not _is_channels(tensor.shape):
            whole = tensor.data.reshape((1,) * (4 - len(tensor.shape)) + tensor.shape)
            constants[position] = whole.transpose(_SWAP)
    work.change(op, constants=constants)
    work.output_turns(op)


def _is_channels(shape: tuple[int, ...]) -> bool:
    """Whether it broadcasts along both spatial axes."""
    return all(size == 1 for size in shape[:-1])


def _turn_concatenation(work: _Work, op: Op) -> None:
    if any(index not in work.turned for index in op.inputs):
        raise NotTransposable(_name(work.graph, op))
    axis = op.integer("axis") % 4
    work.change(op, {"axis": _SWAP[axis]})
    work.output_turns(op)


def _turn_pad(work: _Work, op: Op) -> None:
    amounts = _constant(work.graph, op, 1)
    if len(amounts) != 4:
        raise NotTransposable(_name(work.graph, op))
    work.change(op, constants={1: amounts[list(_SWAP)]})
    work.output_turns(op)


def _turn_reduce(work: _Work, op: Op) -> None:
    axes = _constant(work.graph, op, 1)
    named = [int(axis) % 4 for axis in axes.reshape(-1)]
    if not {1, 2} <= set(named):
        if not op.integer("keep_dims"):
            raise NotTransposable(_name(work.graph, op))
        turned = np.array([_SWAP[axis] for axis in named], axes.dtype).reshape(axes.shape)
        work.change(op, constants={1: turned})
    if op.integer("keep_dims"):
        work.output_turns(op)


def _turn_reshape(work: _Work, op: Op) -> None:
    """The end of the map: nothing moves where it has one row or column, else a dense layer's weights move."""
    shape, output = work.source(op).shape, op.outputs[0]
    if _flat(shape):
        return
    readers = [reader for reader in work.graph.ops if output in reader.inputs]
    if output in work.graph.outputs or [reader.kind for reader in readers] != ["FULLY_CONNECTED"]:
        raise NotTransposable(_name(work.graph, op))
    _turn_weights(work, readers[0], shape)


def _turn_dense(work: _Work, op: Op) -> None:
    shape = work.source(op).shape
    if op.integer("keep_num_dims"):
        work.output_turns(op)
    elif not _flat(shape):
        _turn_weights(work, op, shape)


def _turn_weights(work: _Work, op: Op, shape: tuple[int, ...]) -> None:
    weights = _constant(work.graph, op, 1)
    if weights.ndim != 2 or weights.shape[1] != np.prod(shape):
        raise NotTransposable(_name(work.graph, op))
    whole = weights.reshape(len(weights), *shape[1:]).transpose(0, 2, 1, 3)
    work.change(op, constants={1: whole.reshape(weights.shape)})


def _turn_transpose(work: _Work, op: Op) -> None:
    """It reads the turned map in another order, and gives what it always gave."""
    order = _constant(work.graph, op, 1)
    if order.size != 4:
        raise NotTransposable(_name(work.graph, op))
    turned = [_SWAP[int(axis)] for axis in order.reshape(-1)]
    work.change(op, constants={1: np.array(turned, order.dtype).reshape(order.shape)})


_TURNS: dict[str, Callable[[_Work, Op], None]] = {
    **dict.fromkeys(_ELEMENTWISE, _turn_elementwise),
    **dict.fromkeys(_BINARY, _turn_binary),
    "CONV_2D": _turn_conv,
    "DEPTHWISE_CONV_2D": _turn_conv,
    "AVERAGE_POOL_2D": _turn_pool,
    "MAX_POOL_2D": _turn_pool,
    "CONCATENATION": _turn_concatenation,
    "PAD": _turn_pad,
    "PADV2": _turn_pad,
    "MEAN": _turn_reduce,
    "SUM": _turn_reduce,
    "REDUCE_MAX": _turn_reduce,
    "RESHAPE": _turn_reshape,
    "FULLY_CONNECTED": _turn_dense,
    "TRANSPOSE": _turn_transpose,
}
