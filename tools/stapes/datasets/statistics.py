"""What is in a data set: how many clips, how long, how loud, which sample rates, what is wrong with which file."""

from __future__ import annotations

import math
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stapes.datasets.audio import audio_info
from stapes.datasets.dataset import Dataset, Pcm, some, too_short
from stapes.errors import DataError
from stapes.progress import Progress, no_progress

LEVEL_EDGES = tuple(range(-90, 1, 5))
"""dBFS; a full-scale square wave has 0. The first bin holds everything below too."""
_FULL_SCALE = 32768.0

_SPECTRUM = 512
_ABOVE_ROUNDING = 16.0
_NARROW = 0.8
_ONE_PLACE = 0.1
_LOWEST_EDGE = 1000.0
_SPREAD_DB = 10.0
"""Between recordings: beyond it a network that has not heard the level fails on the quietest."""
_MUCH_SILENCE = 0.2
_RUN = 32
"""Zeros one after the other that are digital silence."""


def level_db(pcm: Pcm) -> float:
    """Root mean square of int16[n] in dB of full scale; -inf for silence."""
    mean = float(np.mean(pcm.astype(np.float64) ** 2)) if len(pcm) else 0.0
    return 10 * math.log10(mean / _FULL_SCALE**2) if mean else -math.inf


def bandwidth_hz(pcm: Pcm, sample_rate: int) -> float | None:
    """Up to which frequency int16[n] holds more than the rounding to 16 bits; None for less than 64 ms or silence."""
    count = len(pcm) // _SPECTRUM
    if count * _SPECTRUM < 0.064 * sample_rate or not pcm.any():
        return None
    window = np.hanning(_SPECTRUM)
    frames = pcm[: count * _SPECTRUM].reshape(count, _SPECTRUM) * window
    power = np.square(np.abs(np.fft.rfft(frames))).mean(axis=0)
    rounding = np.square(window).sum() / 12
    above = np.flatnonzero(power > _ABOVE_ROUNDING * rounding)
    return float((above[-1] if len(above) else 0) * sample_rate / _SPECTRUM)


