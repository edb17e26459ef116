"""Small int8 .tflite files for tests: `ModelMaker().input((1, 8, 8, 3)).conv_2d(4).softmax().build()`.

Every method that adds an operator reads the last tensor made (or `source=`), makes a new one, and returns
the maker; `last` is the index of that tensor, for branches. Weights, and everything else that is not given,
come from a seeded generator, so the same calls give the same bytes. Nothing is checked: a maker can also
write what no converter would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

from stapes.graph.schema import ACTIVATIONS, OPTIONS, PADDINGS
from stapes.graph.windows import output_size

Shape = Sequence[int]
_CODES = {name: code for code, name in tflite.utils.BUILTIN_OPCODE2NAME.items()}
_ENUMS = {
    "Padding": {name: code for code, name in PADDINGS.items()},
    "FusedActivationFunction": {name: code for code, name in ACTIVATIONS.items()},
}


@dataclass
class _Tensor:
    name: str
    shape: tuple[int, ...]
    type_name: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    data: npt.NDArray[Any] | None
    is_variable: bool = False

    def content(self) -> bytes:
        """The constant as the file holds it; of INT4, `data` has one int8 each."""
        assert self.data is not None
        if self.type_name != "INT4":
            return self.data.tobytes()
        halves = [int(value) & 15 for value in self.data.reshape(-1)] + [0]
        return bytes(low | high << 4 for low, high in zip(halves[0:-1:2], halves[1::2], strict=True))


@dataclass
class _Op:
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any]


class ModelMaker:
    """Builds one network; see the module."""

    int4 = False
    """Whether the weights of layers have four bits."""
    int16 = False
    """Whether activations have 16 bits: what is asked for as INT8, without data, is INT16 without a zero point."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: list[_Tensor] = []
        self.ops: list[_Op] = []
        self.inputs: list[int] = []
        self.variables: dict[str, tuple[int, _Tensor]] = {}
        """Handles and initial values."""

    @property
    def last(self) -> int:
        """Index of the tensor made last by an input or an operator."""
        return self._last

    # Tensors

    def tensor(
        self,
        shape: Shape,
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        *,
        data: npt.ArrayLike | None = None,
        type_name: str = "INT8",
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        """Add a tensor and return its index; `scale` None: no quantisation."""
        if self.int16 and data is None and type_name == "INT8":
            type_name, zero_point = "INT16", 0
        scales = () if scale is None else tuple(float(s) for s in np.atleast_1d(scale))
        kind = "int8" if type_name == "INT4" else type_name.lower()
        values = None if data is None else np.asarray(data, dtype=kind).reshape(tuple(shape))
        index = len(self.tensors)
        self.tensors.append(
            _Tensor(
                name or f"t{index}",
                tuple(int(size) for size in shape),
                type_name,
                scales,
                (zero_point,) * len(scales),
                axis,
                values,
            )
        )
        return index

    def constant(self, values: npt.ArrayLike, type_name: str = "INT32", **quantization: Any) -> int:
        """Add a constant and return its index."""
        array = np.asarray(values)
        return self.tensor(array.shape, data=array, type_name=type_name, **quantization)

    def shape(self, index: int | None = None) -> tuple[int, ...]:
        """Shape of a tensor (the last one made)."""
        return self.tensors[self.last if index is None else index].shape

    def scale(self, index: int | None = None) -> float:
        """Scale of a tensor (the last one made)."""
        return self.tensors[self.last if index is None else index].scales[0]

    def zero_point(self, index: int | None = None) -> int:
        """Zero point of a tensor (the last one made)."""
        return self.tensors[self.last if index is None else index].zero_points[0]

    def input(
        self, shape: Shape, scale: float | None = 0.05, zero_point: int = -3, type_name: str = "INT8"
    ) -> Self:
        """An input of the network."""
        self._last = self.tensor(
            shape, scale, zero_point, type_name=type_name, name=f"input{len(self.inputs)}"
        )
        self.inputs.append(self._last)
        return self

    # Any operator

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        output_shape: Shape,
        scale: float | None = None,
        zero_point: int | None = None,
        *,
        type_name: str = "INT8",
        **attributes: Any,
    ) -> Self:
        """Any operator with one output; scale and zero point default to those of its first input."""
        if scale is None and type_name == "INT8":
            scale = self.scale(inputs[0])
        if zero_point is None:
            zero_point = self.zero_point(inputs[0]) if self.tensors[inputs[0]].scales else 0
        output = self.tensor(
            output_shape, scale, zero_point, type_name=type_name, name=f"{kind.lower()}_{len(self.ops)}"
        )
        return self.raw_op(kind, inputs, [output], **attributes)

    def raw_op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **attributes: Any) -> Self:
        """Any operator with tensors made before; attributes not given are 0."""
        self.ops.append(_Op(kind, tuple(inputs), tuple(outputs), attributes))
        self._last = outputs[0]
        return self

    # Layers with weights

    def conv_2d(
        self,
        channels: int,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        groups: int = 1,
        per_channel: bool = True,
        bias: bool = True,
        scale: float | None = None,
        zero_point: int = 4,
        source: int | None = None,
    ) -> Self:
        """CONV_2D with random weights and biases."""
        source = self.last if source is None else source
        depth = self.shape(source)[3] // groups
        weights = self._weights((channels, *kernel, depth), 0, per_channel)
        return self._windowed(
            "CONV_2D",
            [source, weights, *self._bias(weights, source, channels, bias)],
            channels,
            kernel,
            stride,
            dilation,
            padding,
            scale
            if scale is not None
            else self._output_scale(source, weights, kernel[0] * kernel[1] * depth),
            zero_point,
            activation=activation,
            dilation_h=dilation[0],
            dilation_w=dilation[1],
        )

    def depthwise_conv_2d(
        self,
        multiplier: int = 1,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        per_channel: bool = True,
        bias: bool = True,
        scale: float | None = None,
        zero_point: int = 4,
        source: int | None = None,
    ) -> Self:
        """DEPTHWISE_CONV_2D with random weights and biases."""
        source = self.last if source is None else source
        channels = self.shape(source)[3] * multiplier
        weights = self._weights((1, *kernel, channels), 3, per_channel)
        return self._windowed(
            "DEPTHWISE_CONV_2D",
            [source, weights, *self._bias(weights, source, channels, bias)],
            channels,
            kernel,
            stride,
            dilation,
            padding,
            scale if scale is not None else self._output_scale(source, weights, kernel[0] * kernel[1]),
            zero_point,
            activation=activation,
            dilation_h=dilation[0],
            dilation_w=dilation[1],
            depth_multiplier=multiplier,
        )

    def transpose_conv(
        self,
        channels: int,
        size: tuple[int, int],
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (2, 2),
        padding: str = "SAME",
        activation: str = "NONE",
        per_channel: bool = True,
        bias: bool = True,
        scale: float | None = None,
        zero_point: int = 4,
        source: int | None = None,
    ) -> Self:
        """TRANSPOSE_CONV to a map of `size`."""
        source = self.last if source is None else source
        depth = self.shape(source)[3]
        weights = self._weights((channels, *kernel, depth), 0, per_channel)
        shape = (1, *size, channels)
        output = self.tensor(
            shape,
            scale
            if scale is not None
            else self._output_scale(source, weights, kernel[0] * kernel[1] * depth),
            zero_point,
            name=f"transpose_conv_{len(self.ops)}",
        )
        return self.raw_op(
            "TRANSPOSE_CONV",
            [
                self.constant(np.array(shape, np.int32)),
                weights,
                source,
                *self._bias(weights, source, channels, bias),
            ],
            [output],
            padding=padding,
            stride_h=stride[0],
            stride_w=stride[1],
            activation=activation,
        )

    def fully_connected(
        self,
        units: int,
        activation: str = "NONE",
        per_channel: bool = False,
        bias: bool = True,
        keep_num_dims: bool = False,
        scale: float | None = None,
        zero_point: int = 4,
        source: int | None = None,
    ) -> Self:
        """FULLY_CONNECTED over the last axis (`keep_num_dims`) or all but the first."""
        source = self.last if source is None else source
        shape = self.shape(source)
        depth = shape[-1] if keep_num_dims else int(np.prod(shape[1:]))
        weights = self._weights((units, depth), 0, per_channel)
        return self.op(
            "FULLY_CONNECTED",
            [source, weights, *self._bias(weights, source, units, bias)],
            (*shape[:-1], units) if keep_num_dims else (shape[0], units),
            scale if scale is not None else self._output_scale(source, weights, depth),
            zero_point,
            activation=activation,
            keep_num_dims=keep_num_dims,
        )

    def lstm(
        self,
        units: int,
        scale: float = 1 / 128,
        zero_point: int = 0,
        cell_power: int = -12,
        time_major: bool = False,
        cell_clip: float = 10.0,
        source: int | None = None,
    ) -> Self:
        """UNIDIRECTIONAL_SEQUENCE_LSTM over [1, time, inputs], or [time, 1, inputs]."""
        source = self.last if source is None else source
        *around, depth = self.shape(source)
        weights = [self._weights((units, size), 0, False) for size in 4 * [depth] + 4 * [units]]
        biases = [self._bias(weight, source, units, True)[0] for weight in weights[:4]]
        hidden = self._state((1, units), "INT8", scale, zero_point)
        cell = self._state((1, units), "INT16", 2.0**cell_power, 0)
        inputs = [source, *weights, -1, -1, -1, *biases, -1, -1, hidden, cell, -1, -1, -1, -1]
        return self.op(
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            inputs,
            (*around, units),
            scale,
            zero_point,
            activation="TANH",
            cell_clip=cell_clip,
            time_major=time_major,
        )

    def svdf(
        self,
        units: int,
        rank: int,
        memory: int,
        type_name: str = "INT16",
        state_zero_point: int = 0,
        zero_point: int = -128,
        source: int | None = None,
    ) -> Self:
        """SVDF over [1, inputs] with a state and time weights of the type."""
        source = self.last if source is None else source
        filters, depth = units * rank, self.shape(source)[1]
        feature = self._weights((filters, depth), 0, False)
        limit = 127 if type_name == "INT8" else 4000
        values = self.random.integers(-limit, limit + 1, (filters, memory))
        time = self.tensor((filters, memory), 1 / limit, data=values, type_name=type_name)
        of_state = self.scale(source) * self.scale(feature) * depth * 60 * 40 / (limit * 2)
        state = self._state((1, filters * memory), type_name, of_state, state_zero_point)
        biases = self.random.integers(-limit * 5, limit * 5, units)
        bias = self.tensor((units,), of_state / limit, data=biases, type_name="INT32")
        scale = of_state * limit / 100
        inputs = [source, feature, time, bias, state]
        return self.op("SVDF", inputs, (1, units), scale, zero_point, rank=rank, activation="RELU")

    def _state(self, shape: Shape, type_name: str, scale: float, zero_point: int) -> int:
        index = self.tensor(shape, scale, zero_point, type_name=type_name)
        self.tensors[index].is_variable = True
        return index

    # Layers without weights

    def pool(
        self,
        kind: str,
        kernel: tuple[int, int],
        stride: tuple[int, int] | None = None,
        padding: str = "VALID",
        activation: str = "NONE",
        source: int | None = None,
    ) -> Self:
        """AVERAGE_POOL_2D or MAX_POOL_2D."""
        source = self.last if source is None else source
        return self._windowed(
            kind,
            [source],
            self.shape(source)[3],
            kernel,
            stride or kernel,
            (1, 1),
            padding,
            self.scale(source),
            self.zero_point(source),
            activation=activation,
            kernel_h=kernel[0],
            kernel_w=kernel[1],
        )

    def reduce(
        self,
        kind: str,
        axes: Sequence[int],
        keep_dims: bool = False,
        scale: float | None = None,
        zero_point: int | None = None,
        source: int | None = None,
    ) -> Self:
        """MEAN, SUM or REDUCE_MAX along `axes` (may be negative)."""
        source = self.last if source is None else source
        shape = self.shape(source)
        gone = {axis % len(shape) for axis in axes}
        kept = [1 if i in gone else size for i, size in enumerate(shape) if keep_dims or i not in gone]
        return self.op(
            kind,
            [source, self.constant(np.array(axes, np.int32))],
            kept,
            scale,
            zero_point,
            keep_dims=keep_dims,
        )

    def binary(
        self,
        kind: str,
        left: int,
        right: int,
        scale: float | None = None,
        zero_point: int | None = None,
        activation: str = "NONE",
    ) -> Self:
        """ADD, SUB or MUL with broadcasting; MAXIMUM and MINIMUM, which have no activation."""
        shape = np.broadcast_shapes(self.shape(left), self.shape(right))
        if kind in ("MAXIMUM", "MINIMUM"):
            return self.op(kind, [left, right], shape)
        if kind == "SQUARED_DIFFERENCE":
            return self.op(kind, [left, right], shape, scale, zero_point)
        return self.op(kind, [left, right], shape, scale, zero_point, activation=activation)

    def batch_matmul(
        self, left: int, right: int, adj_x: bool = False, adj_y: bool = False, scale: float = 0.5
    ) -> Self:
        """BATCH_MATMUL."""
        first, second = self.shape(left), self.shape(right)
        rows, columns = first[-1 if adj_x else -2], second[-2 if adj_y else -1]
        batch = np.broadcast_shapes(first[:-2], second[:-2])
        return self.op(
            "BATCH_MATMUL", [left, right], (*batch, rows, columns), scale, 3, adj_x=adj_x, adj_y=adj_y
        )

    def unary(
        self,
        kind: str,
        scale: float | None = None,
        zero_point: int | None = None,
        source: int | None = None,
        **attributes: Any,
    ) -> Self:
        """An operator on each element: RELU, LOGISTIC, LEAKY_RELU(alpha=), QUANTIZE, …"""
        source = self.last if source is None else source
        return self.op(kind, [source], self.shape(source), scale, zero_point, **attributes)

    def softmax(self, beta: float = 1.0, source: int | None = None) -> Self:
        """SOFTMAX over the last axis."""
        return self.unary("SOFTMAX", 2.0**-15 if self.int16 else 1 / 256, -128, source, beta=beta)

    def reshape(self, shape: Shape, kind: str = "RESHAPE", source: int | None = None) -> Self:
        """RESHAPE, SQUEEZE or EXPAND_DIMS to `shape`."""
        source = self.last if source is None else source
        extra: list[Sequence[int]] = {"RESHAPE": [shape], "SQUEEZE": [], "EXPAND_DIMS": [[0]]}[kind]
        constants = [self.constant(np.array(value, np.int32)) for value in extra]
        return self.op(kind, [source, *constants], shape)

    def concatenation(self, sources: Sequence[int], axis: int = -1) -> Self:
        """CONCATENATION."""
        shape = list(self.shape(sources[0]))
        shape[axis] = sum(self.shape(source)[axis] for source in sources)
        return self.op("CONCATENATION", sources, shape, axis=axis, activation="NONE")

    def pad(
        self, amounts: Sequence[tuple[int, int]], value: int | None = None, source: int | None = None
    ) -> Self:
        """PAD, or PADV2 with `value`."""
        source = self.last if source is None else source
        shape = [size + sum(pair) for size, pair in zip(self.shape(source), amounts, strict=True)]
        inputs = [source, self.constant(np.array(amounts, np.int32))]
        if value is not None:
            inputs.append(
                self.constant([value], "INT8", scale=self.scale(source), zero_point=self.zero_point(source))
            )
        return self.op("PAD" if value is None else "PADV2", inputs, shape)

    def transpose(self, order: Sequence[int], source: int | None = None) -> Self:
        """TRANSPOSE."""
        source = self.last if source is None else source
        shape = [self.shape(source)[axis] for axis in order]
        return self.op("TRANSPOSE", [source, self.constant(np.array(order, np.int32))], shape)

    def strided_slice(
        self,
        begin: Sequence[int],
        end: Sequence[int],
        strides: Sequence[int],
        shape: Shape,
        source: int | None = None,
        **masks: Any,
    ) -> Self:
        """STRIDED_SLICE to `shape`; masks as in TFLite."""
        source = self.last if source is None else source
        constants = [self.constant(np.array(values, np.int32)) for values in (begin, end, strides)]
        return self.op("STRIDED_SLICE", [source, *constants], shape, **masks)

    def split(self, count: int, axis: int, source: int | None = None) -> list[int]:
        """SPLIT into `count` equal parts; returns their indices."""
        source = self.last if source is None else source
        shape = list(self.shape(source))
        shape[axis] //= count
        parts = [self.tensor(shape, self.scale(source), self.zero_point(source)) for _ in range(count)]
        self.raw_op("SPLIT", [self.constant(np.array(axis, np.int32)), source], parts, num_splits=count)
        return parts

    def split_v(self, sizes: Sequence[int], axis: int, source: int | None = None) -> list[int]:
        """SPLIT_V into parts of `sizes`, one of which may be -1; returns their indices."""
        source = self.last if source is None else source
        shape = list(self.shape(source))
        rest = shape[axis] - sum(size for size in sizes if size > 0)
        parts = []
        for size in sizes:
            shape[axis] = rest if size == -1 else size
            parts.append(self.tensor(shape, self.scale(source), self.zero_point(source)))
        constants = [self.constant(np.array(values, np.int32)) for values in (sizes, axis)]
        self.raw_op("SPLIT_V", [source, *constants], parts, num_splits=len(sizes))
        return parts

    def unpack(self, axis: int, source: int | None = None) -> list[int]:
        """UNPACK; returns the indices of the parts."""
        source = self.last if source is None else source
        shape = list(self.shape(source))
        count = shape.pop(axis)
        parts = [self.tensor(shape, self.scale(source), self.zero_point(source)) for _ in range(count)]
        self.raw_op("UNPACK", [source], parts, num=count, axis=axis)
        return parts

    def pack(self, sources: Sequence[int], axis: int) -> Self:
        """PACK: one more axis, `axis` of the output."""
        shape = list(self.shape(sources[0]))
        shape.insert(axis % (len(shape) + 1), len(sources))
        return self.op("PACK", sources, shape, values_count=len(sources), axis=axis)

    def slice(self, begin: Sequence[int], size: Sequence[int], source: int | None = None) -> Self:
        """SLICE; a size of -1 goes to the end."""
        source = self.last if source is None else source
        shape = [
            length - first if count == -1 else count
            for length, first, count in zip(self.shape(source), begin, size, strict=True)
        ]
        constants = [self.constant(np.array(values, np.int32)) for values in (begin, size)]
        return self.op("SLICE", [source, *constants], shape)

    def gather(self, indices: npt.ArrayLike, axis: int, source: int | None = None) -> Self:
        """GATHER with constant indices of any shape."""
        source = self.last if source is None else source
        given, shape = np.array(indices, np.int32), self.shape(source)
        axis %= len(shape)
        return self.op(
            "GATHER",
            [source, self.constant(given)],
            (*shape[:axis], *given.shape, *shape[axis + 1 :]),
            axis=axis,
            batch_dims=0,
        )

    def tile(self, counts: Sequence[int], source: int | None = None) -> Self:
        """TILE."""
        source = self.last if source is None else source
        shape = [size * count for size, count in zip(self.shape(source), counts, strict=True)]
        return self.op("TILE", [source, self.constant(np.array(counts, np.int32))], shape)

    def resize(
        self,
        kind: str,
        size: tuple[int, int],
        align_corners: bool = False,
        half_pixel_centers: bool = False,
        source: int | None = None,
    ) -> Self:
        """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""
        source = self.last if source is None else source
        batch, _, _, channels = self.shape(source)
        return self.op(
            kind,
            [source, self.constant(np.array(size, np.int32))],
            (batch, *size, channels),
            align_corners=align_corners,
            half_pixel_centers=half_pixel_centers,
        )

    # Variables

    def variable(self, name: str, initial: npt.ArrayLike, scale: float = 0.05, zero_point: int = -3) -> int:
        """A variable, kept from run to run; what it holds when the run begins is the tensor that is returned."""
        values = np.asarray(initial, np.int8)
        handle = self.tensor((), type_name="RESOURCE", name=f"{name} handle")
        self.raw_op("VAR_HANDLE", [], [handle], container="", shared_name=name)
        given = _Tensor(name, values.shape, "INT8", (scale,), (zero_point,), 0, values)
        self.variables[name] = (handle, given)
        return self.read(name)

    def read(self, name: str) -> int:
        """READ_VARIABLE of what a variable holds now; returns the tensor."""
        handle, given = self.variables[name]
        found = self.tensor(
            given.shape, given.scales[0], given.zero_points[0], name=f"{name} read {len(self.ops)}"
        )
        self.raw_op("READ_VARIABLE", [handle], [found])
        return found

    def assign(self, name: str, source: int | None = None) -> Self:
        """ASSIGN_VARIABLE of a tensor (the last one made), which stays the last one."""
        last = self.last if source is None else source
        self.ops.append(_Op("ASSIGN_VARIABLE", (self.variables[name][0], last), (), {}))
        return self

    def remember(self, name: str, rows: int, initial: npt.ArrayLike | None = None) -> Self:
        """The last `rows` rows of the runs before in front of the last tensor's rows (axis 1)."""
        new = self.last
        shape, scale, zero_point = self.shape(new), self.scale(new), self.zero_point(new)
        kept = (1, rows, *shape[2:])
        values = np.full(kept, zero_point) if initial is None else initial
        old = self.variable(name, np.broadcast_to(values, kept), scale, zero_point)
        self.concatenation([old, new], axis=1)
        joined, rest = self.last, [0] * (len(shape) - 1)
        whole = list(self.shape())
        self.strided_slice(
            [0, -rows, *rest[1:]], [0, 0, *whole[2:]], [1] * len(shape), kept, begin_mask=1, end_mask=3
        )
        self.assign(name)
        self._last = joined
        return self

    # The file

    def build(self, outputs: Sequence[int] | None = None, metadata: bytes | None = None) -> bytes:
        """The file's bytes; the outputs default to the last tensor made. `metadata` as TensorFlow Lite's tasks read."""
        builder = flatbuffers.Builder(1024)
        main = self.ops
        initialiser: list[_Op] = []
        values: list[_Tensor] = []
        for name, (_, given) in self.variables.items():
            handle = _Tensor(f"{name} handle", (), "RESOURCE", (), (), 0, None)
            at = len(values)
            initialiser.append(_Op("VAR_HANDLE", (), (at,), {"container": "", "shared_name": name}))
            initialiser.append(_Op("ASSIGN_VARIABLE", (at, at + 1), (), {}))
            values += [handle, given]
        if initialiser:
            main = [_Op("CALL_ONCE", (), (), {"subgraph": 1}), *main]
        kinds = sorted({op.kind for op in (*main, *initialiser)})
        buffers = [_buffer(builder, None)]

        def subgraph(name: str, of: Sequence[_Tensor], ops: Sequence[_Op], ends: tuple[Any, Any]) -> int:
            tensors = []
            for tensor in of:
                if tensor.data is None:
                    tensors.append(_tensor(builder, tensor, 0))
                else:
                    tensors.append(_tensor(builder, tensor, len(buffers)))
                    buffers.append(_buffer(builder, tensor.content()))
            operators = [_operator(builder, op, kinds.index(op.kind)) for op in ops]
            fields = {
                "Tensors": _offsets(builder, tensors),
                "Inputs": builder.CreateNumpyVector(np.array(ends[0], np.int32)),
                "Outputs": builder.CreateNumpyVector(np.array(ends[1], np.int32)),
                "Operators": _offsets(builder, operators),
                "Name": builder.CreateString(name),
            }
            return _table(builder, "SubGraph", fields)

        ends = (self.inputs, [self.last] if outputs is None else outputs)
        subgraphs = [subgraph("main", self.tensors, main, ends)]
        if initialiser:
            subgraphs.append(subgraph("initialiser", values, initialiser, ([], [])))
        codes = [_operator_code(builder, kind) for kind in kinds]
        fields = {
            "OperatorCodes": _offsets(builder, codes),
            "Subgraphs": _offsets(builder, subgraphs),
            "Description": builder.CreateString("made for a test"),
            "Buffers": _offsets(builder, buffers),
            "Version": 3,
        }
        if metadata is not None:
            entry = {"Name": builder.CreateString("TFLITE_METADATA"), "Buffer": len(buffers)}
            fields["Buffers"] = _offsets(builder, [*buffers, _buffer(builder, metadata)])
            fields["Metadata"] = _offsets(builder, [_table(builder, "Metadata", entry)])
        builder.Finish(_table(builder, "Model", fields), file_identifier=b"TFL3")
        return bytes(builder.Output())

    # Random parameters

    def _weights(self, shape: Shape, axis: int, per_channel: bool) -> int:
        channels = shape[axis]
        scales = self.random.uniform(0.002, 0.02, channels if per_channel else 1).astype(np.float32)
        values = self.random.integers(-127, 128, tuple(shape))
        if not self.int4:
            return self.tensor(shape, scales.tolist(), data=values, axis=axis)
        return self.tensor(shape, (scales * 17).tolist(), data=values // 16, type_name="INT4", axis=axis)

    def _bias(self, weights: int, source: int, channels: int, present: bool) -> list[int]:
        if not present:
            return []
        values = self.random.integers(-20_000, 20_001, channels)
        scales = np.array(self.tensors[weights].scales) * self.scale(source)
        kind = "INT64" if self.int16 else "INT32"
        return [self.tensor((channels,), scales.tolist(), data=values, type_name=kind)]

    def _output_scale(self, source: int, weights: int, depth: int) -> float:
        """About what keeps the output inside int8, for random inputs and weights."""
        product = self.scale(source) * float(np.mean(self.tensors[weights].scales))
        return float(np.float32(product * 73 * 74 * np.sqrt(depth) / 50))

    def _windowed(
        self,
        kind: str,
        inputs: Sequence[int],
        channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        padding: str,
        scale: float,
        zero_point: int,
        **attributes: Any,
    ) -> Self:
        batch, *size, _ = self.shape(inputs[0])
        out = [output_size(padding, size[i], kernel[i], stride[i], dilation[i]) for i in (0, 1)]
        return self.op(
            kind,
            inputs,
            (batch, *out, channels),
            scale,
            zero_point,
            padding=padding,
            stride_h=stride[0],
            stride_w=stride[1],
            **attributes,
        )


def _table(builder: flatbuffers.Builder, name: str, fields: Mapping[str, Any]) -> int:
    """A table of the schema with these fields."""
    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def _offsets(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: flatbuffers.Builder, content: bytes | None) -> int:
    if content is None:
        return _table(builder, "Buffer", {})
    builder.StartVector(1, len(content), 16)
    builder.head = builder.head - len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    return _table(builder, "Buffer", {"Data": builder.EndVector()})


def _tensor(builder: flatbuffers.Builder, tensor: _Tensor, buffer: int) -> int:
    fields: dict[str, Any] = {
        "Shape": builder.CreateNumpyVector(np.array(tensor.shape, np.int32)),
        "Type": getattr(tflite.TensorType, tensor.type_name),
        "Buffer": buffer,
        "Name": builder.CreateString(tensor.name),
    }
    if tensor.is_variable:
        fields["IsVariable"] = True
    if tensor.scales:
        quantization = {
            "Scale": builder.CreateNumpyVector(np.array(tensor.scales, np.float32)),
            "ZeroPoint": builder.CreateNumpyVector(np.array(tensor.zero_points, np.int64)),
            "QuantizedDimension": tensor.axis,
        }
        fields["Quantization"] = _table(builder, "QuantizationParameters", quantization)
    return _table(builder, "Tensor", fields)


def _operator(builder: flatbuffers.Builder, op: _Op, code: int) -> int:
    fields: dict[str, Any] = {
        "OpcodeIndex": code,
        "Inputs": builder.CreateNumpyVector(np.array(op.inputs, np.int32)),
        "Outputs": builder.CreateNumpyVector(np.array(op.outputs, np.int32)),
    }
    options = OPTIONS.get(op.kind)
    if options is not None:
        values = {}
        for attribute, value in op.attributes.items():
            field = options.fields[attribute]
            if field in _ENUMS:
                value = _ENUMS[field][value]
            elif isinstance(value, str):
                value = builder.CreateString(value)
            values[field] = value
        fields["BuiltinOptions"] = _table(builder, options.table, values)
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, options.table)
    return _table(builder, "Operator", fields)


def _operator_code(builder: flatbuffers.Builder, kind: str) -> int:
    custom, _, name = kind.partition(":")
    code = _CODES[custom]
    fields: dict[str, Any] = {"DeprecatedBuiltinCode": min(code, 127), "BuiltinCode": code, "Version": 1}
    if name:
        fields["CustomCode"] = builder.CreateString(name)
    return _table(builder, "OperatorCode", fields)
