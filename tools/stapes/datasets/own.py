"""One's own recordings: folders, a CSV file, or Audacity label tracks.

folders    LABEL/any.wav, or LABEL/SESSION/any.wav: files of one session stay in one fold
csv        clips.csv with the columns filename, label (several: dog;rain; none: nothing that has a label) and, where
           wanted, start, end, fold, group, leave_out
audacity   any.wav and any.txt beside it: the exported label track
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from stapes.datasets.audacity import nfc, read_label_track
from stapes.datasets.audio import END_TOLERANCE, Span, audio_info
from stapes.datasets.dataset import Clip, report, some
from stapes.datasets.division import Piece, cut, divide, require_whole, together, widened, with_sets
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import Row, read_table, require_directory, require_files
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
)
UNREADABLE_SUFFIXES = (
    *(".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mka", ".mkv", ".mov", ".ape", ".wv", ".mpc"),
    *(".ac3", ".dsf", ".dff", ".tta", ".ra"),
)
"""Sounds that libsndfile does not decode: named, and not left out without a word."""
TABLE = "clips.csv"

OwnKind = Literal["folders", "csv", "audacity"]

_HINT = "see docs/datasets.md for the layouts"


def own_clips(
    directory: Path,
    spec: DatasetSpec,
    sample_rate: int,
    *,
    for_training: bool = True,
    only: Sequence[Path] | None = None,
) -> list[Clip]:
    """The clips of `spec.kind` (folders, csv or audacity), cut and divided as it says; raises `DataError`.

    Unless they are `for_training`, a class may be in one fold only. `only` are the files that folders and label tracks
    are read of (None: all there are).
    """
    require_directory(directory, _HINT)
    if spec.kind == "csv":
        pieces, folds = _csv(directory, spec)
    else:
        files = recordings(directory) if only is None else only
        pieces, folds = (_folders if spec.kind == "folders" else _audacity)(directory, spec, files), []
    if not pieces:
        raise DataError(f"{directory}: no labelled recordings", hint=_HINT)
    cut_pieces, origin = with_sets(*_cut(pieces, spec.cut_seconds), pieces)
    if folds and spec.split == "recording" and for_training:
        require_whole((pieces[index].group, folds[index]) for index in origin)
    numbers = (
        [folds[index] for index in origin]
        if folds
        else divide(cut_pieces, spec.folds, spec.split, for_training=for_training)
    )
    return [
        recorded_clip(
            piece.path,
            name=piece.name,
            label=piece.label,
            fold=fold,
            sample_rate=sample_rate,
            span=piece.span,
            also=piece.also,
            group=piece.group,
        )
        for piece, fold in zip(cut_pieces, numbers, strict=True)
    ]


def _folders(directory: Path, spec: DatasetSpec, files: Sequence[Path]) -> list[Piece]:
    pieces = []
    for path in files:
        label, *between, _ = path.relative_to(directory).parts if path.parent != directory else ("", "")
        if not label:
            raise DataError(
                f"{path} lies in no folder: the folder's name is the label",
                hint="move it to a folder, LABEL/",
            )
        name = path.relative_to(directory).as_posix()
        pieces.append(Piece(path, name, nfc(label), f"{label}/{between[0]}" if between else name))
    return pieces


def _csv(directory: Path, spec: DatasetSpec) -> tuple[list[Piece], list[int]]:
    hint = f"give {TABLE} the columns filename, label and, where wanted, start, end, fold, group"
    rows = [row for row in read_table(directory / TABLE, ("filename", "label"), hint) if not row["leave_out"]]
    pieces = [_csv_piece(directory, row) for row in rows]
    require_files([piece.path for piece in pieces], f"correct {TABLE}, or put the recordings where it says")
    _require_one_word(directory / TABLE, pieces)
    if spec.split == "time" and any(row["group"] for row in rows):
        raise DataError(
            f"{directory / TABLE} has groups, and dataset.split = time would split them",
            hint='leave the column group empty, or set dataset.split to "recording"',
        )
    with_fold = [row for row in rows if row["fold"]]
    if with_fold and len(with_fold) != len(rows):
        raise DataError(
            f"{directory / TABLE}: {len(rows) - len(with_fold)} of {len(rows)} lines have no fold",
            hint="give every line a fold, or none",
        )
    return pieces, [row.number("fold", "folds are numbered from 1") for row in with_fold]


def _require_one_word(table: Path, pieces: Sequence[Piece]) -> None:
    """Raise `DataError` for what is said to have no label and to have one."""
    labelled: dict[Path, list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.label:
            labelled[piece.path].append(piece)
    both = [
        f"{piece.name} ({other.label})"
        for piece in pieces
        if not piece.label
        for other in labelled[piece.path]
        if together(piece.span, other.span)
    ]
    if both:
        raise DataError(
            f"{table}: {len(both)} lines without a label are of sounds that have one: {some(both)}",
            hint="take one of the two lines out",
        )


def _csv_piece(directory: Path, row: Row) -> Piece:
    name, labels = row["filename"], split_labels(row["label"])
    path = _spelt((directory / name).resolve()) if name else directory
    if not name or not path.is_relative_to(directory.resolve()):
        raise DataError(
            f"{row.where}: filename {name!r}, label {row['label'].strip()!r}",
            hint="name a file below the data directory",
        )
    span = None
    if row["start"] or row["end"]:
        try:
            span = Span(float(row["start"]), float(row["end"]))
        except ValueError:
            span = None
        if span is None or not 0 <= span.start < span.end < math.inf:
            raise DataError(
                f"{row.where}: start {row['start']!r}, end {row['end']!r}",
                hint="give both in seconds, or none for the whole file",
            )
    full = name if span is None else f"{name}@{span.start:.3f}"
    label = labels[0] if labels else ""
    return Piece(path, full, label, row["group"] or name, span, span, tuple(labels[1:]))


def split_labels(text: str) -> list[str]:
    """The labels of a table's cell, `dog;rain`; none of an empty one."""
    return list(dict.fromkeys(nfc(label.strip()) for label in text.split(";") if label.strip()))