@dataclass
class _Recording:
    """What the clips of one recording are together."""

    fold: int
    clips: int = 0
    samples: int = 0
    silent: int = 0
    squares: float = 0.0
    bandwidth: float | None = None

    def add(self, pcm: Pcm, width: float | None) -> None:
        self.clips += 1
        self.samples += len(pcm)
        whole = pcm[: len(pcm) // _RUN * _RUN].reshape(-1, _RUN)
        self.silent += _RUN * int(np.count_nonzero(~whole.any(axis=1)))
        self.squares += float(np.sum(pcm.astype(np.float64) ** 2))
        self.bandwidth = max(filter(None, (self.bandwidth, width)), default=self.bandwidth)

    @property
    def level_db(self) -> float | None:
        """Of what sounds: digital silence is no part of it. None where nothing does."""
        sounding = self.samples - self.silent
        return 10 * math.log10(self.squares / sounding / _FULL_SCALE**2) if self.squares else None


def _spread(recordings: Mapping[str, _Recording]) -> list[str]:
    """What to say of occasions of very different levels (recordings of several clips, else folds), and of silence."""
    occasions = [
        (name, found.level_db)
        for name, found in recordings.items()
        if found.clips > 1 and found.level_db is not None
    ]
    if not occasions:
        of_fold: dict[int, list[float]] = defaultdict(list)
        for found in recordings.values():
            if found.level_db is not None:
                of_fold[found.fold].append(found.level_db)
        occasions = [(f"fold {fold}", statistics.median(levels)) for fold, levels in of_fold.items()]
    said = []
    if occasions:
        (quiet, low), (loud, high) = (choose(occasions, key=lambda item: item[1]) for choose in (min, max))
        if high - low > _SPREAD_DB:
            said.append(
                f"recordings differ by {high - low:.0f} dB in level: {quiet} {low:.0f} dBFS, {loud} {high:.0f} dBFS; "
                f"set training.gain_db to about {math.ceil(high - low)}, or record at one level"
            )
    silent = [name for name, found in recordings.items() if found.silent > _MUCH_SILENCE * found.samples]
    if silent:
        said.append(
            f"{len(silent)} recordings are digital silence for more than {_MUCH_SILENCE:.0%}: {some(silent)}; no "
            "microphone gives that: set training.silence, or a network may take it for a class"
        )
    return said


def _narrow(bandwidths: Mapping[str, Sequence[float]]) -> list[str]:
    """What to say of classes that all end at one frequency, below that of the others: a network may learn the recorder.

    A filter's edge is at one place in all clips; natural sounds fade out at many.
    """
    middle = {label: statistics.median(values) for label, values in bandwidths.items() if values}
    widest = max(middle.values(), default=0.0)
    return [
        f"class {label} has nothing above {middle[label] / 1000:.1f} kHz, others reach {widest / 1000:.1f} kHz: "
        "a network can tell them by the recorder, whatever the sound"
        for label, values in bandwidths.items()
        if values
        and max(values) < _NARROW * widest
        and max(values) - min(values) < _ONE_PLACE * max(values)
        and max(values) > _LOWEST_EDGE
    ]


def describe_dataset(
    dataset: Dataset,
    minimum_samples: int,
    progress: Progress = no_progress,
    *,
    tagging: bool = False,
) -> dict[str, Any]:
    """Decode every clip once; counts, seconds, levels and rates, and what is wrong.

    `problems` are all bad or too short clips, and what makes the whole useless (`Dataset.require_trainable`);
    `warnings` are classes that their recorder tells apart, levels that differ much, much silence. `recordings` has a
    row for each, by fold; its level is of what sounds. `levels` are per clip, in dB of full scale; `clipped` counts
    the clips that reach full scale.
    """
    problems: list[str] = []
    bandwidths: dict[str, list[float]] = {label: [] for label in dataset.labels}
    try:
        dataset.require_trainable(tagging=tagging)
    except DataError as error:
        problems.append(error.message)
    seconds: dict[str, float] = defaultdict(float)
    levels: list[float] = []
    by_class: Counter[str] = Counter()
    by_class_and_fold: dict[str, Counter[int]] = defaultdict(Counter)
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    foreground: Counter[bool] = Counter()
    lengths: list[float] = []
    identities: dict[str, list[str]] = defaultdict(list)
    silent = clipped = 0
    recordings: dict[str, _Recording] = {}
    paths = [clip.path for clip in dataset.clips if clip.path is not None]
    above = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    for done, clip in enumerate(dataset.clips):
        progress("clips", done, len(dataset.clips))
        try:
            pcm = clip.pcm
            if clip.path is not None:
                info = audio_info(clip.path)
                rates[info.sample_rate] += 1
                channels[info.channels] += 1
        except DataError as error:
            problems.append(error.message)
            continue
        if len(pcm) < minimum_samples:
            problems.append(too_short(clip.name, len(pcm), minimum_samples, dataset.sample_rate))
        lengths.append(len(pcm) / dataset.sample_rate)
        for label in clip.labels or ("",):
            by_class[label] += 1
            by_class_and_fold[label][clip.fold] += 1
            seconds[label] += lengths[-1]
        identities[clip.identity()].append(clip.name)
        width = bandwidth_hz(pcm, dataset.sample_rate)
        if width is not None and clip.label:
            bandwidths[clip.label].append(width)
        name = clip.name if clip.path is None else clip.path.relative_to(above).as_posix()
        recordings.setdefault(name, _Recording(clip.fold)).add(pcm, width)
        level = level_db(pcm)
        silent += level == -math.inf
        clipped += bool(np.any((pcm == 32767) | (pcm == -32768)))
        levels.append(level)
        if clip.foreground is not None:
            foreground[clip.foreground] += 1
    progress("clips", len(dataset.clips), len(dataset.clips))

    def counted(label: str) -> dict[str, Any]:
        return {
            "clips": by_class[label],
            "seconds": seconds[label],
            "per_fold": [by_class_and_fold[label][fold] for fold in dataset.folds],
        }

    audible = [level for level in levels if level > -math.inf]
    counts, _ = np.histogram(np.clip(audible, LEVEL_EDGES[0], -1e-9), bins=LEVEL_EDGES)
    return {
        "clips": len(lengths),
        "seconds": sum(lengths),
        "shortest_seconds": min(lengths, default=0.0),
        "median_seconds": statistics.median(lengths) if lengths else 0.0,
        "longest_seconds": max(lengths, default=0.0),
        "labels": list(dataset.labels),
        "folds": list(dataset.folds),
        "classes": [{"label": label} | counted(label) for label in dataset.labels],
        "no_label": counted(""),
        "sample_rates": {str(rate): count for rate, count in sorted(rates.items())},
        "channels": {str(number): count for number, count in sorted(channels.items())},
        "foreground": foreground[True] if foreground else None,
        "background": foreground[False] if foreground else None,
        "levels": {
            "edges_db": list(LEVEL_EDGES),
            "counts": [int(count) for count in counts],
            "median_db": statistics.median(audible) if audible else None,
        },
        "silent": silent,
        "clipped": clipped,
        "same_content": [names for names in identities.values() if len(names) > 1],
        "recordings": [
            {
                "recording": name,
                "fold": found.fold,
                "clips": found.clips,
                "seconds": found.samples / dataset.sample_rate,
                "level_db": found.level_db,
                "silent_share": found.silent / found.samples if found.samples else 0.0,
                "bandwidth_hz": found.bandwidth,
            }
            for name, found in sorted(recordings.items(), key=lambda item: (item[1].fold, item[0]))
        ],
        "warnings": [*_narrow(bandwidths), *_spread(recordings)],
        "problems": list(dict.fromkeys(problems)),
    }
