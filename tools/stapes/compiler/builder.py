"""Where operators become layers: views of tensors as rows, and the list of layers as it grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stapes.compiler.bounds import EVERYTHING, Range, value_ranges
from stapes.compiler.plan import Fields, Input, Layer, Storage
from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, Op, State, Tensor
from stapes.graph.slices import PARTS, SOURCE_OF_PARTS, parts_of


@dataclass(frozen=True)
class Shape:
    """A tensor as rows of columns of channels. [1, H, W, C] has H rows; [1, N] is one row of one column."""

    rows: int
    columns: int
    channels: int

    @classmethod
    def of(cls, shape: tuple[int, ...], item_bytes: int = 1) -> Shape:
        """From a tensor's shape, a leading batch of one taken off; elements of several bytes are as many channels."""
        inner = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
        if len(inner) < 2:
            return cls(1, 1, math.prod(inner) * item_bytes)
        return cls(inner[0], math.prod(inner[1:-1]), inner[-1] * item_bytes)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.columns * self.channels

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}x{self.channels}"


@dataclass(frozen=True)
class Pad:
    """Zero points around a map, left to the convolution that reads it."""

    tensor: int
    top: int
    bottom: int
    left: int
    right: int


VIEWS = 1 << 24
"""Views count from here."""


@dataclass(frozen=True)
class View:
    """Rows of a storage, or a part of every one of them, that layers read where they are: a tensor that costs nothing.

    It looks like `seen`; its first row is `row` rows behind the first that a window makes (before that: rows that are
    kept), each begins at byte `byte`. `source` is a storage, or state n as `VIEWS` - 1 - n, whose rows nobody makes.
    """

    tensor: int
    source: int
    row: int
    byte: int
    seen: Storage


@dataclass
class Kept:
    """A state as the compiler finds it a home: `storage` makes what the next window finds as its first rows."""

    state: State
    rows: int
    storage: int | None = None


