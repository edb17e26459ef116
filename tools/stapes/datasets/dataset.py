"""A data set: labelled clips, divided into folds, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.errors import DataError

Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Clip:
    """One labelled recording; decoded each time `pcm` or `at_speed` is asked for, and not kept.

    `identity` changes whenever the samples would: caches are keyed by it. `path` is the file that it comes from
    (None: made by arithmetic). `foreground` tells whether the sound was the loudest of its recording, where the
    data set says so.
    """

    name: str
    label: str
    fold: int
    identity: Callable[[], str]
    read: Callable[[float], Pcm]
    path: Path | None = None
    foreground: bool | None = None

    @property
    def pcm(self) -> Pcm:
        """int16[n] at the data set's sample rate; raises `DataError` for a bad file."""
        return self.read(1.0)

    def at_speed(self, speed: float) -> Pcm:
        """int16[about n / speed]: the same recording played `speed` times as fast, pitch included."""
        return self.read(speed)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Clips in a fixed order, and the sorted labels that class indices refer to."""

    clips: tuple[Clip, ...]
    sample_rate: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label once, sorted."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def folds(self) -> tuple[int, ...]:
        """Every fold number once, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips}))

    def fold(self, number: int) -> tuple[Clip, ...]:
        """The clips of one fold."""
        return tuple(clip for clip in self.clips if clip.fold == number)

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


def report(problems: Sequence[str]) -> None:
    """Raise one `DataError` for all `problems`; do nothing when there is none."""
    if problems:
        count = f"{len(problems)} bad recordings: " if len(problems) > 1 else ""
        raise DataError(
            count + "; ".join(problems), hint="replace these files or remove them from the data set"
        )