def _spelt(path: Path) -> Path:
    """`path`, or, where it is not there, the file whose name differs only in how its letters are composed."""
    if not path.exists() and path.parent.is_dir():
        for other in path.parent.iterdir():
            if nfc(other.name) == nfc(path.name):
                return other
    return path


def _audacity(directory: Path, spec: DatasetSpec, files: Sequence[Path]) -> list[Piece]:
    pieces: list[Piece] = []
    problems = []
    for path in files:
        track = path.with_suffix(".txt")
        name = path.relative_to(directory).as_posix()
        if not track.is_file():
            found = path.with_suffix(".labels.txt")
            hint = f" ({found.name} is there: look through it and rename it)" if found.is_file() else ""
            problems.append(f"{name}: no label track {track.name} beside it{hint}")
            continue
        try:
            labels, seconds = read_label_track(track), audio_info(path).seconds
        except DataError as error:
            problems.append(error.message)
            continue
        late = [label for label in labels if label.span.start >= seconds]
        problems += [f"{track.name}: {label.text} at {label.span} is after the end" for label in late]
        over = [label for label in labels if label not in late and label.span.end > seconds + END_TOLERANCE]
        problems += [f"{track.name}: {label.text} at {label.span} ends after the end" for label in over]
        spans = widened([label.span for label in labels], spec.pad_seconds, seconds)
        pieces += [
            Piece(path, f"{name}@{label.span.start:.3f}", label.text, name, span, label.span)
            for label, span in zip(labels, spans, strict=True)
        ]
    report(problems)
    points = [
        f"{piece.label} ({piece.name})"
        for piece in pieces
        if piece.span and piece.span.start == piece.span.end
    ]
    if points:
        raise DataError(
            f"{len(points)} labels are points, of no length: {some(points)}",
            hint="set dataset.pad_seconds: what surrounds a point is heard with it",
        )
    return pieces


def unused(directory: Path, kind: str) -> list[str]:
    """What to say of recordings that no line of the table names, and of a table that is not looked at."""
    table = directory / TABLE
    if kind in ("folders", "audacity") and table.is_file():
        return [f'{table} is not used: set dataset.kind to "csv" to train with it']
    if kind != "csv":
        return []
    named = {_spelt((directory / row["filename"]).resolve()) for row in read_table(table, ("filename",), "")}
    absent = [
        str(path.relative_to(directory)) for path in recordings(directory) if path.resolve() not in named
    ]
    return [f"{len(absent)} recordings are in no line of {TABLE}: {some(absent)}"] if absent else []


def layout(directory: Path, asked: OwnKind) -> OwnKind:
    """How the recordings in `directory` are labelled: as `asked` where that is there, else as what is there says."""
    if asked == "csv" and (directory / TABLE).is_file():
        return asked
    found = recordings(directory)
    there: dict[OwnKind, bool] = {
        "audacity": any(path.with_suffix(".txt").is_file() for path in found),
        "csv": (directory / TABLE).is_file(),
        "folders": bool(found) and all(path.parent != directory for path in found),
    }
    if there[asked]:
        return asked
    return next((kind for kind in ("csv", "audacity", "folders") if there[kind]), asked)


def recordings(directory: Path) -> list[Path]:
    """Every audio file below `directory`, by path, through links too; hidden ones are left out.

    Raises one `DataError` for all sounds in formats that cannot be read, and for what is no file.
    """
    found, problems = [], []
    for path in _files(directory, frozenset()):
        suffix, name = path.suffix.lower(), path.relative_to(directory).as_posix()
        if suffix in UNREADABLE_SUFFIXES:
            problems.append(f"{name}: {suffix[1:]} cannot be read, convert it to WAV or FLAC")
        elif suffix in AUDIO_SUFFIXES and path.is_file():
            found.append(path)
        elif suffix in AUDIO_SUFFIXES:
            problems.append(f"{name}: {'a link to nothing' if path.is_symlink() else 'no file'}")
    report(problems)
    return sorted(found)


def _files(directory: Path, above: frozenset[Path]) -> Iterator[Path]:
    """What is below `directory` and no directory; a link to a directory that it lies in is not followed."""
    real = directory.resolve()
    if real in above:
        return
    for path in directory.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, above | {real})
        else:
            yield path


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