class Builder:
    """The layers so far, and which storage holds which .tflite tensor."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: list[Layer] = []
        self.storages: list[Storage] = []
        """Inputs, then one per layer."""
        self.constants: list[Storage] = []
        self._constant_of: dict[tuple[int, int], int] = {}
        """.tflite constant and its rows to storage."""
        self.storage_of: dict[int, int] = {}
        """.tflite tensor to storage; aliases (reshapes) share one. Constants count from -1 down."""
        self.pads: dict[int, Pad] = {}
        """.tflite tensors that exist only as padding of another one."""
        self.notes: list[str] = []
        self._ranges = value_ranges(graph)
        self.views: list[View] = []
        self.kept: list[Kept] = []

    def refuse(self, op: Op, what: str, todo: str) -> UnsupportedModelError:
        """The error for something only the compiler finds out."""
        name = self.graph.tensors[op.outputs[0]].name
        finding = f"{what} in operator {op.index} {op.kind} ({name}): {todo}"
        return UnsupportedModelError(f"1 unsupported thing: {finding}", [finding])

    def tensor(self, index: int) -> Tensor:
        """A .tflite tensor."""
        return self.graph.tensors[index]

    def shape(self, index: int) -> Shape:
        """A tensor as rows of bytes."""
        tensor = self.tensor(index)
        return Shape.of(tensor.shape, tensor.dtype.itemsize)

    def range_of(self, index: int) -> Range:
        """What an activation can hold; int8's range where nothing else is known."""
        return self._ranges.get(index, EVERYTHING)

    def consumers(self, index: int) -> list[Op]:
        """Operators that read a tensor."""
        return [op for op in self.graph.ops if index in op.inputs]

    def add_input(self, index: int) -> None:
        """A network input; it takes the row shape in which a single reshape passes it on."""
        shape = self.shape(index)
        seen = index
        while True:
            readers = self.consumers(seen)
            if len(readers) != 1 or readers[0].kind not in ALIASES:
                break
            seen = readers[0].outputs[0]
            following = self.shape(seen)
            if following.rows > shape.rows:
                shape = following
        tensor = self.tensor(index)
        self.storage_of[index] = len(self.storages)
        self.storages.append(Storage(tensor.name, shape.rows, shape.row_bytes, tensor.zero_point))

    def storage(self, number: int) -> Storage:
        """An activation's storage (≥ 0), a constant's (< 0), or what a view looks like (≥ `VIEWS`)."""
        if number >= VIEWS:
            return self.views[number - VIEWS].seen
        return self.storages[number] if number >= 0 else self.constants[-1 - number]

    def constant(self, index: int, shape: Shape) -> int:
        """A constant tensor as rows in flash; returns its storage (negative)."""
        known = self._constant_of.get((index, shape.rows))
        if known is not None:
            return known
        tensor = self.tensor(index)
        assert tensor.data is not None
        kind = np.int16 if tensor.is_wide else np.int8
        data = np.ascontiguousarray(tensor.data).astype(kind).reshape(-1).view(np.int8)
        self.constants.append(Storage(tensor.name, shape.rows, shape.row_bytes, tensor.zero_point, data))
        self._constant_of[index, shape.rows] = -len(self.constants)
        return -len(self.constants)

    def whole(self, index: int) -> int:
        """The storage of an operand in whatever rows it has."""
        tensor = self.tensor(index)
        return (
            self.storage_of[index]
            if tensor.data is None
            else self.constant(index, Shape(1, 1, tensor.elements * tensor.dtype.itemsize))
        )

    def source(self, op: Op, index: int, shape: Shape | None = None) -> int:
        """The storage of an operand in the row shape that its .tflite shape asks for (or `shape`)."""
        wanted = shape or self.shape(index)
        if self.tensor(index).data is not None:
            return self.constant(index, wanted)
        number = self.storage_of[index]
        if self.storage(number).rows == wanted.rows:
            return number
        return self._rechunk(op, index, number, wanted)

    def output(self, index: int) -> int:
        """The storage of a network output: a copy where its bytes are an input's or kept, or have padding beside their
        rows.
        """
        number = self.storage_of[index]
        storage = self.storage(number)
        is_padded = storage.rows > 1 and any(
            window.tensor == number and (window.left or window.right)
            for layer in self.layers
            for window in layer.inputs
        )
        is_kept = number >= VIEWS or any(kept.storage == number for kept in self.kept)
        if number >= len(self.graph.inputs) and not is_padded and not is_kept:
            return number
        maker = next(op for op in self.graph.ops if index in op.outputs)
        return self._copied(maker, index, number)

    def _rechunk(self, op: Op, index: int, number: int, shape: Shape) -> int:
        """A layer that cuts the same bytes into other rows."""
        source = self.storage(number)
        tensor = self.tensor(index)
        self.notes.append(f"{tensor.name}: {source.rows} rows copied into {shape.rows}")
        return self.add_layer(
            op=op,
            kernel="reshape",
            output=index,
            shape=shape,
            inputs=(Input(number, height=source.rows, stride=0),),
            fields={"input_bytes": source.row_bytes, "row_bytes": shape.row_bytes},
            knows_row=True,
            name=f"{tensor.name} (rows)",
        )

    def add_layer(
        self,
        *,
        op: Op,
        kernel: str,
        inputs: tuple[Input, ...],
        fields: Fields,
        output: int | None = None,
        shape: Shape | None = None,
        name: str | None = None,
        macs: int = 0,
        steps: int | None = None,
        state_bytes: int = 0,
        keeps_state: bool = False,
        scratch_bytes: int = 0,
        details: str = "",
        knows_row: bool = False,
        why: str = "",
    ) -> int:
        """Append a layer for `op`'s output (or tensor `output`); returns the storage of its output.

        `steps`: number of input rows, for a layer that accumulates them into one output row. `knows_row`: what a row
        is depends on its number in the window, so that windows cannot share it. `keeps_state`: the state is kept from
        window to window.
        """
        index = op.outputs[0] if output is None else output
        tensor = self.tensor(index)
        shape = shape or self.shape(index)
        inputs = tuple(self._reachable(window, steps or shape.rows) for window in inputs)
        sources = ", ".join(_shape_text(self.storage(window.tensor)) for window in inputs)
        self.layers.append(
            Layer(
                index=len(self.layers),
                name=name or tensor.name,
                op=op.kind,
                kernel=kernel,
                tensor=index if tensor.same_as is None else tensor.same_as,
                rows=shape.rows,
                row_bytes=shape.row_bytes,
                macs=macs,
                fields=fields,
                inputs=inputs,
                description=f"{sources} to {shape}{', ' + details if details else ''}, "
                f"scale {tensor.scale:.6g}, zero point {tensor.zero_point}",
                why=why,
                steps=steps or shape.rows,
                accumulates=steps is not None,
                knows_row=knows_row,
                state_bytes=state_bytes,
                keeps_state=keeps_state,
                scratch_bytes=scratch_bytes,
            )
        )
        self.storage_of[index] = len(self.storages)
        self.storages.append(Storage(tensor.name, shape.rows, shape.row_bytes, tensor.zero_point))
        return self.storage_of[index]

    def alias(self, op: Op, source: int | None = None, output: int | None = None) -> None:
        """The output is the bytes of the (first) input in another shape."""
        source = op.inputs[0] if source is None else source
        output = op.outputs[0] if output is None else output
        if self.tensor(source).data is not None:
            raise self.refuse(op, "a reshaped constant", "convert with constants folded")
        self.storage_of[output] = self.storage_of[source]
        self.notes.append(f"{op.kind} {self.tensor(output).name}: no code, the same bytes")

    # Views, and what is kept from window to window

    def view(self, index: int, source: int, row: int, byte: int, rows: int, row_bytes: int) -> None:
        """Tensor `index` is `rows` rows of `source` from `row` on, `row_bytes` of each from `byte` on."""
        tensor = self.tensor(index)
        if source >= VIEWS:
            outer = self.views[source - VIEWS]
            source, row, byte = outer.source, outer.row + row, outer.byte + byte
        self.storage_of[index] = VIEWS + len(self.views)
        seen = Storage(tensor.name, rows, row_bytes, tensor.zero_point)
        self.views.append(View(index, source, row, byte, seen))

    def add_state(self, state: State) -> None:
        """A state: its rows can be read, and somebody will make those of the next window."""
        shape = self.shape(state.read)
        self.view(state.read, VIEWS - 1 - len(self.kept), 0, 0, shape.rows, shape.row_bytes)
        self.kept.append(Kept(state, shape.rows))

    def keeps(self, op: Op) -> bool:
        """Whether `op`, which joins a state's rows and new ones, needs no layer, since the next window's state is the
        last of its rows: then the state is the rows that the ring of the new ones still holds.
        """
        if len(op.inputs) != 2 or self.tensor(op.inputs[0]).data is not None:
            return False
        number, new = self.storage_of[op.inputs[0]], op.inputs[1]
        kept = next((kept for kept in self.kept if kept.state.read == op.inputs[0]), None)
        if kept is None or number < VIEWS or not _is_rest(self.graph, kept.state, op):
            return False
        shape = self.shape(new)
        if not self._can_keep(new, shape):
            return False
        kept.storage = self.storage_of[new]
        rows, row_bytes = kept.rows + shape.rows, shape.row_bytes
        self.view(op.outputs[0], kept.storage, -kept.rows, 0, rows, row_bytes)
        name = self.tensor(op.outputs[0]).name
        self.notes.append(f"{name}: no code, a ring of {rows} rows that goes on from window to window")
        return True

    def _can_keep(self, index: int, shape: Shape) -> bool:
        """Whether the storage of a tensor can be a ring of a state too; rows that are made bit by bit cannot, they
        would destroy the oldest one that is kept.
        """
        number = self.storage_of.get(index)
        if number is None or number >= VIEWS or any(kept.storage == number for kept in self.kept):
            return False
        layer = number - len(self.graph.inputs)
        return self.storage(number).rows == shape.rows and not (layer >= 0 and self.layers[layer].accumulates)

    def end_states(self) -> None:
        """Everything that a state gets comes from a storage of its own."""
        for kept in self.kept:
            if kept.storage is not None:
                continue
            index = kept.state.assigned
            shape = self.shape(kept.state.read)
            if not self._can_keep(index, shape):
                self._copy(index)
            kept.storage = self.storage_of[index]

    def _copy(self, index: int) -> None:
        """A layer that makes tensor `index`, wherever it is, in a storage of its own."""
        maker = next((op for op in self.graph.ops if index in op.outputs), self.graph.ops[0])
        self._copied(maker, index, self.source(maker, index, self.shape(index)))

    def _copied(self, op: Op, index: int, number: int) -> int:
        """A layer that copies storage `number`, which holds tensor `index`, row by row."""
        seen = self.storage(number)
        return self.add_layer(
            op=op,
            kernel="concatenation_rows",
            output=index,
            shape=Shape(seen.rows, 1, seen.row_bytes),
            inputs=(Input(number),),
            fields={"row_bytes": seen.row_bytes},
            name=f"{self.tensor(index).name} (copy)",
        )

    def _reachable(self, window: Input, steps: int) -> Input:
        """The window, or the same on a copy where it reaches beyond the rows of a view, which are not its padding."""
        if window.tensor < VIEWS:
            return window
        view = self.views[window.tensor - VIEWS]
        last = (steps - 1) * window.stride + (window.height - 1) * window.dilation - window.before
        if window.before <= 0 and last < view.seen.rows and window.left == window.right == 0:
            return window
        self._copy(view.tensor)
        return replace(window, tensor=self.storage_of[view.tensor])

    def finished(self) -> tuple[list[Layer], list[Storage]]:
        """Layers and storages with constants numbered behind the layers' outputs and views where they look at."""
        count = len(self.storages)
        rows = {kept.storage: kept.rows for kept in self.kept}

        def number(window: Input) -> Input:
            if window.tensor < 0:
                return replace(window, tensor=count - 1 - window.tensor)
            source, row = window.tensor, 0
            if source >= VIEWS:
                view = self.views[source - VIEWS]
                source, row = view.source, view.row
                window = replace(window, left=window.left - view.byte)
                if source not in range(count):
                    kept = self.kept[VIEWS - 1 - source]
                    assert kept.storage is not None
                    source, row = kept.storage, row - kept.rows
            return replace(window, tensor=source, before=window.before - row - rows.get(source, 0))

        layers = [replace(layer, inputs=tuple(number(i) for i in layer.inputs)) for layer in self.layers]
        storages = list(self.storages)
        for number_of_state, kept in enumerate(self.kept):
            assert kept.storage is not None
            old = storages[kept.storage]
            storages[kept.storage] = replace(
                old, rows=old.rows + kept.rows, kept=kept.rows, state=number_of_state + 1
            )
        return layers, [*storages, *self.constants]


