"""From a `Graph` of custom operators to the bytes of a .tflite file.

Networks come from TensorFlow's converter; what has no converter (a forest) is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stapes.graph.ir import Graph, Tensor

_CUSTOM = 32  # BuiltinOperator.CUSTOM
_ALIGNMENT = 16


def write_tflite(graph: Graph) -> bytes:
    """The file's bytes, the same for the same graph; its operators are of the kind `CUSTOM:name`, without options."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    kinds = sorted({op.kind for op in graph.ops})
    buffers = [_table(builder, "Buffer", {})]
    tensors = []
    for tensor in graph.tensors:
        number = 0
        if tensor.data is not None:
            number = len(buffers)
            content = np.ascontiguousarray(tensor.data).tobytes()
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
            },
        )
        for op in graph.ops
    ]
    codes = []
    for kind in kinds:
        custom, _, name = kind.partition(":")
        assert custom == "CUSTOM" and name, kind
        code = {"DeprecatedBuiltinCode": _CUSTOM, "CustomCode": builder.CreateString(name)}
        codes.append(_table(builder, "OperatorCode", {**code, "BuiltinCode": _CUSTOM, "Version": 1}))
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
