"""Changes to a graph that leave what it computes as it is: another input shape, no unused tensors, a part of it.

Each gives a `Graph` that `write_tflite` makes a file of; see also `stapes.graph.transpose`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from stapes.graph.int4 import int4_steps, largest, round_int4
from stapes.graph.ir import Attribute, Graph, Op, Quantization, Tensor
from stapes.graph.simplify import drop_unused


class Editor:
    """A graph whose tensors and operators can be added to."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors = list(graph.tensors)
        self.ops = list(graph.ops)

    def activation(self, like: Tensor, name: str, shape: tuple[int, ...]) -> int:
        """A new int8 tensor with the quantisation of another; its index."""
        self.tensors.append(
            replace(like, index=len(self.tensors), name=name, shape=shape, data=None, is_variable=False)
        )
        return len(self.tensors) - 1

    def scores(self, name: str, shape: tuple[int, ...]) -> int:
        """A new int8 tensor of probabilities: steps of 1/256 from 0."""
        quantization = Quantization(np.array([2.0**-8], np.float32), np.array([-128], np.int64))
        self.tensors.append(
            Tensor(len(self.tensors), name, shape, np.dtype(np.int8), quantization, type_name="INT8")
        )
        return len(self.tensors) - 1

    def integers(self, name: str, values: npt.ArrayLike) -> int:
        """A new constant of int32; its index."""
        data = np.asarray(values, np.int32)
        self.tensors.append(
            Tensor(len(self.tensors), name, data.shape, data.dtype, data=data, type_name="INT32")
        )
        return len(self.tensors) - 1

    def tensor(self, tensor: Tensor) -> int:
        """Add a tensor as it is; its index."""
        self.tensors.append(replace(tensor, index=len(self.tensors)))
        return len(self.tensors) - 1

    def op(
        self,
        kind: str,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        *,
        first: bool = False,
        **attributes: Attribute,
    ) -> None:
        """Add an operator at the end, or at the beginning."""
        made = Op(len(self.ops), kind, inputs, outputs, attributes)
        self.ops.insert(0 if first else len(self.ops), made)

    def finished(
        self, *, inputs: tuple[int, ...] | None = None, outputs: tuple[int, ...] | None = None
    ) -> Graph:
        """The graph, its operators numbered in their order, without tensors that nobody uses."""
        return compact(
            replace(
                self.graph,
                tensors=tuple(self.tensors),
                ops=tuple(replace(op, index=index) for index, op in enumerate(self.ops)),
                inputs=self.graph.inputs if inputs is None else inputs,
                outputs=self.graph.outputs if outputs is None else outputs,
            )
        )


def compact(graph: Graph) -> Graph:
    """`graph` without the tensors that neither an operator nor an edge names; indices are those of the rest."""
    used = {*graph.inputs, *graph.ends, *(i for op in graph.ops for i in (*op.inputs, *op.outputs))}
    used.update(state.read for state in graph.states)
    kept = [tensor for tensor in graph.tensors if tensor.index in used]
    place = {tensor.index: index for index, tensor in enumerate(kept)} | {-1: -1}
    return replace(
        graph,
        tensors=tuple(replace(tensor, index=place[tensor.index]) for tensor in kept),
        ops=tuple(
            replace(
                op,
                index=index,
                inputs=tuple(place[i] for i in op.inputs),
                outputs=tuple(place[i] for i in op.outputs),
            )
            for index, op in enumerate(graph.ops)
        ),
        inputs=tuple(place[i] for i in graph.inputs),
        outputs=tuple(place[i] for i in graph.outputs),
        states=tuple(
            replace(state, read=place[state.read], assigned=place[state.assigned]) for state in graph.states
        ),
    )


def with_input(graph: Graph, shape: tuple[int, ...], order: tuple[int, ...] = ()) -> Graph:
    """`graph` with an input of this shape: its own gets the same bytes, or with `order` those of a TRANSPOSE first."""
    source = graph.inputs[0]
    tensor = graph.tensor(source)
    edit = Editor(graph)
    given = edit.activation(tensor, "features", shape)
    turned_shape = tuple(shape[axis] for axis in order) if order else shape
    turned = edit.activation(tensor, "features (turned)", turned_shape) if order else given
    if turned_shape == tensor.shape:
        edit.ops = [_reading(op, source, turned) for op in edit.ops]
    else:
        edit.op("RESHAPE", (turned, edit.integers("input shape", tensor.shape)), (source,), first=True)
    if order:
        edit.op("TRANSPOSE", (given, edit.integers("input order", order)), (turned,), first=True)
    outputs = tuple(turned if index == source else index for index in graph.outputs)
    return edit.finished(inputs=(given,), outputs=outputs)


