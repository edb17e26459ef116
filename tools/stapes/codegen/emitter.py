"""The one place that turns data into C text: Jinja templates, a few filters, atomic files.

Generated files carry a banner with the generator's version and the SHA-256 of what they were made from, and
refuse to compile against a runtime of another version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes.codegen.initialisers import check_constants
from stapes.files import write_all
from stapes.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

API_VERSION = 3
"""Interface between generated code and runtime; equals STAPES_API_VERSION in stapes/version.h."""


@dataclass(frozen=True)
class Provenance:
    """What a generated file was made from: name of each source and its hex SHA-256."""

    sources: Mapping[str, str]
    generator_version: str = __version__


def c_array(values: Iterable[int], per_line: int = 16, indent: str = "    ") -> str:
    """Integers as the inside of a C initialiser, `per_line` to a line."""
    texts = [_c_integer(int(value)) for value in values]
    lines = [", ".join(texts[start : start + per_line]) for start in range(0, len(texts), per_line)]
    return ",\n".join(indent + line for line in lines)


def c_pairs(values: Iterable[int], per_line: int, indent: str = "    ") -> str:
    """As `c_array`, two by two: W(a, b)."""
    numbers = iter(values)
    texts = [f"W({a}, {b})" for a, b in zip(numbers, numbers, strict=True)]
    lines = [", ".join(texts[start : start + per_line]) for start in range(0, len(texts), per_line)]
    return ",\n".join(indent + line for line in lines)


def c_rows(values: Sequence[int], rows: int, fours: int, indent: str = "    ") -> str:
    """As `c_array` a column of `rows` rows of four channels to a line, two rows as R(…, …); behind `fours`, plain."""
    lines = []
    for start in range(0, fours, 4 * rows):
        texts = []
        for row in range(0, rows, 2):
            part = ", ".join(map(str, values[start + 4 * row : start + 4 * min(row + 2, rows)]))
            texts.append(f"R({part})" if row + 1 < rows else part)
        lines.append(indent + ", ".join(texts))
    if fours < len(values):
        lines.append(c_array(values[fours:], 20, indent))
    return ",\n".join(lines)


def _c_integer(value: int) -> str:
    # INT32_MIN has no literal: -2147483648 is the negation of a long.
    if value == -(2**31):
        return "(-2147483647 - 1)"
    if value >= 2**31:
        return f"{value}u" if value < 2**32 else f"{value}ull"
    return str(value)


def c_float(value: float) -> str:
    """A float32 value as a C literal that reads back as the same."""
    text = f"{value:.9g}"
    return f"{text if '.' in text or 'e' in text else text + '.0'}f"


def c_string(text: str) -> str:
    """`text` as a C string literal; anything but plain ASCII is escaped byte by byte."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\' or char == "?":
            out.append("\\" + char)
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def c_comment(text: str) -> str:
    """`text` made safe inside a block comment: one line, printable, no comment delimiters."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line.replace("*/", "* /").replace("/*", "/ *")


def c_identifier(text: str) -> str:
    """`text` as a C identifier: other characters become underscores, never starting with a digit."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_") or "x"
    return f"_{name}" if name[0].isdigit() else name


def c_prefix(name: str) -> str:
    """What every symbol and file generated for the bundle or network `name` begins with: `stapes_<name>`."""
    return f"stapes_{c_identifier(name).strip('_').lower()}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stapes.codegen", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    for function in (c_array, c_pairs, c_rows, c_float, c_string, c_comment, c_identifier):
        environment.filters[function.__name__] = function
    environment.globals["api_version"] = API_VERSION
    return environment


def render(template: str, **context: Any) -> str:
    """The text of `templates/<template>` with `context`; an undefined name is an error."""
    return _environment().get_template(template).render(**context)


def write_sources(directory: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write generated files, by name, that belong together: none of them where a constant does not fit its type
    (`UnsupportedModelError` with all that do not).
    """
    check_constants({name: text for name, text in texts.items() if name.endswith((".c", ".h"))})
    # Unchanged content keeps its time stamp, so that nothing is rebuilt for it.
    changed = {name: text for name, text in texts.items() if not _is(directory / name, text)}
    write_all(directory, changed)
    return [directory / name for name in texts]


def write_source(directory: Path, name: str, text: str) -> Path:
    """Write one generated file."""
    return write_sources(directory, {name: text})[0]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def remove_earlier(directory: Path, files: Iterable[Path]) -> None:
    """Remove what was generated in `directory` before and is not among `files`: all C there would be compiled."""
    for path in set(directory.glob("stapes_*.[ch]")) - set(files):
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(2000)
        if re.search(r"^ \* Generated by stapes .*; do not edit\.$", head, flags=re.M):
            path.unlink()
