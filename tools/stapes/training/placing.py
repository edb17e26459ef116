"""Sounds shorter than a window: heard whole, at a random place between digital silence, as a device hears them."""

from __future__ import annotations

import numpy as np

from stapes.training.augment import Float32
from stapes.training.shards import Features


def extent(features: Features) -> tuple[int, int]:
    """First frame with sound, and one past the last; of digital silence alone, all frames."""
    heard = np.flatnonzero(features.after > features.before)
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, len(features.before))


def place(power: Float32, rng: np.random.Generator, out: Float32) -> None:
    """`power` [n, n_mels] at a random place in digital silence: into `out` [at least n, n_mels]."""
    start = int(rng.integers(len(out) - len(power) + 1))
    out[:start] = out[start + len(power) :] = 0
    out[start : start + len(power)] = power
