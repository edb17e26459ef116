"""Sounds shorter than a window: heard whole, at a random place between digital silence, as a device hears them."""

from __future__ import annotations

import numpy as np

from stapes.training.augment import Float32
from stapes.training.shards import Features


def extent(features: Features) -> tuple[int, int]:
    """First frame with sound, and one past the last; of digital silence alone, all frames."""
    heard = np.flatnonzero(features.after > features.before)
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, len(features.before))


def place(power: Float32, frames: int, rng: np.random.Generator, out: Float32 | None = None) -> Float32:
    """`power` [n, n_mels] at a random place in `frames` ≥ n frames of digital silence; in `out` if given."""
    window = np.empty((frames, power.shape[1]), dtype=np.float32) if out is None else out
    start = int(rng.integers(frames - len(power) + 1))
    window[:start] = window[start + len(power) :] = 0
    window[start : start + len(power)] = power
    return window
