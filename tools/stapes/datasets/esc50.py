"""The layout of ESC-50 and ESC-10: `audio/`, and `meta/esc50.csv` with the official folds.

Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

from stapes.datasets.audio import read_audio
from stapes.datasets.dataset import Clip, Dataset, Pcm
from stapes.errors import DataError
from stapes.files import sha256

ESC10_LABELS = (
    "chainsaw",
    "clock_tick",
    "crackling_fire",
    "crying_baby",
    "dog",
    "helicopter",
    "rain",
    "rooster",
    "sea_waves",
    "sneezing",
)
_HINT = "give the directory that holds audio/ and meta/esc50.csv"
_COLUMNS = ("filename", "fold", "category", "esc10")


def open_esc50(directory: Path, subset: Literal["esc10", "all"], sample_rate: int) -> Dataset:
    """Read the list of clips; raises `DataError` for whatever is missing, all missing files together."""
    if not directory.is_dir():
        raise DataError(f"no data directory {directory}", hint=_HINT)
    table = directory / "meta" / "esc50.csv"
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            absent = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if absent:
                raise DataError(f"{table}: no column {', '.join(absent)}", hint=_HINT)
            rows = list(reader)
    except FileNotFoundError as error:
        raise DataError(f"{table} is missing", hint=_HINT) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read ({error})", hint=_HINT) from error
    clips = tuple(
        _clip(directory / "audio", row, f"{table}, line {number}", sample_rate)
        for number, row in enumerate(rows, start=2)
        if subset == "all" or row["esc10"] == "True"
    )
    if not clips:
        raise DataError(f"{table} lists no clip of {subset}", hint=_HINT)
    missing = [clip.name for clip in clips if not (directory / "audio" / clip.name).is_file()]
    if missing:
        raise DataError(
            f"{directory / 'audio'}: {len(missing)} of {len(clips)} recordings are missing: {_some(missing)}",
            hint="copy the recordings there, under the names of meta/esc50.csv",
        )
    return Dataset(clips, sample_rate)


def _clip(audio: Path, row: dict[str, str], where: str, sample_rate: int) -> Clip:
    name, label, fold = row["filename"], row["category"], row["fold"]
    if not label or not fold or not fold.isdecimal():
        raise DataError(f"{where}: category {label!r}, fold {fold!r}", hint="restore meta/esc50.csv")
    if not name or Path(name).name != name:
        raise DataError(
            f"{where}: {name!r} is not the name of a file in audio/", hint="restore meta/esc50.csv"
        )
    path = audio / name

    def read(speed: float) -> Pcm:
        return read_audio(path, sample_rate, speed=speed)

    def identity() -> str:
        return sha256(path.read_bytes())

    return Clip(name, label, int(fold), identity, read)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
