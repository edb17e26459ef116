"""The structures of the runtime, read from its headers, so that the type of a field is written once, in C.

A strict reader of the little C that these headers are: typedefs, structures, unions, enumerations, declarations.
Anything else is an error, which the tests would see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.definitions import firmware_dir

Initialiser = int | str | npt.NDArray[Any] | Sequence["Initialiser"] | Mapping[Any, "Initialiser"]
"""What a constant is made of: numbers, expressions of C, arrays of numbers or of structures of numbers (a row each),
and the members of a structure or array by their names or their order."""

INTEGERS = {
    f"{sign}int{bits}_t": (0 if sign else -(2 ** (bits - 1)), 2 ** (bits - bool(not sign)) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
"""The lowest and the highest value of every type whose width has a name."""

_OTHERS = ("char", "int", "size_t", "void")
_TOKEN = re.compile(r"\w+|\.\.\.|[^\w\s]")
_COMMENT = re.compile(r"/\*.*?\*/", flags=re.DOTALL)
_CPLUSPLUS = re.compile(r"^#ifdef __cplusplus$.*?^#endif$", flags=re.DOTALL | re.MULTILINE)
_DIRECTIVE = re.compile(r"^#.*$", flags=re.MULTILINE)
_MACRO = re.compile(r"^#define (\w+) +\(?(-?(?:0x)?[0-9A-Fa-f]+)[uU]?\)?$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Member:
    """A member of a structure: what it is, or what it points to, is `ctype`, without `const`."""

    name: str
    ctype: str
    is_pointer: bool = False
    count: int | None = None
    """Elements of an array."""


@dataclass(frozen=True)
class Structure:
    """A structure or union and its members in their order."""

    name: str
    members: tuple[Member, ...]
    is_union: bool = False

    def member(self, name: str | int) -> Member:
        """The member called `name`, or at that place."""
        if isinstance(name, int):
            return self.members[name]
        found = next((member for member in self.members if member.name == name), None)
        if found is None:
            raise AssertionError(f"{self.name} has no member {name}")
        return found


@dataclass(frozen=True)
class Misfit:
    """A value that its C type does not hold."""

    path: str
    """Where it is: `operands.columns`, `bytes[3]`."""
    value: int
    ctype: str

    def __str__(self) -> str:
        low, high = INTEGERS[self.ctype]
        limit = f"at most {high:,}" if self.value > high else f"at least {low:,}"
        return f"{self.path} {self.value:,} ({self.ctype}: {limit})"


class Headers:
    """What the headers declare."""

    def __init__(self) -> None:
        self.structures: dict[str, Structure] = {}
        self.enumerations: set[str] = set()
        self.functions: set[str] = set()
        """Types of pointers to functions."""
        self.macros: dict[str, int] = {}
        """Those that are one number."""

    def read(self, name: str, text: str) -> None:
        """Add what the header `name` declares; `ValueError` for what is not understood."""
        text = _CPLUSPLUS.sub("", _COMMENT.sub("", text.replace("\\\n", " ")))
        self.macros |= {
            found[1]: int(found[2], 0) for found in _MACRO.finditer(re.sub(r" +$", "", text, flags=re.M))
        }
        _Reader(self, name, _TOKEN.findall(_DIRECTIVE.sub("", text))).declarations()

    def sizeof(self, ctype: str) -> int:
        """Bytes on a 32-bit target."""
        return self._layout(ctype)[0]

    def _layout(self, ctype: str) -> tuple[int, int]:
        """Size and alignment."""
        if ctype in INTEGERS:
            size = int(re.sub(r"\D", "", ctype)) // 8
            return size, size
        end, widest = 0, 1
        structure = self.structures[ctype]
        for member in structure.members:
            size, alignment = (4, 4) if member.is_pointer else self._layout(member.ctype)
            size *= member.count or 1
            start = 0 if structure.is_union else -(-end // alignment) * alignment
            end, widest = max(end, start + size), max(widest, alignment)
        return -(-end // widest) * widest, widest

    def misfits(self, ctype: str, value: Initialiser, path: str = "") -> Iterator[Misfit]:
        """What of an initialiser of the type `ctype` does not fit; text is an expression of C and not looked at."""
        if isinstance(value, str):
            return
        if isinstance(value, int):
            low, high = INTEGERS.get(ctype, INTEGERS["int32_t"])
            if not low <= value <= high:
                yield Misfit(path, value, ctype)
        elif isinstance(value, np.ndarray):
            yield from self._column_misfits(ctype, value, path)
        elif isinstance(value, Mapping):
            for name, part in value.items():
                member = self.structures[ctype].member(name)
                where = f"{path}.{member.name}" if path else member.name
                if member.count is not None and isinstance(part, Mapping):
                    part = list(part.values())
                yield from self.misfits(member.ctype, part, where)
        else:
            for index, part in enumerate(value):
                yield from self.misfits(ctype, part, f"{path}[{index}]")

    def _column_misfits(self, ctype: str, values: npt.NDArray[Any], path: str) -> Iterator[Misfit]:
        """Of an array of numbers, or of structures of numbers, a row each: the first that does not fit in a column."""
        if ctype in INTEGERS:
            columns = {"": ctype}
        else:
            columns = {f".{member.name}": member.ctype for member in self.structures[ctype].members}
        values = values.reshape(-1, len(columns))
        for column, (name, number) in enumerate(columns.items()):
            low, high = INTEGERS[number]
            wrong = np.flatnonzero((values[:, column] < low) | (values[:, column] > high))
            if wrong.size:
                row = int(wrong[0])
                yield Misfit(f"{path}[{row}]{name}", int(values[row, column]), number)


class _Reader:
    """Reads the declarations of one header, token by token."""

    def __init__(self, headers: Headers, header: str, tokens: list[str]) -> None:
        self.headers = headers
        self.header = header
        self.tokens = tokens
        self.position = 0

    def error(self, what: str) -> ValueError:
        near = " ".join(self.tokens[max(0, self.position - 8) : self.position + 8])
        return ValueError(f"{self.header}: {what} near: {near}")

    @property
    def next(self) -> str:
        if self.position >= len(self.tokens):
            raise self.error("the header ends too early")
        return self.tokens[self.position]

    def take(self, *wanted: str) -> str:
        token = self.next
        if wanted and token not in wanted:
            raise self.error(f"{token} instead of {' or '.join(wanted)}")
        self.position += 1
        return token

    def name(self) -> str:
        if not re.fullmatch(r"[A-Za-z_]\w*", self.next):
            raise self.error(f"{self.next} instead of a name")
        return self.take()

    def accept(self, token: str) -> bool:
        if self.next != token:
            return False
        self.position += 1
        return True

    def skip_group(self, opening: str, closing: str) -> list[str]:
        """Everything from `opening` to its `closing`."""
        start, depth = self.position, 0
        while True:
            token = self.take(opening) if depth == 0 else self.take()
            depth += (token == opening) - (token == closing)
            if depth == 0:
                return self.tokens[start + 1 : self.position - 1]

    def declarations(self) -> None:
        while self.position < len(self.tokens):
            if self.accept("typedef"):
                self.typedef()
            elif (
                self.next in ("struct", "union", "enum")
                and "{" in self.tokens[self.position + 1 : self.position + 3]
            ):
                self.aggregate(tag_is_name=True)
                self.take(";")
            else:
                self.function()

    def typedef(self) -> None:
        if self.next in ("struct", "union", "enum"):
            self.aggregate(tag_is_name=False)
            return
        ctype, _ = self.ctype()
        if self.accept("("):
            self.take("*")
            self.headers.functions.add(self.name())
            self.take(")")
            self.skip_group("(", ")")
            self.take(";")
            return
        while True:
            name = self.name()
            if self.next == "[":  # a condition that must hold when C is compiled
                self.skip_group("[", "]")
            elif ctype in self.headers.structures:
                self.headers.structures[name] = replace(self.headers.structures[ctype], name=name)
            else:
                raise self.error(f"another name for {ctype}")
            if self.take(",", ";") == ";":
                return

    def aggregate(self, tag_is_name: bool) -> None:
        """`struct`, `union` or `enum`, and the names that follow it in a typedef."""
        kind = self.take()
        tag = "" if self.next == "{" else self.name()
        members: tuple[Member, ...] | None = None
        if self.next == "{":
            if kind == "enum":
                self.skip_group("{", "}")
            else:
                members = self.members()
        names = [f"{tag}_t"] if tag_is_name and tag else []
        if not tag_is_name:
            names = [self.name()]
            while self.take(",", ";") == ",":
                names.append(self.name())
        for name in names:
            if kind == "enum":
                self.headers.enumerations.add(name)
            elif members is not None:
                self.headers.structures[name] = Structure(name, members, kind == "union")
            elif name != f"{tag}_t":
                raise self.error(f"{name} for {kind} {tag}: the name is the tag's and _t")

    def members(self) -> tuple[Member, ...]:
        self.take("{")
        found: list[Member] = []
        while not self.accept("}"):
            if self.next in ("struct", "union") and self.tokens[self.position + 1] == "{":
                kind = self.take()
                inner = self.members()
                name = self.name()
                self.take(";")
                ctype = f"{self.header} {name} {self.position}"
                self.headers.structures[ctype] = Structure(ctype, inner, kind == "union")
                found.append(Member(name, ctype))
                continue
            ctype, is_pointer = self.ctype()
            if self.accept("("):
                self.take("*")
                found.append(Member(self.name(), "function", is_pointer=True))
                self.take(")")
                self.skip_group("(", ")")
                self.take(";")
                continue
            while True:
                name = self.name()
                count = self.size() if self.next == "[" else None
                if ctype in self.headers.functions:
                    found.append(Member(name, "function", is_pointer=True))
                else:
                    found.append(Member(name, ctype, is_pointer, count))
                if self.take(",", ";") == ";":
                    break
        return tuple(found)

    def size(self) -> int:
        """The elements of an array: a number or the name of one."""
        tokens = self.skip_group("[", "]")
        if len(tokens) != 1:
            raise self.error("an array's size is one number or one name")
        text = tokens[0].rstrip("uU")
        if text in self.headers.macros:
            return self.headers.macros[text]
        if not text.isdigit():
            raise self.error(f"the size {text} is not known")
        return int(text)

    def ctype(self) -> tuple[str, bool]:
        """A type, and whether what follows is a pointer to it."""
        name, is_pointer = "", False
        while True:
            if self.accept("const") or self.accept("struct"):
                continue
            if self.accept("*"):
                is_pointer = True
                continue
            if name:
                return name, is_pointer
            name = self.name()
            if not (name in INTEGERS or name in _OTHERS or re.fullmatch(r"stapes_\w+_t", name)):
                raise self.error(f"the type {name} is not known")

    def function(self) -> None:
        """A declaration of a function or object, or a function's definition: nothing to remember."""
        while True:
            if self.next == "(":
                self.skip_group("(", ")")
            elif self.next == "{":
                self.skip_group("{", "}")
                return
            elif self.accept(";"):
                return
            else:
                self.take(self.next if re.fullmatch(r"\w+|\*|\[|\]", self.next) else ";")


def read_headers(directory: Path) -> Headers:
    """All headers in `directory`."""
    headers = Headers()
    for path in sorted(directory.glob("*.h")):
        headers.read(path.name, path.read_text(encoding="utf-8"))
    return headers


@cache
def runtime() -> Headers:
    """The headers of the runtime."""
    return read_headers(firmware_dir() / "runtime/include/stapes")


def macro(name: str) -> int:
    """A number that a header of the runtime names."""
    return runtime().macros[name]
