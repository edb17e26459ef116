"""Thresholds and lags of a bundle's events, from clips that the network was trained on: `stapes calibrate`."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stapes.errors import DataError
from stapes.live.scene import Sound, Truth, scene
from stapes.recipe import Bundle, LiveSpec
from stapes.reference import LiveReference, LiveTwin, Reference

CANDIDATES = tuple(round(0.2 + 0.05 * step, 2) for step in range(16))


LEAST_SOUNDS = 8
"""Different clips of a class, below which a threshold would follow single clips."""


def too_few(bundle: Bundle, sounds: Sequence[Sound]) -> dict[str, int]:
    """The classes, `other` not, that there are too few sounds of to calibrate, and how many there are."""
    counts = Counter(label for label, _ in sounds)
    labels = [label for label in bundle.manifest.labels if label != bundle.manifest.live.other]
    return {label: counts[label] for label in labels if counts[label] < LEAST_SOUNDS}


@dataclass(frozen=True)
class Heard:
    """A window: its span in seconds, its smoothed scores (0 to 1 for a softmax)."""

    start: float
    end: float
    scores: tuple[float, ...]


class _Recorder(LiveTwin):
    """Keeps every window's smoothed scores."""

    def _decide(self) -> None:
        super()._decide()
        kept: list[tuple[int, tuple[int, ...]]] = self.__dict__.setdefault("kept", [])
        kept.append((self.samples, tuple(self.scores)))


def calibrate(bundle: Bundle, sounds: Sequence[Sound], *, seconds: float = 1800.0, seed: int = 2) -> LiveSpec:
    """The bundle's `[live]` section with a threshold for every class and the lags of its events.

    A class's threshold is the one with the highest F1 over the windows of a scene of `sounds`; those that hold less
    than half of an event and of which an event fills less than half do not count. `start_lag_seconds` is the median
    time from the true start to the end of the first window over the threshold, `end_lag_seconds` from the true end
    to the end of the last one. A class with too few sounds (`too_few`) keeps the threshold that it has; raises
    `DataError` where all are such.
    """
    manifest = bundle.manifest
    few = too_few(bundle, sounds)
    if few.keys() >= {*manifest.labels} - {manifest.live.other}:
        raise DataError(
            f"too few sounds to calibrate with: {', '.join(f'{label} {count}' for label, count in few.items())}; a "
            f"class needs {LEAST_SOUNDS} clips outside of the test fold",
            hint="record and label more; until then the thresholds of [live] hold",
        )
    rate = manifest.frontend.sample_rate
    listening = LiveReference(Reference(bundle))
    recorder = _Recorder(listening.rule, listening.reference.scores, listening.twin.silent)
    listening.twin = recorder
    truth: list[Truth] = []
    for piece in scene(sounds, rate, seconds, seed):
        listening.push(piece.pcm)
        truth += [piece.truth] if piece.truth else []
    scale = listening.reference.graph.tensor(listening.reference.graph.outputs[0]).scale / 256
    length = manifest.frontend.samples(manifest.window.frames) / rate
    heard = [
        Heard(samples / rate - length, samples / rate, tuple(score * scale for score in scores))
        for samples, scores in recorder.__dict__.get("kept", [])
    ]
    front = manifest.frontend
    found = fitted(manifest.live, manifest.labels, heard, truth, front.hop_length / front.sample_rate)
    kept = {label: manifest.live.thresholds[label] for label in few if label in manifest.live.thresholds}
    thresholds = {label: value for label, value in found.thresholds.items() if label not in few} | kept
    return found.model_copy(update={"thresholds": thresholds})


def fitted(
    live: LiveSpec, labels: Sequence[str], heard: Sequence[Heard], truth: Sequence[Truth], frame: float = 0.01
) -> LiveSpec:
    """`live` with thresholds and lags that fit what was `heard` of the `truth`; see `calibrate`.

    Lags are at least a `frame`, in seconds: 0 would mean the default.
    """
    thresholds = {
        label: best
        for index, label in enumerate(labels)
        if label != live.other and (best := _threshold(index, label, heard, truth)) is not None
    }
    late, long = [], []
    for event in truth:
        index = labels.index(event.label)
        least = thresholds.get(event.label, live.threshold)
        over = [
            window.end
            for window in heard
            if window.end > event.start
            and window.start < event.end
            and window.scores[index] >= least
            and (live.multi_label or window.scores[index] == max(window.scores))
        ]
        if over:
            late.append(over[0] - event.start)
            long.append(over[-1] - event.end)
    changes: dict[str, object] = {"thresholds": thresholds}
    if late:
        changes["start_lag_seconds"] = _lag(late, frame)
        changes["end_lag_seconds"] = _lag(long, frame)
    return LiveSpec.model_validate(live.model_dump() | changes)


def _lag(seconds: Sequence[float], frame: float) -> float:
    return max(round(statistics.median(seconds), 2), math.ceil(frame * 100) / 100)


def _threshold(index: int, label: str, heard: Sequence[Heard], truth: Sequence[Truth]) -> float | None:
    """The candidate with the highest F1 for one class, the highest of several; None without examples."""
    scores, wanted = [], []
    for window in heard:
        shares = [_share(window, event) for event in truth if event.label == label]
        most = max(shares, default=0.0)
        if most == 0.0 or most >= 0.5:
            scores.append(window.scores[index])
            wanted.append(most > 0.0)
    is_wanted = np.array(wanted, dtype=bool)
    if not is_wanted.any():
        return None
    best, best_f1 = CANDIDATES[0], -1.0
    for candidate in CANDIDATES:
        found = np.array(scores) >= candidate
        hits = int((found & is_wanted).sum())
        f1 = 2 * hits / (int(found.sum()) + int(is_wanted.sum()))
        if f1 >= best_f1:
            best, best_f1 = candidate, f1
    return best


def _share(window: Heard, event: Truth) -> float:
    """How much of the event the window holds, or how much of the window it fills: the larger."""
    common = min(window.end, event.end) - max(window.start, event.start)
    return max(0.0, common) / min(event.end - event.start, window.end - window.start)


def section(live: LiveSpec) -> str:
    """The `[live]` section as TOML: what differs from the defaults."""
    default = LiveSpec()
    lines, tables = ["[live]"], []
    for name in LiveSpec.model_fields:
        value = getattr(live, name)
        if value == getattr(default, name):
            continue
        if isinstance(value, dict):
            tables += [f"[live.{name}]", *(f"{_key(label)} = {number}" for label, number in value.items())]
        else:
            text = str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
            lines.append(f"{name} = {text}")
    return "\n".join([*lines, *(["", *tables] if tables else [])]) + "\n"


def _key(label: str) -> str:
    """A label as a key of TOML."""
    return label if re.fullmatch(r"[A-Za-z0-9_-]+", label) else json.dumps(label, ensure_ascii=False)
