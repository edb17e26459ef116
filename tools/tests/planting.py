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
