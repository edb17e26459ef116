"""gemmlowp's fixed-point functions of which TFLM makes softmax, logistic and tanh.

Values are int32 held in int64 arrays; "Qn" has n integer bits and 31 - n fractional bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.int8.arithmetic import (
    INT32_MAX,
    INT32_MIN,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

Fixed = npt.NDArray[np.int64]


def shift_left_saturating(x: Fixed, bits: int) -> Fixed:
    """x * 2^bits, saturated to int32."""
    shifted: Fixed = np.clip(x << bits, INT32_MIN, INT32_MAX)
    return shifted


def exp_on_negative_values(a: Fixed, integer_bits: int = 5) -> Fixed:
    """exp(a) for a ≤ 0 in Q`integer_bits`, as Q0: polynomial on a quarter, then a factor for each bit."""
    fractional = 31 - integer_bits
    quarter = 1 << (fractional - 2)
    within = (a & (quarter - 1)) - quarter
    result = _exp_on_quarter(shift_left_saturating(within, integer_bits))
    remainder = within - a
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, factor in zip(range(-2, integer_bits), factors, strict=False):
        bit = 1 << (fractional + exponent)
        result = np.where(remainder & bit, saturating_rounding_doubling_high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def one_over_one_plus_x(a: Fixed) -> Fixed:
    """1 / (1 + a) for a in [0, 1) as Q0."""
    return shift_left_saturating(_two_over_one_plus_x(a), 1)


def logistic(a: Fixed, integer_bits: int = 4) -> Fixed:
    """1 / (1 + exp(-a)) of a in Q`integer_bits`, as Q0."""
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: Fixed, integer_bits: int = 4) -> Fixed:
    """tanh(a) of a in Q`integer_bits`, as Q0: (1 - e) / (1 + e) with e = exp(-2|a|)."""
    exponential = exp_on_negative_values(-np.abs(a), integer_bits + 1)  # one integer bit more: doubled
    size = shift_left_saturating(_two_over_one_plus_x(exponential) - (1 << 29), 2)
    return np.sign(a) * size


def _two_over_one_plus_x(a: Fixed) -> Fixed:
    """2 / (1 + a) for a in [0, 1) as Q2: three Newton steps."""
    mul = saturating_rounding_doubling_high_mul
    half_denominator = (a + INT32_MAX + 1) >> 1
    x = 1515870810 + mul(half_denominator, -1010580540)  # 48/17 - 32/17 d
    for _ in range(3):
        one_minus = (1 << 29) - mul(half_denominator, x)
        x = x + shift_left_saturating(mul(x, one_minus), 2)
    return x


def _exp_on_quarter(a: Fixed) -> Fixed:
    """exp(a) for a in [-1/4, 0), Q0: Taylor series around -1/8."""
    mul = saturating_rounding_doubling_high_mul
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3 = mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2)
    series = rounding_divide_by_pot(mul(x4_over_4 + x3, 715827883) + x2, 1)
    return 1895147668 + mul(x + series, 1895147668)
