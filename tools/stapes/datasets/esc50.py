"""The layout of ESC-50 and ESC-10: `audio/`, and `meta/esc50.csv` with the official folds.

Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stapes.datasets.dataset import Clip
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import Row, read_table, require_directory, require_files
from stapes.errors import DataError

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
_RESTORE = "restore meta/esc50.csv"


def esc50_clips(directory: Path, subset: Literal["esc10", "all"], sample_rate: int) -> list[Clip]:
    """Read the list of clips; raises `DataError` for whatever is missing, all missing files together."""
    require_directory(directory, _HINT)
    table = directory / "meta" / "esc50.csv"
    clips = [
        _clip(directory / "audio", row, sample_rate)
        for row in read_table(table, ("filename", "fold", "category", "esc10"), _HINT)
        if subset == "all" or row["esc10"] == "True"
    ]
    if not clips:
        raise DataError(f"{table} lists no clip of {subset}", hint=_HINT)
    require_files(
        [directory / "audio" / clip.name for clip in clips],
        "copy the recordings to audio/, under the names of meta/esc50.csv",
    )
    return clips


def _clip(audio: Path, row: Row, sample_rate: int) -> Clip:
    name, label, fold = row["filename"], row["category"], row["fold"]
    if not label or not fold.isdecimal():
        raise DataError(f"{row.where}: category {label!r}, fold {fold!r}", hint=_RESTORE)
    if not name or Path(name).name != name:
        raise DataError(f"{row.where}: {name!r} is not the name of a file in audio/", hint=_RESTORE)
    return recorded_clip(audio / name, name=name, label=label, fold=int(fold), sample_rate=sample_rate)
