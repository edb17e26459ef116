"""Normalisation of a window by its own mean and standard deviation, in integers.

It needs the whole window before its first value, so rows cannot be streamed nor shared between overlapping
windows: a classifier that works row by row uses fixed constants instead. firmware/runtime/src/frontend_window.c is
the same in C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_DEVIATION = 1 << 20
"""Q25 octaves; a window that varies less is constant and becomes all zero points."""


@dataclass(frozen=True)
class WindowOutput:
    """int8 scale of `(value - mean) / std`, where mean and std are those of the window."""

    scale: float
    zero_point: int

    @property
    def numerator(self) -> int:
        """Q20 int8 steps per octave times the deviation in Q25."""
        return round(2.0**45 / self.scale)


def normalize_window(log_mel: npt.NDArray[np.int32], output: WindowOutput) -> npt.NDArray[np.int8]:
    """int32[frames, n_mels] logarithms (Q24 octaves, at most 2^19 of them) to int8 of the same shape."""
    values = log_mel.astype(np.int64)
    count = values.size
    mean = (int(values.sum()) + count // 2) // count
    deviations = values - mean
    squares = int(np.square(deviations >> 9).sum())
    deviation = math.isqrt(squares // count << 20)
    if deviation < LEAST_DEVIATION:
        return np.full(values.shape, output.zero_point, np.int8)
    gain = min(output.numerator // deviation, 2**31 - 1)
    steps = (deviations * gain + (1 << 27)) >> 28
    rounded = (steps + (output.zero_point << 16) + (1 << 15)) >> 16
    return np.asarray(np.clip(rounded, -128, 127), np.int8)
