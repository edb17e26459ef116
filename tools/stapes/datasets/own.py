"""One's own recordings: folders, a CSV file, or Audacity label tracks.

folders    LABEL/any.wav, or LABEL/SESSION/any.wav: files of one session stay in one fold
csv        clips.csv with the columns filename, label and, where wanted, start, end, fold, group
audacity   any.wav and any.txt beside it: the exported label track
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stapes.datasets.audacity import read_label_track
from stapes.datasets.audio import Span, audio_info
from stapes.datasets.dataset import Clip, report
from stapes.datasets.division import Piece, cut, divide, widened
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import Row, read_table, require_directory, require_files
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".aif", ".aiff")
TABLE = "clips.csv"

_HINT = "see docs/datasets.md for the layouts"


def own_clips(directory: Path, spec: DatasetSpec, sample_rate: int) -> list[Clip]:
    """The clips of `spec.kind` (folders, csv or audacity), cut and divided as it says; raises `DataError`."""
    require_directory(directory, _HINT)
    pieces, folds = _READERS[spec.kind](directory, spec)
    if not pieces:
        raise DataError(f"{directory}: no labelled recordings", hint=_HINT)
    pieces, origin = _cut(pieces, spec.cut_seconds)
    numbers = [folds[index] for index in origin] if folds else divide(pieces, spec.folds, spec.split)
    return [
        recorded_clip(
            piece.path,
            name=piece.name,
            label=piece.label,
            fold=fold,
            sample_rate=sample_rate,
            span=piece.span,
        )
        for piece, fold in zip(pieces, numbers, strict=True)
    ]


def _folders(directory: Path, spec: DatasetSpec) -> tuple[list[Piece], list[int]]:
    pieces = []
    for path in recordings(directory):
        label, *between, _ = path.relative_to(directory).parts if path.parent != directory else ("", "")
        if not label:
            raise DataError(
                f"{path} lies in no folder: the folder's name is the label",
                hint="move it to a folder, LABEL/",
            )
        name = path.relative_to(directory).as_posix()
        pieces.append(Piece(path, name, label, f"{label}/{between[0]}" if between else name))
    return pieces, []


def _csv(directory: Path, spec: DatasetSpec) -> tuple[list[Piece], list[int]]:
    hint = f"give {TABLE} the columns filename, label and, where wanted, start, end, fold, group"
    rows = list(read_table(directory / TABLE, ("filename", "label"), hint))
    pieces = [_csv_piece(directory, row) for row in rows]
    require_files([piece.path for piece in pieces], f"correct {TABLE}, or put the recordings where it says")
    with_fold = [row for row in rows if row["fold"]]
    if with_fold and len(with_fold) != len(rows):
        raise DataError(
            f"{directory / TABLE}: {len(rows) - len(with_fold)} of {len(rows)} lines have no fold",
            hint="give every line a fold, or none",
        )
    return pieces, [row.number("fold", "folds are numbered from 1") for row in with_fold]


def _csv_piece(directory: Path, row: Row) -> Piece:
    name, label = row["filename"], row["label"]
    path = (directory / name).resolve()
    if not name or not label or not path.is_relative_to(directory.resolve()):
        raise DataError(
            f"{row.where}: filename {name!r}, label {label!r}",
            hint="name a file below the data directory, and its label",
        )
    span = None
    if row["start"] or row["end"]:
        try:
            span = Span(float(row["start"]), float(row["end"]))
        except ValueError:
            span = None
        if span is None or not 0 <= span.start < span.end:
            raise DataError(
                f"{row.where}: start {row['start']!r}, end {row['end']!r}",
                hint="give both in seconds, or none for the whole file",
            )
    full = name if span is None else f"{name}@{span.start:.3f}"
    return Piece(path, full, label, row["group"] or name, span)


def _audacity(directory: Path, spec: DatasetSpec) -> tuple[list[Piece], list[int]]:
    pieces: list[Piece] = []
    problems = []
    for path in recordings(directory):
        track = path.with_suffix(".txt")
        name = path.relative_to(directory).as_posix()
        if not track.is_file():
            problems.append(f"{name}: no label track {track.name} beside it")
            continue
        try:
            labels, seconds = read_label_track(track), audio_info(path).seconds
        except DataError as error:
            problems.append(error.message)
            continue
        late = [label for label in labels if label.span.start >= seconds]
        problems += [f"{track.name}: {label.text} at {label.span} is after the end" for label in late]
        spans = widened([label.span for label in labels], spec.pad_seconds, seconds)
        pieces += [
            Piece(path, f"{name}@{label.span.start:.3f}", label.text, name, span)
            for label, span in zip(labels, spans, strict=True)
        ]
    report(problems)
    return pieces, []


def recordings(directory: Path) -> list[Path]:
    """Every audio file below `directory`, by path; hidden ones are left out."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


_READERS: dict[str, Callable[[Path, DatasetSpec], tuple[list[Piece], list[int]]]] = {
    "folders": _folders,
    "csv": _csv,
    "audacity": _audacity,
}


def _cut(pieces: Sequence[Piece], seconds: float) -> tuple[list[Piece], list[int]]:
    """The pieces cut to about `seconds`, each with a name of its own; and which piece each was cut from."""
    found, origin, problems = [], [], []
    for index, piece in enumerate(pieces):
        parts: list[Span | None] = [piece.span]
        if seconds:
            try:
                parts = [*cut(piece.span or Span(0.0, audio_info(piece.path).seconds), seconds)]
            except DataError as error:
                problems.append(error.message)
        for number, part in enumerate(parts, start=1):
            name = f"{piece.name}#{number}" if len(parts) > 1 else piece.name
            found.append(replace(piece, name=name, span=part))
            origin.append(index)
    report(problems)
    seen: Counter[str] = Counter()
    for index, piece in enumerate(found):
        seen[piece.name] += 1
        if seen[piece.name] > 1:
            found[index] = replace(piece, name=f"{piece.name} ({seen[piece.name]})")
    return found, origin
