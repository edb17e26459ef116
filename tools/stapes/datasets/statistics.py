"""What is in a data set: how many clips, how long, how loud, which sample rates, what is wrong with which file."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from stapes.datasets.audio import audio_info
from stapes.datasets.dataset import Dataset, Pcm, too_short
from stapes.errors import DataError
from stapes.progress import Progress, no_progress

LEVEL_EDGES = tuple(range(-90, 1, 5))
"""dBFS; a full-scale square wave has 0. The first bin holds everything below too."""
_FULL_SCALE = 32768.0


def level_db(pcm: Pcm) -> float:
    """Root mean square of int16[n] in dB of full scale; -inf for silence."""
    mean = float(np.mean(pcm.astype(np.float64) ** 2)) if len(pcm) else 0.0
    return 10 * math.log10(mean / _FULL_SCALE**2) if mean else -math.inf


def describe_dataset(
    dataset: Dataset, minimum_samples: int, progress: Progress = no_progress
) -> dict[str, Any]:
    """Decode every clip once; counts, seconds, levels and rates, and `problems`: every bad or too short clip.

    `levels` are per clip, in dB of full scale; `clipped` counts the clips that reach full scale.
    """
    problems: list[str] = []
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
        by_class[clip.label] += 1
        by_class_and_fold[clip.label][clip.fold] += 1
        lengths.append(len(pcm) / dataset.sample_rate)
        seconds[clip.label] += lengths[-1]
        identities[clip.identity()].append(clip.name)
        level = level_db(pcm)
        silent += level == -math.inf
        clipped += bool(np.any((pcm == 32767) | (pcm == -32768)))
        levels.append(level)
        if clip.foreground is not None:
            foreground[clip.foreground] += 1
    progress("clips", len(dataset.clips), len(dataset.clips))
    audible = [level for level in levels if level > -math.inf]
    counts, _ = np.histogram(np.clip(audible, LEVEL_EDGES[0], -1e-9), bins=LEVEL_EDGES)
    return {
        "clips": sum(by_class.values()),
        "seconds": sum(seconds.values()),
        "shortest_seconds": min(lengths, default=0.0),
        "median_seconds": statistics.median(lengths) if lengths else 0.0,
        "longest_seconds": max(lengths, default=0.0),
        "labels": list(dataset.labels),
        "folds": list(dataset.folds),
        "classes": [
            {
                "label": label,
                "clips": by_class[label],
                "seconds": seconds[label],
                "per_fold": [by_class_and_fold[label][fold] for fold in dataset.folds],
            }
            for label in dataset.labels
        ],
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
        "problems": problems,
    }
