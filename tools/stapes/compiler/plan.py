"""What the compiler hands to codegen: layers with the constants of their kernels, and where every byte lives.

A plan is independent of C's syntax; codegen only prints it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from stapes.compiler.structures import runtime


@dataclass(frozen=True, eq=False)
class Array:
    """Constants of a kernel: what they are called, their C type and their values.

    A two-dimensional array is an array of structures, one row each.
    """

    ctype: str
    values: npt.NDArray[np.integer]
    carried: bool = False
    """Weights of two channels in turn, the second to be carried where the target wants that (STAPES_CARRY)."""
    rows: int = 0
    """Depthwise weights: the first `fours` are columns of that many rows of four channels (STAPES_ROWS)."""
    fours: int = 0

    @property
    def bytes(self) -> int:
        """Size in flash."""
        return runtime().sizeof(self.ctype) * len(self.values)


Value = int | list[int] | Array | dict[str, "Value"]
Fields = dict[str, Value]


@dataclass(frozen=True)
class Input:
    """A layer's window on one input: step s reads rows s * stride - before + k * dilation, 0 ≤ k < height."""

    tensor: int
    height: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    left: int = 0
    """Bytes of padding that the kernel wants in front of a row; less than 0: bytes of the row that it skips."""
    right: int = 0
    """Bytes of padding that the kernel wants behind a row."""
    fills_outside: bool = False
    """Rows outside of the map are rows of the zero point; otherwise the kernel gets NULL."""


@dataclass(frozen=True, eq=False)
class Storage:
    """Where a tensor's rows are: a ring of `height` rows in the arena at `offset`, or the constant `data`."""

    name: str
    rows: int
    """Of the whole map, those that are kept included."""
    row_bytes: int
    zero_point: int = 0
    data: npt.NDArray[np.int8] | None = None
    padding: int = 0
    """Bytes before the first row and after every row, filled with the zero point."""
    height: int = 0
    offset: int = 0
    last_consumer: int = 0
    kept: int = 0
    """Of its rows, the first ones, which are there when a window begins: the last ones of the window before."""
    state: int = 0
    """Number of the state that these rows are, from 1; 0: none."""

    @property
    def stride(self) -> int:
        """Bytes from one row to the next."""
        return self.row_bytes + self.padding

    @property
    def bytes(self) -> int:
        """Bytes in the arena, padding included."""
        return self.padding + self.height * self.stride


@dataclass(frozen=True, eq=False)
class Layer:
    """One kernel call per step. Its output is the storage `len(plan.inputs) + index`."""

    index: int
    name: str
    op: str
    kernel: str
    """Name of the C function and of its parameter structure, without `stapes_` and `_t`."""
    tensor: int
    """The .tflite tensor that the rows must equal, byte for byte."""
    rows: int
    row_bytes: int
    macs: int
    fields: Fields
    inputs: tuple[Input, ...]
    description: str
    """Shapes and quantisation, for a person."""
    why: str = ""
    """Why this kernel and this way of requantising."""
    steps: int = 0
    accumulates: bool = False
    knows_row: bool = False
    """What a row is depends on its number in the window."""
    state_bytes: int = 0
    keeps_state: bool = False
    """The state is kept from one window to the next."""
    scratch_bytes: int = 0
    state_offset: int | None = None
    scratch_offset: int | None = None


@dataclass(frozen=True)
class Region:
    """A piece of the memory map: `bytes` of the arena from `offset`, in use from event `first` to `last`."""

    name: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Slide:
    """How overlapping windows share rows: stapes_slide_t of firmware/runtime/include/stapes/slide.h."""

    trunk: int
    """The first layers, which run on from window to window."""
    hop: int
    """Rows of the input from one window to the next."""
    period: int
    """Windows after which every ring is at the same row again."""
    advance: tuple[int, ...]
    """Rows from one window to the next, of the input and of each layer of the trunk."""


