"""The integer arithmetic of TensorFlow Lite for Microcontrollers' reference kernels: double rounding.

Everything that turns scales into integer constants, and the one requantisation, lives here, so that the
NumPy operators and the generated C take the same numbers. Formulas: gemmlowp's fixed point and TFLite's
`QuantizeMultiplier`, `MultiplyByQuantizedMultiplier`, `CalculateActivationRangeQuantized`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stapes.graph.windows import output_size as output_size
from stapes.graph.windows import padding_before as padding_before
from stapes.graph.windows import padding_total as padding_total

IntArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]
INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def round_half_away(x: float) -> int:
    """C's `round`: nearest integer, ties away from zero."""
    floor = math.floor(abs(x))
    nearest = floor + (abs(x) - floor >= 0.5)
    return -nearest if x < 0 else nearest


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`(multiplier, shift)` with real ≈ multiplier * 2^(shift - 31); multiplier in [2^30, 2^31), or (0, 0).

    `real` is a finite float64; a positive shift means left. Values below 2^-32 become zero.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    fixed = round_half_away(fraction * (1 << 31))
    if fixed == 1 << 31:
        fixed //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return fixed, shift


def quantize_multipliers(
    reals: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """`quantize_multiplier` of each entry: `(multipliers, shifts)`, int32 arrays of the same length."""
    fraction, shift = np.frexp(reals)
    fixed = np.copysign(np.floor(np.abs(fraction) * (1 << 31) + 0.5), fraction).astype(np.int64)
    carried = fixed == 1 << 31
    fixed >>= carried
    shift += carried
    gone = (shift < -31) | (fixed == 0)
    return np.where(gone, 0, fixed).astype(np.int32), np.where(gone, 0, shift).astype(np.int32)


def effective_scales(
    input_scale: float, filter_scales: npt.NDArray[np.float32], output_scale: float
) -> npt.NDArray[np.float64]:
    """input * filter / output in float64 from float32 values: a convolution's real multipliers."""
    return np.float64(input_scale) * filter_scales.astype(np.float64) / np.float64(output_scale)


def bit_length(x: IntArray) -> npt.NDArray[np.int64]:
    """Bits of each value from 0 to 2^53."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def wrap_int32(x: IntArray) -> npt.NDArray[np.int64]:
    """`x` modulo 2^32 as a signed 32-bit value, in int64."""
    return x.astype(np.int64).astype(np.int32).astype(np.int64)


def saturating_rounding_doubling_high_mul(a: IntArray, b: IntArray | int) -> npt.NDArray[np.int64]:
    """High 32 bits of 2*a*b, rounded to nearest, ties towards +∞; only INT32_MIN * INT32_MIN saturates.

    gemmlowp writes it as a nudge by the product's sign and a truncating division: the same numbers.
    """
    high: npt.NDArray[np.int64] = np.asarray(a.astype(np.int64) * b)
    high += 1 << 30
    high >>= 31
    return np.minimum(high, INT32_MAX, out=high)


def rounding_divide_by_pot(x: IntArray, exponent: IntArray | int) -> npt.NDArray[np.int64]:
    """x / 2^exponent to nearest, ties away from zero; 0 ≤ exponent ≤ 31."""
    exponents = np.asarray(exponent, dtype=np.int64)
    result: npt.NDArray[np.int64] = np.asarray(x.astype(np.int64) + ((np.int64(1) << exponents) >> 1))
    result -= (x < 0) & (exponents > 0)
    result >>= exponents
    return result


def multiply_by_quantized_multiplier(
    x: IntArray, multiplier: IntArray | int, shift: IntArray | int
) -> npt.NDArray[np.int64]:
    """`MultiplyByQuantizedMultiplier` for 32-bit x: two roundings; the left shift wraps as int32 does.

    `multiplier` and `shift` broadcast against `x` (one per channel: along the last axis). Result in int64.
    """
    shifts = np.asarray(shift, dtype=np.int64)
    left = np.maximum(shifts, 0)
    shifted: IntArray = wrap_int32(x.astype(np.int64) << left) if np.any(left) else x
    high = saturating_rounding_doubling_high_mul(shifted, np.asarray(multiplier, dtype=np.int64))
    return rounding_divide_by_pot(high, np.maximum(-shifts, 0))


def multiply_wide(x: IntArray, multiplier: IntArray | int, shift: IntArray | int) -> npt.NDArray[np.int64]:
    """`MultiplyByQuantizedMultiplier` for 48-bit x: a multiplier of 16 bits, one rounding, ties up; the low 32 bits.

    `multiplier` (Q31) and `shift` (below 8) broadcast against `x`. Result in int64.
    """
    right = 15 - np.asarray(shift, dtype=np.int64)
    product = x.astype(np.int64) * reduced_multiplier(np.asarray(multiplier))
    return wrap_int32((product + (np.int64(1) << (right - 1))) >> right)


def reduced_multiplier(multiplier: IntArray) -> npt.NDArray[np.int64]:
    """A Q31 multiplier in 16 bits."""
    reduced: npt.NDArray[np.int64] = (multiplier.astype(np.int64) + (1 << 15)) >> 16
    return np.minimum(reduced, (1 << 15) - 1)


def limits_of(dtype: np.dtype[np.generic]) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    information = np.iinfo(str(dtype))
    return int(information.min), int(information.max)


def activation_range(
    activation: str, scale: float, zero_point: int, limits: tuple[int, int] = (INT8_MIN, INT8_MAX)
) -> tuple[int, int]:
    """Lowest and highest value within `limits` that a fused activation (TFLite's name for it) lets through."""
    bounds = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
    low, high = bounds[activation]

    def quantized(real: float) -> int:
        return zero_point + round_half_away(float(np.float32(real) / np.float32(scale)))

    return (
        limits[0] if low is None else max(limits[0], quantized(low)),
        limits[1] if high is None else min(limits[1], quantized(high)),
    )
