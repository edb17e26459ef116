"""Dividing recordings without official folds: balanced, always the same, and a recording never in two folds.

Two pieces of one recording share its room, its microphone and its background. A network tested on one and trained
on the other is tested on what it knows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from stapes.datasets.audio import Span
from stapes.datasets.dataset import some
from stapes.errors import DataError
from stapes.files import sha256

_SHARED = 0.1


@dataclass(frozen=True)
class Piece:
    """What will be a clip: a file or a part of it, its label, and what it must stay together with.

    `marked` is where the label itself is, without the surroundings that `span` may have (None: in the whole file).
    `also` are the labels of what sounds at the same time; a negative has an empty `label`.
    """

    path: Path
    name: str
    label: str
    group: str
    span: Span | None = None
    marked: Span | None = None
    also: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """`label` and `also`; none of a negative."""
        return (self.label, *self.also) if self.label else ()


def divide(
    pieces: Sequence[Piece], folds: int, split: Literal["recording", "time"], *, for_training: bool = True
) -> list[int]:
    """The fold (1 to `folds`) of each piece; raises `DataError` when a label would be in one fold only, unless no
    network is to learn from them.

    `recording`: groups are dealt, the largest first, each to the fold that has fewest clips of its labels.
    `time`: the pieces of a group and label, in the order of time, are cut into `folds` runs.
    """
    found = _by_time(pieces, folds) if split == "time" else _by_group(pieces, folds)
    where: dict[str, set[int]] = defaultdict(set)
    for piece, fold in zip(pieces, found, strict=True):
        for label in piece.labels:
            where[label].add(fold)
    lonely = sorted(label for label, seen in where.items() if len(seen) < 2)
    if lonely and for_training:
        raise DataError(
            f"label {', '.join(lonely)}: every clip comes from one recording; "
            "a network that is to be tested on it could not learn it",
            hint="record it again, at another time and place; or set dataset.split to time, and trust figures less",
        )
    return found


def require_whole(groups: Iterable[tuple[str, int]]) -> None:
    """Raise `DataError` for groups that given folds would split; `groups` are (group, fold) of every clip."""
    where: dict[str, set[int]] = defaultdict(set)
    for group, fold in groups:
        where[group].add(fold)
    split = sorted(group for group, seen in where.items() if len(seen) > 1)
    if split:
        raise DataError(
            f"{len(split)} groups are in several folds: {some(split)}; a network would be tested on what it knows",
            hint="give all clips of a file or a group one fold",
        )


def _by_group(pieces: Sequence[Piece], folds: int) -> list[int]:
    content: dict[str, Counter[str]] = defaultdict(Counter)
    for piece in pieces:
        content[piece.group].update(piece.labels or ("",))
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for group in sorted(content, key=lambda name: (-content[name].total(), sha256(name.encode()))):
        labels = content[group]
        fewest = min(
            range(folds), key=lambda fold: (sum(held[fold][x] for x in labels), held[fold].total(), fold)
        )
        held[fewest] += labels
        fold_of[group] = fewest + 1
    return [fold_of[piece.group] for piece in pieces]


def _by_time(pieces: Sequence[Piece], folds: int) -> list[int]:
    runs: dict[tuple[str, str], list[int]] = defaultdict(list)
    order = sorted(range(len(pieces)), key=lambda i: pieces[i].span.start if pieces[i].span else 0.0)  # type: ignore[union-attr]
    for index in order:
        runs[pieces[index].group, pieces[index].label].append(index)
    found = [0] * len(pieces)
    for run in runs.values():
        for number, index in enumerate(run):
            found[index] = number * folds // len(run) + 1
    return found


def cut(span: Span, seconds: float) -> list[Span]:
    """`span` in equal pieces of about `seconds`; in one piece when it is not longer, or `seconds` is 0."""
    length = span.end - span.start
    count = max(1, round(length / seconds)) if seconds else 1
    return [
        Span(span.start + length * number / count, span.start + length * (number + 1) / count)
        for number in range(count)
    ]


def together(first: Span | None, second: Span | None) -> bool:
    """Whether two spans of a recording (None: all of it) sound at the same time, and not only touch.

    They share a tenth of the shorter one, or one is a point within the other: labels are drawn by hand.
    """
    if first is None or second is None:
        return True
    shorter = min(first.end - first.start, second.end - second.start)
    start, end = max(first.start, second.start), min(first.end, second.end)
    if shorter == 0:
        return start == end and (first == second or not {first.start, first.end} & {second.start, second.end})
    return end - start >= _SHARED * shorter


def with_sets(
    pieces: Sequence[Piece], origin: Sequence[int], labelled: Sequence[Piece]
) -> tuple[list[Piece], list[int]]:
    """The pieces with what sounds at the same time in `also`, each place of a recording once.

    `pieces[i]` was cut from `labelled[origin[i]]`. Of pieces with the same place and the same labels the first stays.
    """
    of_file: dict[Path, list[Piece]] = defaultdict(list)
    for piece in labelled:
        of_file[piece.path].append(piece)
    found, kept = [], []
    seen: set[tuple[object, ...]] = set()
    for piece, index in zip(pieces, origin, strict=True):
        source = labelled[index]
        also = {
            label
            for other in of_file[piece.path]
            if together(source.marked, other.marked) and together(piece.span, other.marked)
            for label in other.labels
        } - {piece.label}
        place = (piece.path, piece.span, frozenset({piece.label, *also}))
        if also and place in seen:
            continue
        seen.add(place)
        found.append(replace(piece, also=tuple(sorted(also))))
        kept.append(index)
    return found, kept


def widened(spans: Sequence[Span], seconds: float, end: float) -> list[Span]:
    """The spans of one recording of `end` seconds, each with more of what surrounds it where it is shorter.

    A short event is heard in its surroundings, on the device too. A span grows to `seconds` evenly on both sides,
    within the recording, and at most half of the way to the next span that does not sound together with it.
    """
    found = []
    for span in spans:
        apart = [other for other in spans if not together(span, other)]
        before = [(other.end + span.start) / 2 for other in apart if other.start < span.start]
        after = [(other.start + span.end) / 2 for other in apart if other.end > span.end]
        low = min(span.start, max([0.0, *before]))
        high = max(span.end, min([end, *after]))
        more = max(0.0, seconds - (span.end - span.start))
        left, right = span.start - low, high - span.end
        start = span.start - min(left, max(more / 2, more - right))
        found.append(Span(start, span.end + min(right, max(0.0, more - (span.start - start)))))
    return found