def with_int8_edges(graph: Graph) -> Graph:
    """`graph` with a QUANTIZE from int8 in front of int16 inputs and one to int8 behind int16 outputs: steps 256 times
    as large, of probabilities 1/256 from -128. Itself where all are int8.
    """
    edit = Editor(graph)
    edges = []
    for index in (*graph.inputs, *graph.outputs):
        tensor = graph.tensor(index)
        if not tensor.is_wide:
            edges.append(index)
            continue
        quantization = Quantization(np.array([256 * tensor.scale], np.float32), np.array([0], np.int64))
        if index in graph.outputs and tensor.scale == 2.0**-15:
            quantization = Quantization(np.array([2.0**-8], np.float32), np.array([-128], np.int64))
        narrow = replace(tensor, dtype=np.dtype(np.int8), type_name="INT8", quantization=quantization)
        edges.append(edit.activation(narrow, f"{tensor.name} (int8)", tensor.shape))
        is_input = index in graph.inputs
        pair = (edges[-1], index) if is_input else (index, edges[-1])
        edit.op("QUANTIZE", (pair[0],), (pair[1],), first=is_input)
    count = len(graph.inputs)
    if (*graph.inputs, *graph.outputs) == tuple(edges):
        return graph
    return edit.finished(inputs=tuple(edges[:count]), outputs=tuple(edges[count:]))


def with_probabilities(graph: Graph, kind: str) -> Graph:
    """`graph` with a SOFTMAX or a LOGISTIC behind its scores."""
    source = graph.outputs[0]
    edit = Editor(graph)
    made = edit.scores("probabilities", graph.tensor(source).shape)
    if kind == "SOFTMAX":
        edit.op(kind, (source,), (made,), beta=1.0)
    else:
        edit.op(kind, (source,), (made,))
    return edit.finished(outputs=(made,))


def weighted_layers(graph: Graph) -> list[Op]:
    """The operators with constant weights, in their order: CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    return [op for op in graph.ops if op.kind in kinds and graph.tensor(op.inputs[1]).data is not None]


def large_layers(graph: Graph) -> tuple[int, ...]:
    """Indices of the operators that hold most weights (`stapes.graph.int4.largest`); depthwise ones never do."""
    weighted = weighted_layers(graph)
    places = largest([graph.tensor(op.inputs[1]).elements for op in weighted])
    return tuple(weighted[place].index for place in places if weighted[place].kind != "DEPTHWISE_CONV_2D")


def with_int4_weights(
    graph: Graph, ops: Collection[int], real: Mapping[int, npt.NDArray[np.float32]] = MappingProxyType({})
) -> Graph:
    """`graph` with weights of four bits in these CONV_2D and FULLY_CONNECTED operators (their indices), which changes
    what it computes. `real` has the weights of an operator before they were rounded to int8, where they are known.

    Steps are those that leave the least squared error in each output channel (of a FULLY_CONNECTED in all, since TFLM
    takes one step there); biases have the steps that follow.
    """
    edit = Editor(graph)
    for place, op in enumerate(graph.ops):
        if op.index not in ops:
            continue
        weights = graph.tensor(op.inputs[1])
        assert weights.data is not None and weights.quantization is not None
        channels = weights.shape[0]
        before = np.broadcast_to(weights.quantization.scale.astype(np.float64), (channels,))
        exact = weights.data.astype(np.float64).reshape(channels, -1) * before[:, None]
        if op.index in real:
            exact = real[op.index].astype(np.float64).reshape(channels, -1)
        together = exact.reshape(1, -1) if op.kind == "FULLY_CONNECTED" else exact
        steps = int4_steps(together).astype(np.float32)
        after = np.broadcast_to(steps, (channels,))
        values = round_int4(exact, after[:, None].astype(np.float64)).astype(np.int8).reshape(weights.shape)
        inputs = list(op.inputs)
        inputs[1] = edit.tensor(
            replace(
                weights,
                data=values,
                type_name="INT4",
                quantization=_symmetric(steps),
                name=f"{weights.name} int4",
            )
        )
        if len(inputs) > 2 and inputs[2] >= 0:
            bias = graph.tensor(inputs[2])
            assert bias.data is not None
            moved = np.rint(bias.data.astype(np.float64).reshape(-1) * (before / after))
            of_bias = _symmetric(steps * np.float32(graph.tensor(inputs[0]).scale))
            limited = np.clip(moved, -(2**31), 2**31 - 1).astype(np.int32).reshape(bias.shape)
            inputs[2] = edit.tensor(
                replace(bias, data=limited, quantization=of_bias, name=f"{bias.name} int4")
            )
        edit.ops[place] = replace(op, inputs=tuple(inputs))
    return edit.finished()


def _symmetric(scale: npt.NDArray[np.float32]) -> Quantization:
    """One scale for every slice along the first axis."""
    axis = 0 if len(scale) > 1 else None
    return Quantization(scale.astype(np.float32), np.zeros(len(scale), np.int64), axis)


def up_to(graph: Graph, tensor: int) -> Graph:
    """The part of `graph` that makes one of its tensors, which becomes the only output."""
    return compact(drop_unused(replace(graph, outputs=(tensor,))))


def _reading(op: Op, source: int, instead: int) -> Op:
    return replace(op, inputs=tuple(instead if index == source else index for index in op.inputs))
