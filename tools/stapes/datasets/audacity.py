"""Audacity's label tracks as text files.

One label a line, tab-separated: start, end (seconds), text. A line that begins with a backslash gives the frequency
range of the label before it; it is checked and not used. Several exported tracks may follow each other in one file.

Programs write scores as further columns, stapes too; Audacity does not show them, and they are no part of the label. A
label cannot hold a tab. Where samples were lost, stapes writes a label in parentheses; it is none of a sound.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from stapes.datasets.audio import Span
from stapes.errors import DataError

_HINT = "export the labels again: File > Export Other > Export Labels (Audacity 3)"


_LOST = re.compile(r"\([0-9]+ samples lost\)")


def nfc(label: str) -> str:
    """A label in the one form in which it is compared: `ü` may come as one character or as two."""
    return unicodedata.normalize("NFC", label)


def label_line(start: float, end: float, text: str, score: float | None = None) -> str:
    """A line of a label track, times in seconds; `read_label_track` gives `text` again."""
    columns = [f"{start:.6f}", f"{end:.6f}", " ".join(text.split())]
    return "\t".join(columns if score is None else [*columns, f"{score:.4f}"]) + "\n"


def lost_line(start: float, end: float, samples: int) -> str:
    """A line that says where samples were lost; `read_label_track` leaves it out."""
    return label_line(start, end, f"({samples} samples lost)")


@dataclass(frozen=True)
class Label:
    """One label; a point has equal start and end."""

    span: Span
    text: str


def read_label_track(path: Path) -> list[Label]:
    """The labels of an exported track, in the order of time; raises `DataError` naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})", hint=_HINT) from error
    found: list[Label] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        if fields[0].strip() == "\\":
            if not found or len(fields) != 3:
                raise DataError(f"{where}: a frequency range without a label", hint=_HINT)
            _numbers(where, fields[1:])
            continue
        if len(fields) < 3:
            raise DataError(f"{where}: {line!r} is not start, end and label, with tabs between", hint=_HINT)
        start, end = _numbers(where, fields[:2])
        text = nfc(" ".join(fields[2].split()))
        _numbers(f"{where}, after the label", fields[3:])
        if not text:
            raise DataError(
                f"{where}: the label at {start:.3f} s has no text", hint="type one, or delete the label"
            )
        if not 0 <= start <= end:
            raise DataError(f"{where}: from {start:.3f} to {end:.3f} s", hint=_HINT)
        if not _LOST.fullmatch(text):
            found.append(Label(Span(start, end), text))
    return sorted(found, key=lambda label: (label.span.start, label.span.end, label.text))


def _numbers(where: str, fields: list[str]) -> list[float]:
    try:
        # Some versions write numbers with the comma of the desktop's language.
        values = [float(field.strip().replace(",", ".")) for field in fields]
    except ValueError as error:
        raise DataError(f"{where}: {fields} are not numbers", hint=_HINT) from error
    if not all(math.isfinite(value) for value in values):
        raise DataError(f"{where}: {fields} are not finite", hint=_HINT)
    return values
