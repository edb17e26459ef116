"""From a `Graph` to the bytes of a .tflite file.

Networks come from converters; what has none (a forest), and what was changed on the way (a layout, a new head), is
written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stapes.errors import ModelError
from stapes.graph.int4 import pack_int4
from stapes.graph.ir import Graph, Op, Tensor
from stapes.graph.schema import ACTIVATIONS, OPTIONS, PADDINGS

_CUSTOM = 32  # BuiltinOperator.CUSTOM
_MOST_OLD_CODE = 127  # the field that older readers know has 8 bits
_NUMBERS = {
    "Padding": {name: number for number, name in PADDINGS.items()},
    "FusedActivationFunction": {name: number for number, name in ACTIVATIONS.items()},
}
_ALIGNMENT = 16


def write_tflite(graph: Graph) -> bytes:
    """The file's bytes, the same for the same graph; tensors keep their indices.

    Options are those that the graph knows (`stapes.graph.schema`); `CUSTOM:name` has none. Raises `ModelError` for a
    network that keeps state.
    """
    import flatbuffers

    kept = [state.name for state in graph.states]
    kept += [tensor.name for tensor in graph.tensors if tensor.is_variable]
    if kept:
        raise ModelError(
            f"the network keeps state from run to run ({kept[0]}), which is not written again",
            hint="use its own .tflite",
        )

    builder = flatbuffers.Builder(1024)
    kinds = sorted({op.kind for op in graph.ops})
    buffers = [_table(builder, "Buffer", {})]
    tensors = []
    for tensor in graph.tensors:
        number = 0
        if tensor.data is not None:
            number = len(buffers)
            packed = pack_int4(tensor.data) if tensor.type_name == "INT4" else tensor.data
            content = np.ascontiguousarray(packed).tobytes()
            builder.StartVector(1, len(content), _ALIGNMENT)
            builder.head = builder.head - len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            buffers.append(_table(builder, "Buffer", {"Data": builder.EndVector()}))
        tensors.append(_tensor(builder, tensor, number))
    operators = [
        _table(
            builder,
            "Operator",
            {
                "OpcodeIndex": kinds.index(op.kind),
                "Inputs": builder.CreateNumpyVector(np.array(op.inputs, np.int32)),
                "Outputs": builder.CreateNumpyVector(np.array(op.outputs, np.int32)),
                **_options(builder, op),
            },
        )
        for op in graph.ops
    ]
    codes = [_table(builder, "OperatorCode", _code(builder, kind)) for kind in kinds]
    subgraph = {
        "Tensors": _offsets(builder, tensors),
        "Inputs": builder.CreateNumpyVector(np.array(graph.inputs, np.int32)),
        "Outputs": builder.CreateNumpyVector(np.array(graph.outputs, np.int32)),
        "Operators": _offsets(builder, operators),
    }
    model = {
        "Version": 3,
        "OperatorCodes": _offsets(builder, codes),
        "Subgraphs": _offsets(builder, [_table(builder, "SubGraph", subgraph)]),
        "Buffers": _offsets(builder, buffers),
    }
    builder.Finish(_table(builder, "Model", model), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _code(builder: Any, kind: str) -> dict[str, Any]:
    """The fields that say which operator `kind` is."""
    import tflite

    custom, _, name = kind.partition(":")
    if custom == "CUSTOM":
        code = {"DeprecatedBuiltinCode": _CUSTOM, "CustomCode": builder.CreateString(name)}
        return {**code, "BuiltinCode": _CUSTOM, "Version": 1}
    number = getattr(tflite.BuiltinOperator, kind)
    return {"DeprecatedBuiltinCode": min(number, _MOST_OLD_CODE), "BuiltinCode": number, "Version": 1}


def _options(builder: Any, op: Op) -> dict[str, Any]:
    """The fields of an operator that hold its attributes; none where it has none."""
    import tflite

    options = OPTIONS.get(op.kind)
    if options is None:
        return {}
    values = {}
    for attribute, field in options.fields.items():
        value = op.attributes[attribute]
        values[field] = _NUMBERS[field][str(value)] if field in _NUMBERS else value
    return {
        "BuiltinOptionsType": getattr(tflite.BuiltinOptions, options.table),
        "BuiltinOptions": _table(builder, options.table, values),
    }


def _tensor(builder: Any, tensor: Tensor, buffer: int) -> int:
    import tflite

    fields: dict[str, Any] = {
        "Shape": builder.CreateNumpyVector(np.array(tensor.shape, np.int32)),
        "Type": getattr(tflite.TensorType, tensor.type_name),
        "Buffer": buffer,
        "Name": builder.CreateString(tensor.name),
    }
    if tensor.quantization is not None:
        quantization = {
            "Scale": builder.CreateNumpyVector(tensor.quantization.scale),
            "ZeroPoint": builder.CreateNumpyVector(tensor.quantization.zero_point),
        }
        if tensor.quantization.axis is not None:
            quantization["QuantizedDimension"] = tensor.quantization.axis
        fields["Quantization"] = _table(builder, "QuantizationParameters", quantization)
    return _table(builder, "Tensor", fields)


def _table(builder: Any, name: str, fields: Mapping[str, Any]) -> int:
    """A table of the schema with these fields."""
    import tflite

    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
