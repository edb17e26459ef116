"""The scores that two windows of noise must give on every device: what `stapes_selftest_run` compares with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.recipe import Bundle
from stapes.reference import Reference

LEVELS, LEVEL_SAMPLES = 8, 2048
WINDOWS = 2
"""The second shares rows with the first, where windows do."""


def noise(count: int) -> npt.NDArray[np.int16]:
    """The `count` samples of firmware/runtime/src/selftest.c: xorshift32 noise whose level halves every 2048 samples,
    eight times over.
    """
    samples = np.empty(count, dtype=np.int16)
    state = 1
    for index in range(count):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        value = (state >> 16) - 32768
        level = 1 << (index // LEVEL_SAMPLES % LEVELS)
        samples[index] = value // level if value >= 0 else -(-value // level)  # as C divides
    return samples


def selftest_scores(bundle: Bundle) -> list[int]:
    """The reference's scores of `WINDOWS` windows, one after the other."""
    spec, window = bundle.manifest.frontend, bundle.manifest.window
    pcm = noise(spec.samples(window.frames + (WINDOWS - 1) * window.hop_frames))
    windows = list(Reference(bundle).windows(pcm))
    return [int(score) for each in windows for score in each.scores]
