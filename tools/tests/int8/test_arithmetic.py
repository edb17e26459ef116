"""The integer arithmetic against plain-Python transcriptions of its definitions, ties and limits included."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.int8.arithmetic import (
    INT32_MAX,
    INT32_MIN,
    activation_range,
    effective_scales,
    multiply_by_quantized_multiplier,
    output_size,
    padding_before,
    padding_total,
    quantize_multiplier,
    quantize_multipliers,
    round_half_away,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

int32 = st.one_of(
    st.integers(INT32_MIN, INT32_MAX),
    st.sampled_from([INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX, 1 << 30, -(1 << 30)]),
)


def truncated(numerator: int, denominator: int) -> int:
    """Division as C does it."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def gemmlowp_high_mul(a: int, b: int) -> int:
    if a == b == INT32_MIN:
        return INT32_MAX
    product = a * b
    return truncated(product + ((1 << 30) if product >= 0 else 1 - (1 << 30)), 1 << 31)


def gemmlowp_divide(x: int, exponent: int) -> int:
    mask = (1 << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


@given(int32, int32)
def test_high_mul(a, b):
    assert int(saturating_rounding_doubling_high_mul(np.array(a), b)) == gemmlowp_high_mul(a, b)


@given(int32, st.integers(0, 31))
def test_divide(x, exponent):
    assert int(rounding_divide_by_pot(np.array(x), exponent)) == gemmlowp_divide(x, exponent)


def test_divide_rounds_ties_away_from_zero():
    values = np.array([-3, -2, -1, 1, 2, 3, 5])
    assert rounding_divide_by_pot(values, 1).tolist() == [-2, -1, -1, 1, 1, 2, 3]


@given(st.lists(int32, min_size=1, max_size=8), st.integers(0, INT32_MAX), st.integers(-31, 30))
def test_multiply_by_quantized_multiplier(values, multiplier, shift):
    def expected(x: int) -> int:
        shifted = (x << max(shift, 0)) & 0xFFFFFFFF
        shifted -= (shifted & 0x80000000) << 1
        return gemmlowp_divide(gemmlowp_high_mul(shifted, multiplier), max(-shift, 0))

    result = multiply_by_quantized_multiplier(np.array(values, np.int64), multiplier, shift)
    assert result.tolist() == [expected(x) for x in values]


def test_multipliers_per_channel_broadcast_along_the_last_axis():
    values = np.array([[100, 100, 100], [-7, -7, -7]], np.int32)
    multipliers, shifts = quantize_multipliers(np.array([0.5, 1.0, 4.0]))
    assert multiply_by_quantized_multiplier(values, multipliers, shifts).tolist() == [
        [50, 100, 400],
        [-3, -7, -28],
    ]


@given(st.floats(2.0**-31, 2.0**30))
def test_quantize_multiplier_is_the_nearest(real):
    multiplier, shift = quantize_multiplier(real)
    assert 1 << 30 <= multiplier <= INT32_MAX
    error = abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32)


one = st.one_of(
    st.floats(0.0, 2.0**30),
    st.integers(-40, 30).map(lambda power: 2.0**power),
    st.integers(-40, 30).map(lambda power: math.nextafter(2.0**power, 0.0)),
    st.tuples(st.integers(1 << 30, INT32_MAX), st.integers(-70, 0)).map(lambda p: (p[0] + 0.5) * 2.0 ** p[1]),
)


@given(st.lists(one, max_size=8))
def test_multipliers_of_a_layer_are_those_of_each_channel(reals):
    multipliers, shifts = quantize_multipliers(np.array(reals, np.float64))
    assert multipliers.dtype == shifts.dtype == np.int32
    pairs = zip(multipliers.tolist(), shifts.tolist(), strict=True)
    assert list(pairs) == [quantize_multiplier(real) for real in reals]


def test_quantize_multiplier_limits():
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(1.0) == (1 << 30, 1)
    assert quantize_multiplier(math.nextafter(1.0, 0.0)) == (1 << 30, 1)
    assert quantize_multiplier(2.0**-32) == (1 << 30, -31)
    assert quantize_multiplier(2.0**-33) == (0, 0)


@pytest.mark.parametrize(
    ("real", "nearest"),
    [(0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-2.5, -3), (0.49999999999999994, 0), (-0.2, 0), (7.0, 7)],
)
def test_round_half_away(real, nearest):
    assert round_half_away(real) == nearest


def test_effective_scales_multiply_before_they_divide():
    scales = effective_scales(0.1, np.array([0.3, 0.7], np.float32), 0.9)
    assert scales.tolist() == [0.1 * float(np.float32(w)) / 0.9 for w in (0.3, 0.7)]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-10, 127)), ("RELU6", (-10, 50)), ("RELU_N1_TO_1", (-20, 0))],
)
def test_activation_range(activation, expected):
    assert activation_range(activation, 0.1, -10) == expected


def test_activation_range_stays_within_int8():
    assert activation_range("RELU6", 0.001, 127) == (127, 127)
    assert activation_range("RELU_N1_TO_1", 0.001, 0) == (-128, 127)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3))
def test_windows_cover_the_padded_axis(size, kernel, stride, dilation):
    span = (kernel - 1) * dilation + 1
    same = output_size("SAME", size, kernel, stride, dilation)
    assert same == math.ceil(size / stride)
    total = padding_total("SAME", size, kernel, stride, dilation)
    assert padding_before("SAME", size, kernel, stride, dilation) == total // 2
    assert total == 0 or (same - 1) * stride + span == size + total
    valid = output_size("VALID", size, kernel, stride, dilation)
    assert max(valid, 0) == len(range(0, size - span + 1, stride))
    if valid >= 1:
        assert padding_total("VALID", size, kernel, stride, dilation) == 0
