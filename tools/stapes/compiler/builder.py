"""Where operators become layers: views of tensors as rows, and the list of layers as it grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stapes.compiler.plan import Fields, Input, Layer, Storage
from stapes.errors import UnsupportedModelError
from stapes.graph import Graph, Op, Tensor


@dataclass(frozen=True)
class Shape:
    """A tensor as rows of columns of channels. [1, H, W, C] has H rows; [1, N] is one row of one column."""

    rows: int
    columns: int
    channels: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Shape:
        """From a tensor's shape, a leading batch of one taken off."""
        inner = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
        if len(inner) < 2:
            return cls(1, 1, math.prod(inner))
        return cls(inner[0], math.prod(inner[1:-1]), inner[-1])

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

    def refuse(self, op: Op, what: str, todo: str) -> UnsupportedModelError:
        """The error for something only the compiler finds out."""
        name = self.graph.tensors[op.outputs[0]].name
        finding = f"{what} in operator {op.index} {op.kind} ({name}): {todo}"
        return UnsupportedModelError(f"1 unsupported thing: {finding}", [finding])

    def tensor(self, index: int) -> Tensor:
        """A .tflite tensor."""
        return self.graph.tensors[index]

    def consumers(self, index: int) -> list[Op]:
        """Operators that read a tensor."""
        return [op for op in self.graph.ops if index in op.inputs]

    def add_input(self, index: int) -> None:
        """A network input; it takes the row shape in which a single reshape passes it on."""
        shape = Shape.of(self.tensor(index).shape)
        seen = index
        while True:
            readers = self.consumers(seen)
            if len(readers) != 1 or readers[0].kind not in ALIASES:
                break
            seen = readers[0].outputs[0]
            following = Shape.of(self.tensor(seen).shape)
            if following.rows > shape.rows:
                shape = following
        tensor = self.tensor(index)
        self.storage_of[index] = len(self.storages)
        self.storages.append(Storage(tensor.name, shape.rows, shape.row_bytes, tensor.zero_point))

    def storage(self, number: int) -> Storage:
        """An activation's storage (≥ 0) or a constant's (< 0)."""
        return self.storages[number] if number >= 0 else self.constants[-1 - number]

    def constant(self, index: int, shape: Shape) -> int:
        """A constant tensor as rows in flash; returns its storage (negative)."""
        known = self._constant_of.get((index, shape.rows))
        if known is not None:
            return known
        tensor = self.tensor(index)
        assert tensor.data is not None
        data = np.ascontiguousarray(tensor.data).astype(np.int8).reshape(-1)
        self.constants.append(Storage(tensor.name, shape.rows, shape.row_bytes, tensor.zero_point, data))
        self._constant_of[index, shape.rows] = -len(self.constants)
        return -len(self.constants)

    def whole(self, index: int) -> int:
        """The storage of an operand in whatever rows it has."""
        tensor = self.tensor(index)
        return (
            self.storage_of[index]
            if tensor.data is None
            else self.constant(index, Shape(1, 1, tensor.elements))
        )

    def source(self, op: Op, index: int, shape: Shape | None = None) -> int:
        """The storage of an operand in the row shape that its .tflite shape asks for (or `shape`)."""
        wanted = shape or Shape.of(self.tensor(index).shape)
        if self.tensor(index).data is not None:
            return self.constant(index, wanted)
        number = self.storage_of[index]
        if self.storage(number).rows == wanted.rows:
            return number
        return self._rechunk(op, index, number, wanted)

    def output(self, index: int) -> int:
        """The storage of a network output: a copy where its bytes are an input's, or have padding beside their rows."""
        number = self.storage_of[index]
        storage = self.storage(number)
        is_padded = storage.rows > 1 and any(
            window.tensor == number and (window.left or window.right)
            for layer in self.layers
            for window in layer.inputs
        )
        if number >= len(self.graph.inputs) and not is_padded:
            return number
        maker = next(op for op in self.graph.ops if index in op.outputs)
        return self._rechunk(maker, index, number, Shape(storage.rows, 1, storage.row_bytes))

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
        scratch_bytes: int = 0,
        details: str = "",
        knows_row: bool = False,
        why: str = "",
    ) -> int:
        """Append a layer for `op`'s output (or tensor `output`); returns the storage of its output.

        `steps`: number of input rows, for a layer that accumulates them into one output row. `knows_row`: what a row
        is depends on its number in the window, so that windows cannot share it.
        """
        index = op.outputs[0] if output is None else output
        tensor = self.tensor(index)
        shape = shape or Shape.of(tensor.shape)
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

    def finished(self) -> tuple[list[Layer], list[Storage]]:
        """Layers and storages with constants numbered behind the layers' outputs."""
        count = len(self.storages)

        def number(window: Input) -> Input:
            return window if window.tensor >= 0 else replace(window, tensor=count - 1 - window.tensor)

        layers = [replace(layer, inputs=tuple(number(i) for i in layer.inputs)) for layer in self.layers]
        return layers, [*self.storages, *self.constants]


@dataclass(frozen=True)
class Lowering:
    """How an operator becomes layers, and which C functions (without `stapes_`) it may become; `reshape` may come
    before any of them.
    """

    lower: Callable[[Builder, Op], None]
    kernels: tuple[str, ...] = ()


ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
LOWERINGS = {kind: Lowering(Builder.alias) for kind in ALIASES}


def _shape_text(storage: Storage) -> str:
    return f"{storage.rows} rows of {storage.row_bytes}"
