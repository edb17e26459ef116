"""The layout of UrbanSound8K: `audio/fold1` to `audio/fold10`, `metadata/UrbanSound8K.csv`.

Salamon, Jacoby, Bello, "A Dataset and Taxonomy for Urban Sound Research", ACM Multimedia 2014. The ten folds are
used as published: clips cut from one recording are in one fold, and a new division would leak between them.
"""

from __future__ import annotations

from pathlib import Path

from stapes.datasets.dataset import Clip
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import Row, read_table, require_directory, require_files
from stapes.errors import DataError

COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
FOLDS = 10

_HINT = "give the directory that holds audio/ and metadata/UrbanSound8K.csv"
_RESTORE = "restore metadata/UrbanSound8K.csv"
_FOREGROUND = {"1": True, "2": False}


def urbansound8k_clips(directory: Path, sample_rate: int) -> list[Clip]:
    """Every clip with its official fold and its salience; raises `DataError`, all missing files together."""
    require_directory(directory, _HINT)
    table = directory / "metadata" / "UrbanSound8K.csv"
    clips = [_clip(directory / "audio", row, sample_rate) for row in read_table(table, COLUMNS, _HINT)]
    if not clips:
        raise DataError(f"{table} lists no clip", hint=_RESTORE)
    require_files(
        [clip.path for clip in clips if clip.path is not None],
        "copy the recordings to audio/fold1 … audio/fold10, as published",
    )
    return clips


def _clip(audio: Path, row: Row, sample_rate: int) -> Clip:
    name, label, salience = row["slice_file_name"], row["class"], row["salience"]
    fold = row.number("fold", _RESTORE)
    if not label or fold > FOLDS or salience not in _FOREGROUND:
        raise DataError(f"{row.where}: class {label!r}, fold {fold}, salience {salience!r}", hint=_RESTORE)
    if not name or Path(name).name != name:
        raise DataError(f"{row.where}: {name!r} is not the name of a file in audio/", hint=_RESTORE)
    return recorded_clip(
        audio / f"fold{fold}" / name,
        name=name,
        label=label,
        fold=fold,
        sample_rate=sample_rate,
        foreground=_FOREGROUND[salience],
    )
