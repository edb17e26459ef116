"""A data set: labelled clips, divided into folds, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from stapes.datasets.audio import Span
from stapes.errors import DataError
from stapes.files import canonical_json, sha256
from stapes.recipe.names import Label
from stapes.recipe.recipe import explain

Pcm = npt.NDArray[np.int16]
_LABEL: TypeAdapter[str] = TypeAdapter(Label)


@dataclass(frozen=True, eq=False)
class Clip:
    """One labelled recording; decoded each time `pcm` or `at_speed` is asked for, and not kept.

    `identity` changes whenever the samples would: caches are keyed by it. `path` is the file that it comes from
    (None: made by arithmetic). `foreground` tells whether the sound was the loudest of its recording, where the
    data set says so. `also` are further labels of what sounds at the same time (tagging); an empty `label` says that
    none of them does (a negative). `span` is the piece of the file (None: all of it), `group` what the clip must share
    a fold with (empty: the data set does not say).
    """

    name: str
    label: str
    fold: int
    identity: Callable[[], str]
    read: Callable[[float], Pcm]
    path: Path | None = None
    foreground: bool | None = None
    also: tuple[str, ...] = ()
    span: Span | None = None
    group: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """`label` and `also`; none of a negative."""
        return (self.label, *self.also) if self.label else ()

    @property
    def pcm(self) -> Pcm:
        """int16[n] at the data set's sample rate; raises `DataError` for a bad file."""
        return self.read(1.0)

    def at_speed(self, speed: float) -> Pcm:
        """int16[about n / speed]: the same recording played `speed` times as fast, pitch included."""
        return self.read(speed)


def remembered(clips: Sequence[Clip], most_bytes: int) -> list[Clip]:
    """`clips`, whose samples are kept once they were read, up to so many bytes together."""
    room = most_bytes

    def remember(clip: Clip) -> Clip:
        kept: Pcm | None = None

        def read(speed: float) -> Pcm:
            nonlocal kept, room
            if speed != 1.0:
                return clip.read(speed)
            if kept is not None:
                return kept
            pcm = clip.pcm
            if pcm.nbytes <= room:
                room -= pcm.nbytes
                kept = pcm
            return pcm

        return replace(clip, read=read)

    return [remember(clip) for clip in clips]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Clips in a fixed order, and the sorted labels that class indices refer to."""

    clips: tuple[Clip, ...]
    sample_rate: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label once, sorted."""
        return tuple(sorted({label for clip in self.clips for label in clip.labels}))

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Of each clip the index of its first label in `labels`; -1 of a negative."""
        index = {label: number for number, label in enumerate(self.labels)}
        return np.array([index.get(clip.label, -1) for clip in self.clips], dtype=np.int64)

    @property
    def folds(self) -> tuple[int, ...]:
        """Every fold number once, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips}))

    def fold(self, number: int) -> tuple[Clip, ...]:
        """The clips of one fold."""
        return tuple(clip for clip in self.clips if clip.fold == number)

    def content(self, fold: int) -> str:
        """Hash of the recordings of one fold and their labels, whatever their names and order; raises `OSError`."""
        clips = sorted([clip.identity(), *sorted(clip.labels)] for clip in self.fold(fold))
        return sha256(canonical_json(clips))

    def require_trainable(self, *, tagging: bool) -> None:
        """Raise `DataError` for what would train without a word to something without a meaning.

        That is one class alone, a class that is in one fold only, and, where not each class is judged by itself
        (`tagging`), clips with several labels or none.
        """
        labels = self.labels
        for label in labels:
            try:
                _LABEL.validate_python(label)
            except ValidationError as error:
                raise DataError(f"label {label!r}: {explain(error)}", hint="rename it") from error
        if not tagging:
            self.require_labels()
        if len(labels) < 2 and not (labels and any(not clip.label for clip in self.clips)):
            raise DataError(
                f"all {len(self.clips)} clips have {f'the label {labels[0]}' if labels else 'no label'}: whatever it "
                "hears, a network would be right to say so",
                hint="add recordings of something else, if only of nothing",
            )
        folds = {label: {clip.fold for clip in self.clips if label in clip.labels} for label in labels}
        lonely = [f"{label} (fold {min(found)})" for label, found in folds.items() if len(found) == 1]
        if lonely:
            raise DataError(
                f"all clips are in one fold, of label {some(lonely)}: "
                "a network that is tested on it could not learn it",
                hint="spread its recordings over the folds",
            )
        several = [f"{clip.name} ({', '.join(clip.labels)})" for clip in self.clips if clip.also]
        if several and not tagging:
            raise DataError(
                f"{len(several)} clips have labels that overlap: {some(several)}",
                hint='set model.scores to "sigmoid", which learns each class by itself, or correct the labels',
            )

    def require_labels(self) -> None:
        """Raise `DataError` for clips without a label: only tagging says of a sound that it is nothing."""
        negatives = [clip.name for clip in self.clips if not clip.label]
        if negatives:
            raise DataError(
                f"{len(negatives)} clips have no label: {some(negatives)}",
                hint='set dataset.other, the class that they go to, or model.scores to "sigmoid" (tagging), or leave '
                "them out",
            )

    def check(self, minimum_samples: int = 1) -> None:
        """Decode everything once; raises one `DataError` that names every bad or too short clip together."""
        problems = []
        for clip in self.clips:
            try:
                samples = len(clip.pcm)
            except DataError as error:
                problems.append(error.message)
                continue
            if samples < minimum_samples:
                problems.append(too_short(clip.name, samples, minimum_samples, self.sample_rate))
        report(problems)


def too_short(name: str, samples: int, minimum: int, sample_rate: int) -> str:
    """What to say of a clip that is shorter than one window."""
    return (
        f"{name}: {samples / sample_rate:.2f} s, shorter than the {minimum / sample_rate:.2f} s of one window"
    )


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def report(problems: Sequence[str]) -> None:
    """Raise one `DataError` for all `problems`, each once; do nothing when there is none."""
    problems = list(dict.fromkeys(problems))
    if problems:
        count = f"{len(problems)} bad recordings: " if len(problems) > 1 else ""
        raise DataError(
            count + "; ".join(problems),
            hint="replace these files, correct their labels, or remove them from the data set",
        )
