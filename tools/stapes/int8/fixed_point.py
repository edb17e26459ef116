"""gemmlowp's fixed-point functions of which TFLM makes softmax, logistic and tanh.

Values are int32 held in int64 arrays; "Qn" has n integer bits and 31 - n fractional bits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from stapes.definitions import read_definitions
from stapes.int8.arithmetic import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    bit_length,
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


def reciprocal(x: int) -> tuple[int, int]:
    """`(multiplier, bits)` with 1 / x ≈ multiplier * 2^-(31 + bits), for x ≥ 1 (`GetReciprocal`)."""
    headroom = 32 - x.bit_length()
    fraction = np.array([(x << headroom) - (1 << 31)], np.int64)
    return int(one_over_one_plus_x(fraction)[0]), 31 - headroom


def inverse_square_root(x: int) -> tuple[int, int]:
    """`(multiplier, shift)` of 1 / sqrt(x) for 0 ≤ x < 2^29, a negative shift to the right
    (`GetInvSqrtQuantizedMultiplierExp`); 0 is taken for 1.
    """
    if x <= 1:
        return INT32_MAX, 0
    pairs = (31 - x.bit_length()) // 2 - 1
    half_input = rounding_divide_by_pot(np.array([(x << (2 * pairs)) >> 1]), 1)
    mul = saturating_rounding_doubling_high_mul
    root = np.array([1 << 28])
    for _ in range(5):
        cube = shift_left_saturating(mul(mul(root, root), root), 6)
        step = mul(np.array([(1 << 28) + (1 << 27)]), root) - mul(half_input, cube)
        root = shift_left_saturating(step, 3)
    multiplier, shift = int(mul(root, 1518500250)[0]), 11 - pairs
    return (multiplier << -shift, 0) if shift < 0 else (multiplier, -shift)


def log_of_sum(x: Fixed) -> Fixed:
    """log(x) in Q5 of x ≥ 1 in Q12 (`log_x_for_x_greater_than_or_equal_to_1`)."""
    mul = saturating_rounding_doubling_high_mul
    root_half, fourth_root_half, quarter = 1518500250, 1805811301, 1 << 23
    headroom = 32 - bit_length(x)
    first = shift_left_saturating(mul(_shifted(x, headroom - 1), root_half), 1)
    first_power = ((12 - headroom) << 25) + quarter
    other_headroom = 31 - bit_length(mul(x, root_half))
    second = _shifted(x, other_headroom)
    second_power = ((12 - other_headroom) << 25) - quarter
    r = np.minimum(first, second)
    power = np.maximum(first_power, second_power)
    p = (r + fourth_root_half + 1) // 2  # both are positive
    q = 2 * (r - fourth_root_half)
    square = mul(q, q)
    numerator = mul(q, r) + mul(mul(q, square), 117049297)
    denominator = mul(p, 1057819769 + q + mul(square, 127690142)) + mul(q, 638450708)
    inverse = one_over_one_plus_x(denominator)
    total = mul(power, 1488522236) + mul(rounding_divide_by_pot(numerator, 6), inverse)
    return shift_left_saturating(total, 1)


def _shifted(x: Fixed, bits: Fixed) -> Fixed:
    shifted: Fixed = np.clip(x << bits, INT32_MIN, INT32_MAX)
    return shifted


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


@cache
def _sigmoid_table() -> npt.NDArray[np.int64]:
    """sigmoid(i / 24) in steps of 2^-16."""
    rows = read_definitions("runtime/include/stapes/sigmoid.def")
    return np.array([int(value) for row in rows for value in row.arguments], np.int64)


def _interpolated(size: IntArray, bits: int, last: int) -> npt.NDArray[np.int64]:
    """The table between its entries, 2^bits steps apart; `last` behind them."""
    table = _sigmoid_table()
    index = np.minimum(size >> bits, 254)
    rest = size & ((1 << bits) - 1)
    between = (table[index] << bits) + rest * (table[index + 1] - table[index])
    return np.where(size >> bits >= 255, last, between)


def interpolated_sigmoid(thrice: IntArray) -> npt.NDArray[np.int64]:
    """Of three times a value in Q3.12, in steps of 2^-15."""
    result = _interpolated(np.abs(thrice), 9, 0x7FFF << 10)
    return np.where(thrice >= 0, result + 512, (1 << 25) - result + 511) >> 10


def interpolated_tanh(thrice: IntArray) -> npt.NDArray[np.int64]:
    """Of three times a value in Q3.12, in steps of 2^-15."""
    result = _interpolated(np.abs(thrice), 8, 0xFFFF << 8) - (1 << 23)
    return np.where(thrice >= 0, result + 128, 127 - result) >> 8
