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

_CHUNK = 1 << 14
"""Sums at a time: they stay in the cache."""


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


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """The multiplier and shift of a MEAN over `count` values: the division is taken into the multiplier, truncating,
    with as many bits more as there is room for.
    """
    multiplier, shift = quantized_multiplier(real)
    more = 0
    while 2 << more <= count:
        more += 1
    more = min(more, 32, 31 + shift)
    return multiplier * 2**more // count, shift - more


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
        sign = product >> 63
        # nudge = product >= 0 ? 2^30 : 1 - 2^30
        product += sign & (1 - (1 << 31))
        product += 1 << 30
        # Division by 2^31 towards zero.
        np.right_shift(product, 63, out=sign)
        sign &= (1 << 31) - 1
        product += sign
        product >>= 31
        high = product.astype(np.int32)
        mask = np.int32((1 << right) - 1)
        threshold = (high < 0).astype(np.int32)
        threshold += mask >> 1
        above = (high & mask) > threshold
        high >>= np.int32(right)
        high += above
        # Where the zero point would leave int32, the output is long since a limit.
        np.clip(high, -(1 << 30), 1 << 30, out=high)
        high += np.int32(self.zero_point)
        np.clip(high, self.minimum, self.maximum, out=high)
        return high.astype(np.int8)

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
