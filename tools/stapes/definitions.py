"""What C and Python both must know: the `.def` files of the firmware, read here, expanded by macros there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stapes.errors import ToolError


@cache
def firmware_dir() -> Path:
    """The directory `firmware/`: inside an installed package `stapes/_firmware`, else beside the checkout's tools."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "_firmware", package.parents[1] / "firmware"):
        if (candidate / "CMakeLists.txt").is_file():
            return candidate
    raise ToolError("the firmware sources are missing from this installation", hint="install stapes again")


@dataclass(frozen=True)
class Entry:
    """One line of a `.def` file: `MACRO(arguments)`, texts without their quotes."""

    macro: str
    arguments: tuple[str, ...]


_LINE = re.compile(r"^([A-Z_]+)\((.*)\)$", flags=re.MULTILINE)
_ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"]+)')


@cache
def read_definitions(path: str) -> tuple[Entry, ...]:
    """All entries of the file `path` below `firmware/`, in their order."""
    text = (firmware_dir() / path).read_text(encoding="utf-8")
    return tuple(
        Entry(
            found[1],
            tuple(part[1] if part[1] is not None else part[2] for part in _ARGUMENT.finditer(found[2])),
        )
        for found in _LINE.finditer(text)
    )


@cache
def numbered(path: str, macro: str) -> dict[str, tuple[int, str]]:
    """Name: (value, text) of every `macro(name, value, text)` in `path`; the text may be missing."""
    entries = [entry.arguments for entry in read_definitions(path) if entry.macro == macro]
    return {name: (int(value, 0), "; ".join(texts)) for name, value, *texts in entries}


@dataclass(frozen=True)
class Limit:
    """One limit: `value` of `what`, `why`."""

    name: str
    value: int
    what: str
    why: str

    def exceeded(self, count: int) -> str:
        """What to say of `count` that are too many."""
        return f"{count} {self.what} (at most {self.value}: {self.why})"


@cache
def limits() -> dict[str, Limit]:
    """All limits of `runtime/include/stapes/limits.def` by name."""
    entries = read_definitions("runtime/include/stapes/limits.def")
    found = [Limit(name, int(value), what, why) for name, value, what, why in (e.arguments for e in entries)]
    return {limit.name: limit for limit in found}


def limit(name: str) -> int:
    """The value of one limit."""
    return limits()[name].value


def limits_page() -> str:
    """The text of docs/limits.md."""
    rows = [f"| {each.what} | {each.value:,} | {each.why} |" for each in limits().values()]
    return _HEAD + "\n".join(rows) + "\n"


_HEAD = """# Limits

What is more than these numbers allow is refused by name before any C is written. The list is
`firmware/runtime/include/stapes/limits.def`, read by C and by Python; this page is written from it:
`python -m stapes.definitions > docs/limits.md`. Beside these, memory limits what a board can do (`stapes boards`), and
every number that becomes a constant in C is checked against the width of its field.

| what | limit | why |
|---|---|---|
"""

if __name__ == "__main__":
    print(limits_page(), end="")
