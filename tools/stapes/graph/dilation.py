"""Dilated convolutions as Keras writes them for a batch that is not known: as one convolution each.

Such a network cuts a map into `block` maps of every `block`-th row (SPACE_TO_BATCH_ND), convolves these and joins them
again (BATCH_TO_SPACE_ND). The file's shapes in between are placeholders, because the batch that they multiply is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stapes.graph.ir import Graph, Op, Tensor
from stapes.graph.windows import padding_before

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def fold_dilations(graph: Graph) -> Graph:
    """`graph` with one dilated convolution in place of SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND, and with
    the padding before it joined to it. What is not of this form stays, and is refused later.
    """
    folder = _Folder(graph)
    for op in graph.ops:
        if op.kind == "BATCH_TO_SPACE_ND" and _is_whole(op, 3):
            folder.fold(op)
    return folder.graph()


def raise_pads(graph: Graph) -> Graph:
    """`graph` with every PAD of a map behind the EXPAND_DIMS or RESHAPE that gives it an axis of one, so that it lies
    right before the convolution that can take it.
    """
    folder = _Folder(graph)
    for op in graph.ops:
        if op.kind == "PAD" and len(op.inputs) == 2 and _is_whole(op, 2):
            folder.raise_pad(op)
    return folder.graph()


def _is_whole(op: Op, inputs: int) -> bool:
    """Whether `op` has these first inputs and one output: files are not checked yet when they are simplified."""
    return len(op.inputs) >= inputs and min(op.inputs[:inputs]) >= 0 and len(op.outputs) == 1


@dataclass(frozen=True)
class _Pattern:
    """What lies between a SPACE_TO_BATCH_ND and its BATCH_TO_SPACE_ND, both included."""

    spread: Op
    convolution: Op
    between: tuple[Op, ...]


class _Folder:
    """A graph while its operators are replaced."""

    def __init__(self, graph: Graph) -> None:
        self.given = graph
        self.tensors = list(graph.tensors)
        # What takes the place of each operator; several may have one index.
        self.ops: dict[int, list[Op]] = {id(op): [op] for op in graph.ops}
        self.maker = {index: op for op in graph.ops for index in op.outputs}
        self.readers: dict[int, list[Op]] = {}
        for op in graph.ops:
            for index in op.inputs:
                self.readers.setdefault(index, []).append(op)

    def graph(self) -> Graph:
        ops = [op for made in self.ops.values() for op in made]
        return replace(self.given, tensors=tuple(self.tensors), ops=tuple(ops))

    def add(self, like: Tensor, shape: tuple[int, ...], same_as: int | None = None) -> int:
        """One more activation, of the scale and zero point of another; perhaps with the same bytes."""
        made = replace(like, index=len(self.tensors), shape=shape, same_as=same_as)
        self.tensors.append(made)
        return made.index

    def constant(self, values: npt.ArrayLike) -> int:
        data = np.array(values, np.int32)
        index = len(self.tensors)
        self.tensors.append(Tensor(index, f"padding_{index}", data.shape, data.dtype, None, data, "INT32"))
        return index

    def alone(self, index: int) -> Op | None:
        """The only operator that makes and the only one that reads this tensor: its maker."""
        if len(self.readers.get(index, [])) != 1 or index in self.given.ends:
            return None
        return self.maker.get(index)

    def numbers(self, op: Op, position: int) -> list[int] | None:
        if position >= len(op.inputs) or op.inputs[position] < 0:
            return None
        data = self.tensors[op.inputs[position]].data
        return None if data is None else [int(value) for value in data.reshape(-1)]

    def pattern(self, join: Op) -> _Pattern | None:
        """Back from a BATCH_TO_SPACE_ND to its SPACE_TO_BATCH_ND."""
        found: list[Op] = []
        op = self.alone(join.inputs[0])
        convolution = None
        while op is not None and _is_whole(op, 2 if op.kind in _CONVOLUTIONS else 1):
            found.append(op)
            if op.kind == "SPACE_TO_BATCH_ND":
                return None if convolution is None else _Pattern(op, convolution, tuple(found))
            if op.kind in _CONVOLUTIONS and convolution is None:
                convolution = op
            elif op.kind not in _ALIASES:
                return None
            op = self.alone(op.inputs[0])
        return None

    def fold(self, join: Op) -> None:
        found = self.pattern(join)
        if found is None:
            return
        spread, convolution = found.spread, found.convolution
        blocks, pads = self.numbers(spread, 1), self.numbers(spread, 2)
        crops = self.numbers(join, 2)
        source, target = self.tensors[spread.inputs[0]], self.tensors[join.outputs[0]]
        if blocks is None or pads is None or crops is None or blocks != self.numbers(join, 1):
            return
        if not len(pads) == len(crops) == 2 * len(blocks) or min(blocks, default=0) < 1:
            return
        weights = self.tensors[convolution.inputs[1]]
        if not len(source.shape) == len(target.shape) == 2 + len(blocks) or len(weights.shape) != 4:
            return
        sides = self.sides(blocks, spread, convolution)
        if sides is None or any(convolution.attributes[f"{what}_{s}"] != 1 for s in "hw" for what in _STEPS):
            return
        outside = self.padding_of(source)
        before_it = outside or (source.index, [(0, 0)] * len(source.shape))
        whole = self.tensors[before_it[0]]
        amounts = {"h": (0, 0), "w": (0, 0)}
        sizes = {"h": 1, "w": 1}
        out_sizes = {"h": 1, "w": 1}
        kernels = dict(zip("hw", weights.shape[1:3], strict=True))
        dilation = {"h": 1, "w": 1}
        for axis, (side, block) in enumerate(zip(sides, blocks, strict=True), start=1):
            length, output = source.shape[axis], target.shape[axis]
            low = before_it[1][axis][0]
            part = (length + pads[2 * axis - 2] + pads[2 * axis - 1]) // block
            inside = block * padding_before(convolution.text("padding"), part, kernels[side], 1)
            first = low + pads[2 * axis - 2] + inside - crops[2 * axis - 2]
            last = output + (kernels[side] - 1) * block - whole.shape[axis] - first
            if first < 0 or last < 0:
                return
            amounts[side], dilation[side] = (first, last), block
            sizes[side], out_sizes[side] = whole.shape[axis], output
        if any(low or high for low, high in (before_it[1][0], *before_it[1][1 + len(blocks) :])):
            return
        if len(blocks) == 1 and kernels["h" if sides == ["w"] else "w"] != 1:
            return
        channels = whole.shape[-1]
        self.replace(
            join,
            convolution,
            self.as_map(whole, (1, sizes["h"], sizes["w"], channels)),
            [(0, 0), amounts["h"], amounts["w"], (0, 0)],
            dilation,
            (1, out_sizes["h"], out_sizes["w"], target.shape[-1]),
        )
        for op in found.between:
            self.ops[id(op)] = []
        if outside is not None:
            self.ops[id(self.maker[source.index])] = []

    def sides(self, blocks: Sequence[int], spread: Op, convolution: Op) -> list[str] | None:
        """Which of a convolution's two sides each block is of."""
        if len(blocks) == 2:
            return ["h", "w"]
        shape = self.tensors[convolution.inputs[0]].shape
        part = self.tensors[spread.outputs[0]].shape
        if len(blocks) != 1 or len(shape) != 4 or len(part) != 3:
            return None
        if shape[1] == 1 and shape[2] == part[1]:
            return ["w"]
        return ["h"] if shape[2] == 1 and shape[1] == part[1] else None

    def padding_of(self, tensor: Tensor) -> tuple[int, list[tuple[int, int]]] | None:
        """What is padded with zero points into `tensor`, and by how much, where nothing else reads that."""
        op = self.alone(tensor.index)
        if op is None or op.kind != "PAD" or len(op.inputs) != 2 or not _is_whole(op, 2):
            return None
        amounts = self.numbers(op, 1)
        rank = len(self.tensors[op.inputs[0]].shape)
        if amounts is None or not len(amounts) == 2 * len(tensor.shape) == 2 * rank:
            return None
        return op.inputs[0], list(zip(amounts[::2], amounts[1::2], strict=True))

    def as_map(self, tensor: Tensor, shape: tuple[int, ...]) -> tuple[int, list[tuple[int, int]]]:
        """A tensor in four dimensions: its index, and the RESHAPE that makes it as (from, to), if one does."""
        if tensor.shape == shape:
            return tensor.index, []
        made = self.add(tensor, shape, same_as=tensor.index if tensor.same_as is None else tensor.same_as)
        return made, [(tensor.index, made)]

    def replace(
        self,
        join: Op,
        convolution: Op,
        source: tuple[int, list[tuple[int, int]]],
        amounts: list[tuple[int, int]],
        dilation: dict[str, int],
        shape: tuple[int, ...],
    ) -> None:
        """One convolution in place of `join`, its input made a map and padded before."""
        index, aliases = source
        made = [Op(join.index, "RESHAPE", (old,), (new,)) for old, new in aliases]
        if any(low or high for low, high in amounts):
            whole = self.tensors[index]
            wide = self.add(whole, tuple(n + sum(pair) for n, pair in zip(whole.shape, amounts, strict=True)))
            made.append(Op(join.index, "PAD", (index, self.constant(amounts)), (wide,)))
            index = wide
        target = self.tensors[join.outputs[0]]
        output = target.index
        if target.shape != shape:
            output = self.add(target, shape, same_as=target.index)
        attributes = {
            **convolution.attributes,
            "padding": "VALID",
            "dilation_h": dilation["h"],
            "dilation_w": dilation["w"],
        }
        made.append(
            Op(convolution.index, convolution.kind, (index, *convolution.inputs[1:]), (output,), attributes)
        )
        if output != target.index:
            made.append(Op(join.index, "RESHAPE", (output,), (target.index,)))
        self.ops[id(join)] = made

    def raise_pad(self, pad: Op) -> None:
        padded = self.tensors[pad.outputs[0]]
        readers = self.readers.get(padded.index, [])
        amounts = self.numbers(pad, 1)
        if len(readers) != 1 or readers[0].kind not in _ALIASES or padded.index in self.given.ends:
            return
        alias = readers[0]
        if not _is_whole(alias, 1):
            return
        source, target = self.tensors[pad.inputs[0]], self.tensors[alias.outputs[0]]
        rank = len(source.shape)
        if amounts is None or not len(amounts) == 2 * len(padded.shape) == 2 * rank or len(target.shape) != 4:
            return
        if any(reader.kind not in _CONVOLUTIONS for reader in self.readers.get(target.index, [])):
            return
        for axis in range(4):
            if len(padded.shape) == 3 and target.shape == (*padded.shape[:axis], 1, *padded.shape[axis:]):
                pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
                pairs.insert(axis, (0, 0))
                shape = (*source.shape[:axis], 1, *source.shape[axis:])
                index, aliases = self.as_map(source, shape)
                self.ops[id(pad)] = [Op(alias.index, "RESHAPE", (old,), (new,)) for old, new in aliases]
                self.ops[id(alias)] = [Op(pad.index, "PAD", (index, self.constant(pairs)), (target.index,))]
                return


_STEPS = ("stride", "dilation")
