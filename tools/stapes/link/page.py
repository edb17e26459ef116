"""Writes the tables of docs/link-protocol.md: `python -m stapes.link.page`."""

from __future__ import annotations

from pathlib import Path

from stapes.definitions import firmware_dir, numbered
from stapes.files import with_tables, write_atomic
from stapes.link.layout import DEFINITIONS, Layout, layouts


def protocol_page(text: str) -> str:
    """`text` with what is between `<!-- name -->` and `<!-- end -->` written again: a layout or a list of numbers.

    Raises `KeyError` where `text` names a layout that is not there, or leaves one out.
    """
    return with_tables(text, layouts(), _table)


def _table(name: str) -> str:
    if name == "MESSAGE":
        rows = [f"| {value} | `{each}` |" for each, (value, _) in numbered(DEFINITIONS, name).items()]
        return _lines("| type | message |", "|---|---|", *rows)
    if name.isupper():
        values = numbered(DEFINITIONS, name).values()
        return _lines("| value | |", "|---|---|", *(f"| {value} | {text} |" for value, text in values))
    return _layout(layouts()[name])


def _layout(layout: Layout) -> str:
    rows = []
    place: int | str = 0
    for field in layout.fields:
        place = field.offset if isinstance(place, int) else ""
        rows.append(f"| {place} | {field.type} | `{field.name}` | {field.text} |")
        if not field.is_fixed:
            place = ""
    title = layout.name.replace("_", " ")
    return _lines(f"| {title}: offset | type | field | |", "|---|---|---|---|", *rows)


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def page_path() -> Path:
    """Where the page is in a checkout."""
    return firmware_dir().parent / "docs/link-protocol.md"


if __name__ == "__main__":
    write_atomic(page_path(), protocol_page(page_path().read_text(encoding="utf-8")))
