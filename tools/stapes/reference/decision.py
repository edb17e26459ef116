"""From window scores to one decision in integers, as in firmware/runtime/src/decision.c; for votes see votes.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.recipe import DecisionSpec
from stapes.reference.votes import vote

UNKNOWN = -1
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Verdict:
    """A decision over all windows so far.

    `confidence` is the score of `best` in the vote, in 1/resolution steps of the network's, rounded down: a mean above
    the zero point, or for a majority the share of windows that voted for it. Below the threshold `class_index` is
    `UNKNOWN`.
    """

    class_index: int
    best: int
    confidence: int


@dataclass(frozen=True)
class DecisionRule:
    """stapes_decision_rule_t: `threshold` and `full_score` (that of all votes) are in 1/`resolution` steps of the
    network's output, `zero_point` is in steps.
    """

    vote: str
    zero_point: int
    threshold: int
    full_score: int = 256
    resolution: int = 1

    @classmethod
    def of(cls, spec: DecisionSpec, scale: float, zero_point: int) -> DecisionRule:
        """The rule of a bundle, for an output tensor with this scale and zero point."""
        full = min(1.0 / scale, _INT32_MAX)
        threshold = vote(spec.vote).threshold(spec.min_confidence, full)
        return cls(spec.vote, zero_point, threshold, math.ceil(full - 1e-9))

    def weight(self, square_sum: int, samples: int) -> int:
        """Weight, at least 1, of a window of `samples` samples whose squares sum to `square_sum`."""
        return vote(self.vote).weight(square_sum, samples)

    def scores(self, scores: Sequence[npt.NDArray[np.int8]], weights: Sequence[int]) -> list[int]:
        """Each class's score in the vote over windows; `scores` is one int8 vector a window, at least one."""
        found = vote(self.vote).scores(*self._table(scores, weights), self.resolution, self.full_score)
        return [int(score) for score in found]

    def verdict(self, scores: Sequence[npt.NDArray[np.int8]], weights: Sequence[int]) -> Verdict:
        """The vote over windows; `scores` is one int8 vector a window. Raises ValueError without any window."""
        if not scores:
            raise ValueError("no window to decide on")
        best = vote(self.vote).best(*self._table(scores, weights))
        confidence = self.scores(scores, weights)[best]
        return Verdict(UNKNOWN if confidence < self.threshold else best, best, confidence)

    def _table(
        self, scores: Sequence[npt.NDArray[np.int8]], weights: Sequence[int]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        return np.stack(scores).astype(np.int64) - self.zero_point, np.asarray(weights, dtype=np.int64)
