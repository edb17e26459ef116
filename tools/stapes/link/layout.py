"""Numbers and layouts of messages, read from firmware/link/messages.def."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

from stapes.definitions import numbered, read_definitions

DEFINITIONS = "link/messages.def"
_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"}


@dataclass(frozen=True)
class Field:
    """One entry of a layout. `offset` in bytes; of what has no fixed length (a tail), where the first one begins."""

    offset: int
    type: str
    name: str
    text: str
    is_fixed: bool


@dataclass(frozen=True)
class Layout:
    """The fixed part of a payload, header or part of one; `tail` follows it any number of times."""

    name: str
    fields: tuple[Field, ...]
    struct: struct.Struct

    @property
    def size(self) -> int:
        """Bytes of the fixed part."""
        return self.struct.size

    def pack(self, **values: Any) -> bytes:
        """The fixed part; every field must be given."""
        names = [field.name for field in self.fields if field.is_fixed]
        if set(values) != set(names):
            raise TypeError(f"{self.name} has the fields {', '.join(names)}")
        return self.struct.pack(*(values[name] for name in names))

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The fields of `data`, which is at least `size` long, by name."""
        names = [field.name for field in self.fields if field.is_fixed]
        return dict(zip(names, self.struct.unpack_from(data), strict=True))


@cache
def layouts() -> dict[str, Layout]:
    """All layouts by name."""
    found: dict[str, Layout] = {}
    fields: list[Field] = []
    code = "<"
    for entry in read_definitions(DEFINITIONS):
        match entry.macro, entry.arguments:
            case "BEGIN", (_,):
                fields, code = [], "<"
            case "FIELD", (kind, name, text):
                fields.append(Field(struct.calcsize(code), kind, name, text, True))
                code += _CODES[kind]
            case "BYTES", (count, name, text):
                fields.append(Field(struct.calcsize(code), f"{count} bytes", name, text, True))
                code += f"{count}s"
            case (("TAIL" | "MORE"), (kind, name, text)):
                fields.append(Field(struct.calcsize(code), f"{kind} …", name, text, False))
            case "END", (name,):
                found[name] = Layout(name, tuple(fields), struct.Struct(code))
    return found


def layout(name: str) -> Layout:
    """The layout of one payload, header or part."""
    return layouts()[name]


def numbers(macro: str) -> dict[str, int]:
    """Name: value of every MESSAGE, COUNTER, FAULT, RAISE or LIVE_KIND."""
    return {name: value for name, (value, _) in numbered(DEFINITIONS, macro).items()}


def texts(macro: str) -> dict[int, str]:
    """Value: meaning of every COUNTER, FAULT, RAISE or LIVE_KIND."""
    return dict(numbered(DEFINITIONS, macro).values())
