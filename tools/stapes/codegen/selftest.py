"""Writes stapes_selftest_data.h: the scores that a window of noise must give on every device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.codegen.emitter import Provenance, render, write_source
from stapes.recipe import Bundle
from stapes.reference import Reference

LEVELS, LEVEL_SAMPLES = 8, 2048


def noise(count: int) -> npt.NDArray[np.int16]:
    """The `count` samples of firmware/export/stapes_selftest.c: xorshift32 noise whose level halves every 2048
    samples, eight times over.
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


def generate_selftest(bundle: Bundle, directory: Path, provenance: Provenance) -> Path:
    """Write the file into `directory`."""
    reference = Reference(bundle)
    window = bundle.manifest.frontend.samples(bundle.manifest.window.frames)
    scores = next(iter(reference.windows(noise(window)))).scores
    text = render(
        "selftest_data.h.j2",
        provenance=provenance,
        title="What the self-test must give",
        scores=[int(score) for score in scores],
    )
    return write_source(directory, "stapes_selftest_data.h", text)
