"""From the bytes of a .tflite file to a `Graph`.

Nothing in the file is trusted: every offset, length, index and shape is checked, so that a corrupt file
ends in one `ModelError` and never in a crash or a huge allocation.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.definitions import limit, limits
from stapes.errors import ModelError
from stapes.graph.int4 import unpack_int4
from stapes.graph.ir import Attribute, Graph, Op, Quantization, Tensor
from stapes.graph.schema import ACTIVATIONS, OPTIONS, PADDINGS
from stapes.graph.variables import resolve_variables
from stapes.packages import needed_for

_IDENTIFIER = b"TFL3"
_DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "INT16": np.int16,
    "INT8": np.int8,
    "INT4": np.int8,
    "FLOAT64": np.float64,
    "UINT64": np.uint64,
    "UINT32": np.uint32,
    "UINT16": np.uint16,
}
# What the flatbuffer accessors raise on a position outside the file or a value outside its type.
_FLATBUFFER_ERRORS = (struct.error, TypeError, ValueError, IndexError, OverflowError, UnicodeDecodeError)


def read_tflite(data: bytes, name: str = "model.tflite") -> Graph:
    """The network in `data`, the content of a .tflite file; `name` is for error messages only.

    Raises `ModelError` when the file is corrupt, has several subgraphs, or keeps its constants elsewhere.
    """
    with needed_for("reading networks", "tflite"):
        import tflite
    try:
        return _Reader(tflite, data).graph()
    except ModelError as error:
        raise ModelError(f"{name}: {error.message}", hint=error.hint) from error
    except _FLATBUFFER_ERRORS as error:
        raise ModelError(
            f"{name}: corrupt: an offset or a length points outside the file",
            hint="convert the network again",
        ) from error


class _Reader:
    """One pass over one file. `schema` is the `tflite` package."""

    def __init__(self, schema: Any, data: bytes) -> None:
        if len(data) < 16 or data[4:8] != _IDENTIFIER:
            raise ModelError(
                "not a .tflite file: the identifier TFL3 is missing",
                hint="give what a converter to .tflite wrote",
            )
        self.data = bytes(data)
        self.schema = schema
        self.model = schema.Model.GetRootAs(self.data)
        self.type_names = {
            value: key for key, value in vars(schema.TensorType).items() if isinstance(value, int)
        }

    def length(self, count: int, what: str) -> int:
        """`count` offsets of 4 bytes each must fit in the file."""
        if 4 * count > len(self.data):
            raise ModelError(f"corrupt: {count} {what}")
        return count

    def graph(self) -> Graph:
        count = self.length(self.model.SubgraphsLength(), "subgraphs")
        if count < 1:
            raise ModelError("corrupt: no subgraphs")
        graph = self.subgraph(0)
        _check_structure(graph)
        called = {op.integer("subgraph") for op in graph.ops if op.kind == "CALL_ONCE"}
        if called != set(range(1, count)):
            raise ModelError(
                f"{count} subgraphs, exactly one and initialisers of its variables are supported",
                hint="convert without control flow (while, if) and with one signature",
            )
        initialisers = [self.subgraph(index) for index in sorted(called)]
        for initialiser in initialisers:
            _check_operators(initialiser)
        return resolve_variables(graph, initialisers)

    def subgraph(self, number: int) -> Graph:
        """One of the file's subgraphs, as it is there."""
        table = self.model.Subgraphs(number)
        tensors = tuple(
            self.tensor(table.Tensors(i), i) for i in range(self.length(table.TensorsLength(), "tensors"))
        )
        if not tensors:
            raise ModelError("corrupt: no tensors")
        ops = tuple(
            self.op(table.Operators(i), i) for i in range(self.length(table.OperatorsLength(), "operators"))
        )
        return Graph(
            tensors,
            ops,
            _indices(table.InputsAsNumpy()),
            _indices(table.OutputsAsNumpy()),
            hashlib.sha256(self.data).hexdigest(),
        )

    def tensor(self, table: Any, index: int) -> Tensor:
        name = _text(table.Name()) or f"tensor_{index}"
        type_name = self.type_names.get(table.Type())
        if type_name is None:
            raise ModelError(f"corrupt: tensor {index} has the unknown type {table.Type()}")
        dtype = np.dtype(_DTYPES.get(type_name, "V1"))
        shape = _indices(table.ShapeAsNumpy())
        if len(shape) > limit("DIMENSIONS"):
            raise ModelError(f"tensor {index} ({name}): {limits()['DIMENSIONS'].exceeded(len(shape))}")
        if any(size < 0 for size in shape):
            raise ModelError(f"tensor {index} ({name}) has the shape {list(shape)}")
        is_sparse = table.Sparsity() is not None
        content = self.content(table.Buffer(), f"tensor {index} ({name})")
        elements = math.prod(shape)
        values: npt.NDArray[np.generic] | None = None
        if type_name not in _DTYPES or is_sparse:
            values = content  # refused later, with everything else that is unsupported
        elif content is not None or elements == 0:
            size = 0 if content is None else len(content)
            takes = (elements + 1) // 2 if type_name == "INT4" else elements * dtype.itemsize
            if size != takes:
                raise ModelError(
                    f"corrupt: tensor {index} ({name}) has {size} bytes, "
                    f"its shape {list(shape)} takes {takes}"
                )
            values = np.frombuffer(b"" if content is None else content, dtype=dtype)
            if type_name == "INT4":
                values = unpack_int4(values)[:elements]
            values = values.reshape(shape)
        elif elements > limit("TENSOR_ELEMENTS"):
            raise ModelError(f"tensor {index} ({name}) has the absurd shape {list(shape)}")
        return Tensor(
            index,
            name,
            shape,
            dtype,
            self.quantization(table.Quantization(), shape, f"tensor {index} ({name})"),
            values,
            type_name,
            bool(table.IsVariable()),
            is_sparse,
        )

    def content(self, index: int, where: str) -> npt.NDArray[np.uint8] | None:
        """The bytes of buffer `index`; None where it is empty (an activation)."""
        if index >= self.model.BuffersLength():
            raise ModelError(f"corrupt: {where} uses buffer {index} of {self.model.BuffersLength()}")
        buffer = self.model.Buffers(index)
        if buffer.Offset() > 1 or buffer.Size() > 1:
            raise ModelError(
                f"{where} keeps its constant after the flatbuffer, which only models above 2 GiB need",
                hint="convert the network without use_buffer_offset",
            )
        if buffer.DataIsNone() or buffer.DataLength() == 0:
            return None
        content: npt.NDArray[np.uint8] = buffer.DataAsNumpy()
        return content

    def quantization(self, table: Any, shape: tuple[int, ...], where: str) -> Quantization | None:
        if table is None or table.ScaleLength() == 0 or table.ZeroPointLength() == 0:
            return None
        scale = np.array(table.ScaleAsNumpy(), dtype=np.float32)
        zero_point = np.array(table.ZeroPointAsNumpy(), dtype=np.int64)
        if len(scale) != len(zero_point):
            raise ModelError(f"corrupt: {where} has {len(scale)} scales and {len(zero_point)} zero points")
        if not np.all(np.isfinite(scale)) or np.any(scale < 0):
            raise ModelError(f"corrupt: {where} has a negative or infinite scale")
        axis = None
        if len(scale) > 1:
            axis = int(table.QuantizedDimension())
            if len(shape) == 1:
                axis = 0  # early converters give a bias the axis of its weights
            if not 0 <= axis < len(shape) or shape[axis] != len(scale):
                raise ModelError(
                    f"corrupt: {where} has {len(scale)} scales along axis {axis} of the shape {list(shape)}"
                )
        return Quantization(scale, zero_point, axis)

    def op(self, table: Any, index: int) -> Op:
        code_index = table.OpcodeIndex()
        if code_index >= self.model.OperatorCodesLength():
            raise ModelError(f"corrupt: operator {index} has the code {code_index}, which the file lacks")
        code = self.model.OperatorCodes(code_index)
        builtin = _builtin_code(code)
        kind = self.schema.utils.BUILTIN_OPCODE2NAME.get(builtin, f"BUILTIN_{builtin}")
        if kind == "CUSTOM":
            kind = f"CUSTOM:{_text(code.CustomCode())}"
        return Op(
            index,
            kind,
            _indices(table.InputsAsNumpy()),
            _indices(table.OutputsAsNumpy()),
            self.attributes(table, kind, index),
        )

    def attributes(self, table: Any, kind: str, index: int) -> dict[str, Attribute]:
        options = OPTIONS.get(kind)
        if options is None:
            return {}
        where = f"corrupt: operator {index} ({kind})"
        union = table.BuiltinOptions()
        if union is None or table.BuiltinOptionsType() != getattr(self.schema.BuiltinOptions, options.table):
            raise ModelError(f"{where} has no {options.table}")
        fields = getattr(self.schema, options.table)()
        fields.Init(union.Bytes, union.Pos)
        attributes: dict[str, Attribute] = {}
        for attribute, field in options.fields.items():
            value = getattr(fields, field)()
            names = {"Padding": PADDINGS, "FusedActivationFunction": ACTIVATIONS}.get(field)
            if names is not None:
                if value not in names:
                    raise ModelError(f"{where} has the unknown {attribute} {value}")
                value = names[value]
            elif value is None or isinstance(value, bytes):
                value = _text(value)
            elif isinstance(value, float) and not math.isfinite(value):
                raise ModelError(f"{where} has the {attribute} {value}")
            attributes[attribute] = value
        return attributes


