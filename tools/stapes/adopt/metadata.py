"""What TensorFlow Lite's metadata says of the sound that a network takes."""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers.encode
import flatbuffers.number_types
import flatbuffers.packer
import flatbuffers.table
import tflite

_NAME = b"TFLITE_METADATA"
# Places of fields in metadata_schema.fbs.
_SUBGRAPHS, _INPUTS, _CONTENT, _KIND, _PROPERTIES, _SAMPLE_RATE = 3, 2, 3, 0, 1, 0
_AUDIO = 4
"""AudioProperties among ContentProperties."""


def sample_rate_of(data: bytes) -> int | None:
    """The sample rate in Hz of the first input; None where the file does not say, or its metadata cannot be read."""
    try:
        content = _metadata(data)
        if content is None:
            return None
        root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0)
        table = flatbuffers.table.Table(content, root)
        for field in (_SUBGRAPHS, _INPUTS):
            at = _field(table, field)
            if not at or not table.VectorLen(at):
                return None
            first = table.Indirect(table.Vector(at))
            table = flatbuffers.table.Table(content, first)
        content_table = _inner(table, _CONTENT)
        if content_table is None:
            return None
        at = _field(content_table, _KIND)
        if not at or content_table.Get(flatbuffers.number_types.Uint8Flags, at + content_table.Pos) != _AUDIO:
            return None
        audio = _inner(content_table, _PROPERTIES)
        at = _field(audio, _SAMPLE_RATE) if audio is not None else 0
        return int(audio.Get(flatbuffers.number_types.Uint32Flags, at + audio.Pos)) or None if at else None
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError):
        return None


def _metadata(data: bytes) -> bytes | None:
    model = tflite.Model.GetRootAs(data)
    for place in range(model.MetadataLength()):
        entry = model.Metadata(place)
        if entry.Name() == _NAME:
            found = model.Buffers(entry.Buffer()).DataAsNumpy()
            return None if isinstance(found, int) else bytes(found)
    return None


def _field(table: Any, number: int) -> int:
    return int(table.Offset(4 + 2 * number))


def _inner(table: Any, number: int) -> Any:
    at = _field(table, number)
    return flatbuffers.table.Table(table.Bytes, table.Indirect(at + table.Pos)) if at else None