def _is_rest(graph: Graph, state: State, op: Op) -> bool:
    """Whether a state's next rows are the last ones of what `op` joins along rows: its rows, then new ones."""
    joined, old = graph.tensors[op.outputs[0]], graph.tensors[state.read]
    maker = next((each for each in graph.ops if state.assigned in each.outputs), None)
    if maker is None or maker.kind not in PARTS:
        return False
    source = maker.inputs[SOURCE_OF_PARTS.get(maker.kind, 0)]
    if source != joined.index:
        return False
    axis = op.integer("axis") % len(joined.shape)
    if Shape.of(joined.shape).rows <= Shape.of(old.shape).rows or any(
        size != 1 for size in joined.shape[:axis]
    ):
        return False
    places = np.arange(joined.elements).reshape(joined.shape)
    constants = [graph.tensors[index].data for index in maker.inputs]
    given = [places if data is None else data for data in constants]
    rest = parts_of(maker, given)[maker.outputs.index(state.assigned)]
    return bool(np.array_equal(rest.reshape(-1), np.arange(joined.elements)[-old.elements :]))


@dataclass(frozen=True)
class Lowering:
    """How an operator becomes layers, and which C functions (without `stapes_`) it may become; `reshape` may come
    before any of them, and a copy (`concatenation_rows`) behind it.
    """

    lower: Callable[[Builder, Op], None]
    kernels: tuple[str, ...] = ()


ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
LOWERINGS = {kind: Lowering(Builder.alias) for kind in ALIASES}


def _shape_text(storage: Storage) -> str:
    return f"{storage.rows} rows of {storage.row_bytes}"