@dataclass(frozen=True)
class Edge:
    """An input or output as who feeds or reads it must know it: values of `type` (int8, int16 as the core has them),
    rows one after the other.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    rows: int
    row_bytes: int
    type: str = "int8"
    stripped: str = ""
    """The type that it has in the file ("FLOAT32", "UINT8"), where the network was made to begin or end in integers."""

    def as_json(self) -> dict[str, str | int | float | list[int]]:
        """The keys of `stapes compile --json`."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "type": self.type,
            "scale": self.scale,
            "zero_point": self.zero_point,
            "rows": self.rows,
            "row_bytes": self.row_bytes,
            "type_in_file": self.stripped.lower() or self.type,
        }

    def __str__(self) -> str:
        text = (
            f"{self.name}: {self.type} {list(self.shape)}, scale {self.scale:.9g}, zero point {self.zero_point}, "
            f"{self.rows} {'row' if self.rows == 1 else 'rows'} of {self.row_bytes} B"
        )
        if self.stripped == "UINT8":
            return text + "; uint8 in the file, taken off: subtract 128"
        if self.stripped:
            return (
                text + f"; {self.stripped.lower()} in the file, taken off: round(value / scale) + zero point"
            )
        return text


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The last `rows` of storage `tensor`, which are its first ones in the next window; `initial`: in the first
    window, None where all are zero points.
    """

    name: str
    tensor: int
    rows: int
    initial: npt.NDArray[np.int8] | None


@dataclass(frozen=True, eq=False)
class Plan:
    """A compiled network. `storages` are the inputs, then one per layer, then the constants."""

    name: str
    sha256: str
    input_count: int
    layers: tuple[Layer, ...]
    storages: tuple[Storage, ...]
    outputs: tuple[int, ...]
    """Storages that are the network's outputs."""
    buffer_bytes: int
    """The arena without the table of row pointers, a multiple of 8."""
    row_pointers: int
    """Entries of the table of row pointers at the arena's end."""
    by_layers: bool
    """Layer by layer rather than row by row."""
    events: int
    regions: tuple[Region, ...]
    inputs: tuple[Edge, ...] = ()
    results: tuple[Edge, ...] = ()
    """What the outputs are, in their order."""
    slide: Slide | None = None
    """How overlapping windows share rows; None where they share nothing."""
    states: tuple[KeptRows, ...] = ()
    """What the network keeps from window to window."""
    notes: tuple[str, ...] = field(default=())
    """What each pass did, one line each."""

    @property
    def arena_bytes(self) -> int:
        """Size of the arena on a 32-bit target."""
        return self.buffer_bytes + 4 * self.row_pointers

    @property
    def output_bytes(self) -> int:
        """Of all outputs together."""
        return sum(self.storages[number].rows * self.storages[number].row_bytes for number in self.outputs)

    @property
    def weights_bytes(self) -> int:
        """Constants in flash: packed weights, requantisation, tables, rows of padding."""
        every = {id(array): array for layer in self.layers for _, array in layer_arrays(layer)}
        arrays = sum(array.bytes for array in every.values())
        constants = sum(s.data.size for s in self.storages if s.data is not None)
        constants += sum(state.initial.size for state in self.states if state.initial is not None)
        return arrays + constants + sum(self.outside_rows.values())

    @property
    def outside_rows(self) -> dict[int, int]:
        """Rows of padding: zero point to the bytes of the longest one."""
        rows: dict[int, int] = {}
        for layer in self.layers:
            for window in layer.inputs:
                if window.fills_outside:
                    source = self.storages[window.tensor]
                    size = window.left + source.row_bytes + window.right
                    rows[source.zero_point] = max(size, rows.get(source.zero_point, 0))
        return rows

    @property
    def macs(self) -> int:
        """Multiplications of one window."""
        return sum(layer.macs for layer in self.layers)


def share_arrays(layers: Iterable[Layer]) -> list[Layer]:
    """The layers with one array where several are equal: an unrolled recurrent layer has its weights once."""
    known: dict[tuple[object, bytes], Array] = {}

    def shared(value: Value) -> Value:
        if isinstance(value, dict):
            return {name: shared(inner) for name, inner in value.items()}
        if not isinstance(value, Array):
            return value
        content = np.ascontiguousarray(value.values).astype(np.int64).tobytes()
        kind = (value.ctype, value.carried, value.rows, value.fours, value.values.shape)
        return known.setdefault((kind, content), value)

    return [
        replace(layer, fields={name: shared(value) for name, value in layer.fields.items()})
        for layer in layers
    ]


def layer_arrays(layer: Layer) -> list[tuple[str, Array]]:
    """All arrays in a layer's fields with their dotted-path names, in order."""
    return _arrays(layer.fields)


def _arrays(fields: Fields) -> list[tuple[str, Array]]:
    found: list[tuple[str, Array]] = []
    for name, value in fields.items():
        if isinstance(value, Array):
            found.append((name, value))
        elif isinstance(value, dict):
            found += _arrays(value)
    return found
