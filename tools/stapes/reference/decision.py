"""From window scores to one decision, in integers: the same as firmware/runtime/src/decision.c, line by line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.recipe import DecisionSpec

UNKNOWN = -1
_INT16_MAX = 2**15 - 1


@dataclass(frozen=True)
class Verdict:
    """A decision over all windows so far.

    `confidence` is in steps of the score above its zero point, rounded down: the weighted mean score of `best`, or for
    a majority the share of windows that voted for it. Below the threshold `class_index` is `UNKNOWN`.
    """

    class_index: int
    best: int
    confidence: int


@dataclass(frozen=True)
class DecisionRule:
    """`zero_point`, `threshold` and `full_score` (a majority of all windows) are in steps of the network's output."""

    vote: str
    zero_point: int
    threshold: int
    full_score: int = 256

    @classmethod
    def of(cls, spec: DecisionSpec, scale: float, zero_point: int) -> DecisionRule:
        """The rule of a bundle, for an output tensor with this scale and zero point."""
        full = min(1.0 / scale, _INT16_MAX)
        threshold = math.ceil(spec.min_confidence / scale - 1e-9)
        if spec.vote == "majority":
            threshold = math.floor(
                spec.min_confidence * full + 1e-9
            )  # as the share: 3 of 5 windows reach 0.6
        return cls(spec.vote, zero_point, threshold, math.ceil(full - 1e-9))

    def weight(self, pcm: npt.NDArray[np.int16]) -> int:
        """Weight of the window with these samples: 1, or its root mean square in int16 steps (at least 1)."""
        if self.vote != "energy" or len(pcm) == 0:
            return 1
        wide = pcm.astype(np.int64)
        return max(1, math.isqrt(int(np.dot(wide, wide)) // len(pcm)))

    def verdict(self, scores: Sequence[npt.NDArray[np.int8]], weights: Sequence[int]) -> Verdict:
        """The vote over windows; `scores` is one int8 vector a window. Raises ValueError without any window."""
        if not scores:
            raise ValueError("no window to decide on")
        table = np.stack(scores).astype(np.int64) - self.zero_point
        sums = (table * np.asarray(weights, dtype=np.int64)[:, None]).sum(axis=0)
        if self.vote == "majority":
            votes = np.bincount(table.argmax(axis=1), minlength=len(sums))
            best = max(range(len(sums)), key=lambda index: (votes[index], sums[index], -index))
            confidence = int(votes[best]) * self.full_score // len(scores)
        else:
            best = int(np.argmax(sums))
            confidence = int(sums[best]) // sum(weights)
        return Verdict(UNKNOWN if confidence < self.threshold else best, best, confidence)
