"""Texts of bundles and recipes that become paths, symbols, or text of a build system: what they may be.

A bundle can come from a stranger. Whatever is not one of these types never leaves Python but escaped.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
"""Of a bundle: a folder, a C symbol, a CMake target, a Kconfig option. Lower-case letters, digits, `-`, `_`."""

FileName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,3}$", max_length=128),
]
"""Of a file in a bundle, relative to it: no part begins with a dot, so none leads out of it."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a label is printable text on one line")
    if text != text.strip():
        raise ValueError("a label neither begins nor ends with a space")
    return text


Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
"""Of a class: printable text on one line."""
