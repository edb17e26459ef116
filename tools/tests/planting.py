"""Altering generated C sources, to plant faults."""

from __future__ import annotations

import re
from collections.abc import Callable

Alter = Callable[[str], str]


def number(array: str, index: int, change: Callable[[int], int]) -> Alter:
    """Change one number of an array of integers (or of structures of them), counted through."""

    def alter(text: str) -> str:
        body = re.search(rf"\b{array}\[\w*\] = \{{(.*?)\n\}};", text, flags=re.DOTALL)
        assert body, f"no array {array}"
        found = list(re.finditer(r"(?<![\w.])-?\d+", body[1]))[index]
        start, end = body.start(1) + found.start(), body.start(1) + found.end()
        return text[:start] + str(change(int(found[0]))) + text[end:]

    return alter


def field(structure: str, name: str, value: str) -> Alter:
    """Give a field of a structure (or of an array of them) another value."""

    def alter(text: str) -> str:
        start = text.index(f" {structure} = {{")
        old = rf"\.{name} = (\{{[^}}]*\}}|[^,\n}}]+)"
        return text[:start] + re.sub(old, f".{name} = {value}", text[start:], count=1)

    return alter


def swap(array: str, first: int, second: int) -> Alter:
    """Exchange two lines of an array."""

    def alter(text: str) -> str:
        body = re.search(rf"\b{array}\[\w*\] = \{{\n(.*?)\n\}};", text, flags=re.DOTALL)
        assert body, f"no array {array}"
        lines = body[1].split("\n")
        lines[first], lines[second] = lines[second], lines[first]
        return text[: body.start(1)] + "\n".join(lines) + text[body.end(1) :]

    return alter


def line(old: str, new: str) -> Alter:
    """Replace one text that stands there once."""

    def alter(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return alter


def tensor(index: int, name: str, value: str) -> Alter:
    """Give a member of a tensor behind its place another value."""
    place = ("stride", "height", "rows", "padding", "last_consumer", "state", "zero_point").index(name)

    def alter(text: str) -> str:
        start = text.index("tensors[] = {\n") + len("tensors[] = {\n")
        lines = text[start:].split("\n")
        values = lines[index].split(", ")
        ending = "}" if name == "zero_point" else ""
        values[1 + place] = re.sub(r"-?\d+}?", value + ending, values[1 + place], count=1)
        lines[index] = ", ".join(values)
        return text[:start] + "\n".join(lines)

    return alter


def layer(name: str, member: str, value: str) -> Alter:
    """Give a member of the layer of that name another value."""

    def alter(text: str) -> str:
        start = text.index(f'STAPES_LAYER_NAME("{name}")')
        return text[:start] + re.sub(rf"\.{member} = [^,}}]+", f".{member} = {value}", text[start:], count=1)

    return alter


def more(value: int) -> int:
    return value + max(1, abs(value) // 8)
