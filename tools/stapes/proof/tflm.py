"""The rounding of TFLM's reference kernels once more, from gemmlowp's formulas and apart from stapes' own arithmetic.

`SaturatingRoundingDoublingHighMul` with its nudge and its truncating division, `RoundingDivideByPOT` with mask and
threshold, `QuantizeMultiplier` of single doubles: what kernels are compared with, sum by sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.int64]

_CHUNK = 1 << 16


def quantized_multiplier(real: float) -> tuple[int, int]:
    """`(multiplier, shift)` of a double: multiplier in [2^30, 2^31) and a positive shift to the left, or (0, 0)."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    scaled = fraction * 2.0**31
    multiplier = math.floor(scaled + 0.5) if scaled >= 0 else math.ceil(scaled - 0.5)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    return (0, 0) if shift < -31 else (multiplier, shift)


@dataclass(frozen=True)
class Rule:
    """From a 32-bit sum to int8: one channel's constants. A positive shift is one to the left."""

    multiplier: int
    shift: int
    zero_point: int
    minimum: int
    maximum: int

    def outputs(self, sums: Sums) -> npt.NDArray[np.int8]:
        """Of every sum (int32 values in int64)."""
        left, right = max(self.shift, 0), max(-self.shift, 0)
        x = sums
        if left:
            x = ((x << left) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        product = x * self.multiplier
        negative = product >> 63
        # nudge = product >= 0 ? 2^30 : 1 - 2^30
        product += (1 << 30) + (negative & (1 - (1 << 31)))
        # Division by 2^31 towards zero.
        product += (product >> 63) & ((1 << 31) - 1)
        high = product >> 31
        mask = (1 << right) - 1
        threshold = (mask >> 1) + (high < 0)
        scaled = (high >> right) + ((high & mask) > threshold)
        scaled += self.zero_point
        return np.minimum(np.maximum(scaled, self.minimum), self.maximum).astype(np.int8)

    def changes(self, lowest: int, highest: int) -> Changes:
        """Every sum from `lowest` to `highest`, one after the other: where the output becomes another."""
        sums: list[int] = []
        outputs: list[int] = []
        last = None
        for start in range(lowest, highest + 1, _CHUNK):
            some = self.outputs(np.arange(start, min(start + _CHUNK, highest + 1), dtype=np.int64))
            places = np.flatnonzero(some[1:] != some[:-1]) + 1
            if last is None or some[0] != last:
                places = np.concatenate([np.zeros(1, np.int64), places])
            sums += (start + places).tolist()
            outputs += some[places].tolist()
            last = some[-1]
        return Changes(tuple(sums), tuple(outputs))


@dataclass(frozen=True)
class Changes:
    """A function of a range of sums: the sums from which on the output is another, the first of the range among them,
    and these outputs.
    """

    sums: tuple[int, ...]
    outputs: tuple[int, ...]

    def difference(self, other: Changes) -> tuple[int, int | None, int | None] | None:
        """The first sum at which two functions of one range differ, and the outputs there; None where they do not."""
        if self == other:
            return None
        mine, theirs = (dict(zip(each.sums, each.outputs, strict=True)) for each in (self, other))
        one = two = None
        for at in sorted({*mine, *theirs}):
            one, two = mine.get(at, one), theirs.get(at, two)
            if one != two:
                return at, one, two
        return None