def _text(raw: bytes | None) -> str:
    """A string of the file, in one line whatever is in it."""
    text = (raw or b"").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)


def _indices(vector: Any) -> tuple[int, ...]:
    """A vector of int32 as a tuple; the accessors give 0 for an absent one."""
    return () if isinstance(vector, int) else tuple(vector.tolist())


def _builtin_code(code: Any) -> int:
    """The operator's number: the larger of the old and the new field, as TFLite itself decides.

    The package's own accessor prefers the old one.
    """
    from flatbuffers import number_types

    offset = code._tab.Offset(10)
    new = code._tab.Get(number_types.Int32Flags, code._tab.Pos + offset) if offset else 0
    return max(int(new), int(code.DeprecatedBuiltinCode()))


def _check_structure(graph: Graph) -> None:
    """Every index in range, every tensor made at most once and before it is used, outputs made."""
    count = len(graph.tensors)
    if not graph.inputs or not graph.outputs:
        raise ModelError("corrupt: a network without inputs or outputs")
    for role, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            if not 0 <= index < count:
                raise ModelError(f"corrupt: the network's {role} is tensor {index} of {count}")
        if len(set(indices)) != len(indices):
            raise ModelError(f"the network names an {role} twice")
    for index in graph.inputs:
        if graph.tensors[index].data is not None:
            raise ModelError(f"corrupt: the network's input, tensor {index}, is a constant")
    known = _check_operators(graph)
    for index in graph.outputs:
        if index not in known:
            raise ModelError(f"corrupt: nothing makes the network's output, tensor {index}")
    total = sum(tensor.elements for tensor in graph.tensors if tensor.data is None)
    if total > limit("ACTIVATION_ELEMENTS"):
        raise ModelError(limits()["ACTIVATION_ELEMENTS"].exceeded(total))


def _check_operators(graph: Graph) -> set[int]:
    """Every index in range, every tensor made at most once and before it is used; the tensors that there are."""
    count = len(graph.tensors)
    known = {tensor.index for tensor in graph.tensors if tensor.data is not None or tensor.is_variable}
    known.update(graph.inputs)
    for op in graph.ops:
        where = f"corrupt: operator {op.index} ({op.kind})"
        for index in op.inputs:
            if not -1 <= index < count:
                raise ModelError(f"{where} reads tensor {index} of {count}")
            if index >= 0 and index not in known:
                raise ModelError(f"{where} reads tensor {index} before anything has made it")
        for index in op.outputs:
            if not 0 <= index < count:
                raise ModelError(f"{where} writes tensor {index} of {count}")
            if index in known:
                raise ModelError(
                    f"{where} writes tensor {index}, which is a constant, an input or made already"
                )
            known.add(index)
    return known
