"""The intermediate representation: a .tflite file as a few plain, typed, immutable objects.

Tensors keep their index and name in the .tflite, so that every later stage can name a layer as the file does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Attribute = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Quantization:
    """`real = scale * (q - zero_point)`; one entry, or one per slice along `axis`."""

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int | None = None


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `data` is the constant's content (read-only), None for an activation.

    `type_name` is the element type as TFLite calls it ("INT8", …); INT4 is one int8 for each element here, and where
    NumPy has nothing like the type (STRING), `dtype` is one opaque byte. `is_variable` marks state kept between
    runs, `is_sparse` a constant whose zeros are left out. A pass may add tensors behind those of the file: `same_as`
    is the one of the file with the same bytes, where there is one.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    quantization: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None
    type_name: str = ""
    is_variable: bool = False
    is_sparse: bool = False
    same_as: int | None = None

    @property
    def is_wide(self) -> bool:
        """Whether it is an activation of 16 bits, or a constant beside one."""
        return self.type_name == "INT16"

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def scale(self) -> float:
        """Per-tensor scale (float32 value); raises ValueError where there is none or several."""
        if self.quantization is None or len(self.quantization.scale) != 1:
            raise ValueError(f"tensor {self.name!r} has no single scale")
        return float(self.quantization.scale[0])

    @property
    def zero_point(self) -> int:
        """Per-tensor zero point; raises ValueError where there is none or several."""
        if self.quantization is None or len(self.quantization.zero_point) != 1:
            raise ValueError(f"tensor {self.name!r} has no single zero point")
        return int(self.quantization.zero_point[0])

    def real_values(self) -> npt.NDArray[np.float32]:
        """What a constant, quantised or not, stands for; float32 of its shape. Raises ValueError for an activation."""
        if self.data is None:
            raise ValueError(f"tensor {self.name!r} is no constant")
        values = self.data.astype(np.float32)
        if self.quantization is None:
            return values
        scale, zero_point = self.quantization.scale, self.quantization.zero_point.astype(np.float32)
        if len(scale) > 1:
            shape = [1] * len(self.shape)
            shape[self.quantization.axis or 0] = len(scale)
            scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
        real: npt.NDArray[np.float32] = ((values - zero_point) * scale).astype(np.float32)
        return real


@dataclass(frozen=True)
class Op:
    """One operator. `kind` is TFLite's builtin name; an input of -1 is an absent optional tensor.

    `attributes` are named as in `stapes.graph.schema`; use the typed getters.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def integer(self, name: str) -> int:
        """The integer or boolean attribute `name`."""
        value = self.attributes[name]
        assert isinstance(value, int), name
        return value

    def real(self, name: str) -> float:
        """The floating-point attribute `name` (a float32 value)."""
        value = self.attributes[name]
        assert isinstance(value, float), name
        return value

    def text(self, name: str) -> str:
        """The attribute `name` that is an enumeration: padding, activation."""
        value = self.attributes[name]
        assert isinstance(value, str), name
        return value


@dataclass(frozen=True, eq=False)
class State:
    """A variable, kept from one run to the next: a run finds in tensor `read` what the run before it left in tensor
    `assigned`, the first run finds `initial`.
    """

    name: str
    read: int
    assigned: int
    initial: npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole network, operators in execution order."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sha256: str
    states: tuple[State, ...] = ()
    stripped: Mapping[int, str] = field(default_factory=dict)
    """Inputs and outputs that are of another type in the file ("FLOAT32", "UINT8"), which was taken off."""

    @property
    def ends(self) -> frozenset[int]:
        """Tensors that are needed when all operators have run: outputs, and what states become."""
        return frozenset((*self.outputs, *(state.assigned for state in self.states)))

    def tensor(self, index: int) -> Tensor:
        """The tensor with this index."""
        return self.tensors[index]

    def is_wide(self, op: Op) -> bool:
        """Whether `op` reads or makes activations of 16 bits."""
        return any(
            index >= 0 and tensor.is_wide and tensor.data is None and not tensor.is_variable
            for index, tensor in ((index, self.tensors[index]) for index in (*op.inputs, *op.outputs))
        )
