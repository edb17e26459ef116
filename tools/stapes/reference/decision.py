"""From window scores to one decision, in integers: the same as firmware/runtime/src/decision.c, line by line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.recipe import DecisionSpec

UNKNOWN = -1


@dataclass(frozen=True)
class Verdict:
    """A decision over all windows so far.

    `class_index` is `UNKNOWN` when `confidence` (weighted mean score of `best`, in steps of the score above its zero
    point, rounded down) is below the threshold.
    """

    class_index: int
    best: int
    confidence: int


@dataclass(frozen=True)
class DecisionRule:
    """`zero_point` and `threshold` are in steps of the network's output."""

    vote: str
    zero_point: int
    threshold: int

    @classmethod
    def of(cls, spec: DecisionSpec, scale: float, zero_point: int) -> DecisionRule:
        """The rule of a bundle, for an output tensor with this scale and zero point."""
        return cls(spec.vote, zero_point, math.ceil(spec.min_confidence / scale - 1e-9))

    def weight(self, pcm: npt.NDArray[np.int16]) -> int:
        """Weight of the window with these samples: 1, or its root mean square in int16 steps (at least 1)."""
        if self.vote == "mean" or len(pcm) == 0:
            return 1
        wide = pcm.astype(np.int64)
        return max(1, math.isqrt(int(np.dot(wide, wide)) // len(pcm)))

    def verdict(self, scores: Sequence[npt.NDArray[np.int8]], weights: Sequence[int]) -> Verdict:
        """The vote over windows; `scores` is one int8 vector a window. Raises ValueError without any window."""
        if not scores:
            raise ValueError("no window to decide on")
        table = np.stack(scores).astype(np.int64) - self.zero_point
        sums = (table * np.asarray(weights, dtype=np.int64)[:, None]).sum(axis=0)
        best = int(np.argmax(sums))
        confidence = int(sums[best]) // sum(weights)
        return Verdict(UNKNOWN if confidence < self.threshold else best, best, confidence)
