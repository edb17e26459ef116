"""What is kept of a listening session: events as lines and labels, sounds as WAV files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from stapes.datasets.audio import wav_bytes
from stapes.errors import StapesError
from stapes.files import free_path
from stapes.live.events import audacity_labels, json_line
from stapes.reference import LiveEvent, LiveKind

Pcm = npt.NDArray[np.int16]

HISTORY_SECONDS = 60.0
"""Longest sound that can be cut out."""


class History:
    """The last minute of the stream, by sample number."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._first = 0
        self._pcm = np.zeros(0, np.int16)
        self._holes: list[tuple[int, int]] = []

    @property
    def end(self) -> int:
        """Number of the sample that comes next."""
        return self._first + len(self._pcm)

    def add(self, position: int, pcm: Pcm) -> None:
        """Samples from `position` on; those missing before them are a hole."""
        hole = position - self.end
        if hole:
            self._holes.append((self.end, position))
        most = round(HISTORY_SECONDS * self.sample_rate)
        self._pcm = np.concatenate([self._pcm, np.zeros(min(hole, most), np.int16), pcm])[-most:]
        self._first = position + len(pcm) - len(self._pcm)
        self._holes = [(start, end) for start, end in self._holes if end > self._first]

    def cut(self, start: int, end: int, margin: int = 0) -> Pcm:
        """As much as is there of the samples from `start` to `end`, and of `margin` on either side up to the next hole;
        none where there is a hole in between.
        """
        low, high = max(start - margin, self._first), min(end + margin, self.end)
        for begin, stop in self._holes:
            if begin < end and stop > start:
                return np.zeros(0, np.int16)
            if stop <= start:
                low = max(low, stop)
            else:
                high = min(high, begin)
        return self._pcm[max(0, low - self._first) : max(0, high - self._first)]

    def write(self, path: Path, start: int, end: int, margin: int = 0) -> bool:
        """Write a piece as a WAV file (see `cut`); False where it is not there any more, or has a hole."""
        pcm = self.cut(start, end, margin)
        if len(pcm) == 0:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(pcm, self.sample_rate))
        return True


class EventFiles:
    """JSON lines and Audacity labels, written as events come."""

    def __init__(
        self,
        labels: tuple[str, ...],
        sample_rate: int,
        scale: float,
        json_lines: Path | None = None,
        track: Path | None = None,
    ) -> None:
        self._labels, self._rate, self._scale = labels, sample_rate, scale
        self._json = _open(json_lines, "--json-lines")
        self._track = _open(track, "--labels")

    def add(self, event: LiveEvent) -> None:
        """One more event."""
        if self._json:
            self._json.write(json_line(event, self._labels, self._rate, self._scale) + "\n")
            self._json.flush()
        if self._track:
            self._track.writelines(audacity_labels([event], self._labels, self._rate, self._scale))
            self._track.flush()

    def close(self) -> None:
        """Close both files."""
        for file in (self._json, self._track):
            if file:
                file.close()


def _open(path: Path | None, option: str) -> TextIO | None:
    if path is None:
        return None
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint=f"choose another {option} FILE"
        ) from error


def cut_event(
    history: History, event: LiveEvent, label: str, directory: Path, margin: float = 0.25
) -> Path | None:
    """Write a complete event's sound, with `margin` seconds on both sides; its path."""
    if event.kind != LiveKind.END:
        return None
    side = round(margin * history.sample_rate)
    path = free_path(directory, f"{event.start / history.sample_rate:010.2f}-{label}", ".wav")
    return path if history.write(path, event.start, event.end, side) else None


class Uncertain:
    """Windows that the network was unsure of, for labelling by hand: at most one of any moment.

    A window is uncertain when the best class is known by less than `margin` from the second, or lies within `margin` of
    its threshold; where classes are judged each by itself (`multi_label`), when any class does the latter. `scores` are
    0 to 1. `windows.csv` in the directory lists them as `clips.csv` of a data set does: the best class (with
    `multi_label` all that reach their thresholds) as `label`, to be corrected, and `group`, which keeps windows of one
    session in one fold.
    """

    def __init__(
        self,
        directory: Path,
        labels: tuple[str, ...],
        thresholds: tuple[float, ...],
        window: int,
        margin: float = 0.15,
        group: str = "",
        multi_label: bool = False,
    ) -> None:
        self._directory, self._labels, self._thresholds = directory, labels, thresholds
        self._window = window
        self._margin = margin
        self._group, self._multi_label = group, multi_label
        self._last = -window
        self.saved = 0
        self._table = directory / "windows.csv"
        # Not the bare labels: a class may be called `start`.
        self._columns = ["filename", "label", "group", *(f"score of {label}" for label in labels)]
        if self._table.exists():
            with self._table.open(newline="", encoding="utf-8-sig") as table:
                if next(csv.reader(table), self._columns) != self._columns:
                    raise StapesError(
                        f"{self._table} is of other classes", hint="choose another --save-uncertain DIR"
                    )

    def add(self, history: History, end: int, scores: tuple[float, ...]) -> None:
        """The scores of the window that ended before sample `end`."""
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        best, second = order[0], order[min(1, len(order) - 1)]
        close = [abs(a - b) < self._margin for a, b in zip(scores, self._thresholds, strict=True)]
        is_unsure = close[best] or scores[best] - scores[second] < self._margin
        said = self._labels[best]
        if self._multi_label:
            is_unsure = any(close)
            reached = zip(self._labels, scores, self._thresholds, strict=True)
            said = ";".join(label for label, score, least in reached if score >= least)
        if not is_unsure or end - self._last < self._window:
            return
        moment = f"{end / history.sample_rate:010.2f}"
        path = free_path(self._directory, f"{moment}-{self._labels[best]}-{self._labels[second]}", ".wav")
        if not history.write(path, end - self._window, end):
            return
        self._last = end
        self.saved += 1
        with self._table.open("a", newline="", encoding="utf-8") as table:
            rows = csv.writer(table, lineterminator="\n")
            if table.tell() == 0:
                rows.writerow(self._columns)
            figures = [f"{score:.4f}" for score in scores]
            rows.writerow([path.name, said, self._group, *figures])
