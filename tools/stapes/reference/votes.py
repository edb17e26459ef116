"""How windows decide together: the twins of firmware/runtime/src/vote_*.c, listed in votes.def.

In int64 they compute the device's bits; training gives them the same scores in floating point. A table of scores is
[windows, classes], above the zero point; weights are [windows], as `weight` gives them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]
"""int64, or floating point."""


def _sums(table: Numbers, weights: Numbers) -> Numbers:
    sums: Numbers = (table * weights[:, None]).sum(axis=0)
    return sums


class Vote:
    """The mean of the windows, all alike; the others say what they do otherwise."""

    weighs = False
    """Whether windows weigh differently."""

    def weight(self, square_sum: int, samples: int) -> int:
        """The weight, at least 1, of a window of `samples` samples whose squares sum to `square_sum`."""
        return 1

    def rank(self, table: Numbers, weights: Numbers) -> Numbers:
        """What classes are compared by, [classes]: the larger wins, between equals the larger sum, then the first."""
        return _sums(table, weights)

    def scores(self, table: Numbers, weights: Numbers, resolution: int, full: int) -> Numbers:
        """Each class's score in 1/`resolution` steps, rounded down, int64[classes]; `full` is that of all votes."""
        scores: Numbers = _sums(table, weights) * resolution // weights.sum()
        return scores

    def threshold(self, least: float, full: float) -> int:
        """The least score that is not below the share `least` of `full`."""
        return math.ceil(least * full - 1e-9)

    def best(self, table: Numbers, weights: Numbers) -> int:
        """The class that wins."""
        ranks, sums = self.rank(table, weights), _sums(table, weights)
        return max(range(len(sums)), key=lambda index: (ranks[index], sums[index], -index))


class Mean(Vote):
    """vote_mean.c."""


class Energy(Vote):
    """vote_energy.c: a window counts as much as its root mean square."""

    weighs = True

    def weight(self, square_sum: int, samples: int) -> int:
        """See `Vote.weight`."""
        return max(1, math.isqrt(square_sum // samples)) if samples else 1


class Majority(Vote):
    """vote_majority.c: every window has one vote, for its best class."""

    def rank(self, table: Numbers, weights: Numbers) -> Numbers:
        """See `Vote.rank`."""
        return np.bincount(table.argmax(axis=1), minlength=table.shape[1]).astype(np.int64)

    def scores(self, table: Numbers, weights: Numbers, resolution: int, full: int) -> Numbers:
        """See `Vote.scores`: the share of windows."""
        return self.rank(table, weights) * full // len(table)

    def threshold(self, least: float, full: float) -> int:
        """See `Vote.threshold`: rounded down as the share is, so that 3 of 5 windows reach 0.6."""
        return math.floor(least * full + 1e-9)


class Median(Vote):
    """vote_median.c: the median of a class's scores; of an even number of windows the mean of the middle two."""

    def rank(self, table: Numbers, weights: Numbers) -> Numbers:
        """See `Vote.rank`: twice the median."""
        ordered = np.sort(table, axis=0)
        twice: Numbers = ordered[(len(table) - 1) // 2] + ordered[len(table) // 2]
        return twice

    def scores(self, table: Numbers, weights: Numbers, resolution: int, full: int) -> Numbers:
        """See `Vote.scores`."""
        scores: Numbers = self.rank(table, weights) * resolution // 2
        return scores


_VOTES: dict[str, Vote] = {"mean": Mean(), "energy": Energy(), "majority": Majority(), "median": Median()}


def vote(name: str) -> Vote:
    """The vote that votes.def lists by this name."""
    return _VOTES[name]
