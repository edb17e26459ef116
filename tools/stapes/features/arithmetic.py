"""Integer arithmetic of the front end, vectorised; firmware/runtime/src/frontend_math.h is the same in C."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from stapes.features.tables import LOG_FRACTION_BITS, LOG_TABLE_BITS

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_POINTS = 1 << LOG_TABLE_BITS
_MANTISSA_BITS, _EXPONENT_BIAS = 52, 1023  # of a float64


def high_words(values: Int64) -> Int32:
    """`values >> 32`, as a view; they are contiguous along the last axis."""
    return values.view(np.int32)[..., sys.byteorder == "little" :: 2]


def multiply_high(x: Int64, y: Int64) -> Int64:
    """`round(x * y / 2^32)`, halves upwards, of int32 values: Arm's SMMULR."""
    product = x * y
    product += 1 << 31
    product >>= 32
    return product


def multiply_shift(x: Int64, y: Int64 | int, bits: int) -> Int64:
    """`round(x * y / 2^bits)`, halves upwards, of values whose product fits 63 bits."""
    result: Int64 = (x * y + (1 << (bits - 1))) >> bits
    return result


def multiply_fraction(
    x: Int64, fraction: Int64 | int, out: Int64 | None = None, spare: Int64 | None = None
) -> Int64:
    """`x * fraction / 2^32`, each half of x's product rounded down; x below 2^62, fraction below 2^32.

    `out` and `spare` are memory of the shape of `x` to work in.
    """
    # The low product needs all 64 bits.
    low = np.bitwise_and(x, 0xFFFFFFFF, out=spare).view(np.uint64)
    low *= np.asarray(fraction, np.int64).view(np.uint64)
    low >>= np.uint64(32)
    product: Int64 = np.right_shift(x, 32, out=out)
    product *= fraction
    product += low.view(np.int64)
    return product


def exact_product(matrix: Int64, values: Int64) -> Int64:
    """`matrix @ values` for int32 `values` and rows of `matrix` whose absolute values add up to less than 2^37.

    Halves of the values in floating point: that holds every partial sum.
    """
    left = matrix.astype(np.float64)
    low, high = (
        (left @ half.astype(np.float64)).astype(np.int64) for half in (values & 0xFFFF, values >> 16)
    )
    high <<= 16
    high += low
    return high


def bit_length(values: Int64) -> Int64:
    """Bits needed for each non-negative value."""
    # The exponent of the value as a float64; the bit below the highest is cleared, so that no rounding carries into it.
    bits = (values & ~(values >> 1)).astype(np.float64).view(np.int64)
    bits >>= _MANTISSA_BITS
    bits -= _EXPONENT_BIAS - 1
    return np.maximum(bits, 0, out=bits)


def fixed_log2(values: Int64, table: Int64) -> Int64:
    """log2 of positive values, Q24, interpolated in `table`."""
    # As a float64 the value has its logarithm's integer part as exponent and its next bits as mantissa. Of the bits
    # below the 32 highest the first is cleared, so that no rounding carries into those.
    bits = (values & ~(values >> 32)).astype(np.float64).view(np.int64)
    rest = bits >> (_MANTISSA_BITS - 31)
    rest &= (1 << (31 - LOG_TABLE_BITS)) - 1
    index = bits >> (_MANTISSA_BITS - LOG_TABLE_BITS)
    index &= _POINTS - 1
    rest *= np.diff(table)[index]
    rest >>= 31 - LOG_TABLE_BITS
    log = bits
    log >>= _MANTISSA_BITS
    log -= _EXPONENT_BIAS
    log <<= LOG_FRACTION_BITS
    log += table[index]
    log += rest
    return log


def fixed_exp2(values: Int64, table: Int64, fraction_bits: int) -> Int64:
    """2^(value / 2^24) with `fraction_bits` fractional bits, rounded down; the result must fit 63 bits."""
    index = (values >> (LOG_FRACTION_BITS - LOG_TABLE_BITS)) & (_POINTS - 1)
    rest = (values << (32 - LOG_FRACTION_BITS + LOG_TABLE_BITS)) & 0xFFFFFFFF
    base = table[index]
    mantissa = base + (((table[index + 1] - base) * rest) >> 32)
    shift = (values >> LOG_FRACTION_BITS) + fraction_bits - 30
    result: Int64 = (mantissa << np.maximum(shift, 0)) >> np.clip(-shift, 0, 63)
    return result


def square_root(values: Int64, fraction_bits: int) -> Int64:
    """Square root with `fraction_bits` fractional bits of values below 2^62, from 32 significant bits.

    The value is shifted left by an even number until one of its two highest bits (of 64) is set; the largest
    integer whose square is not larger is the root.
    """
    pairs = (64 - bit_length(values)) >> 1
    shifted = values.view(np.uint64) << (2 * np.minimum(pairs, 31)).astype(np.uint64)
    root = np.minimum(np.sqrt(shifted.astype(np.float64)), 2.0**32 - 1).astype(np.uint64)
    root -= root * root > shifted
    root += shifted - root * root > root + root
    result: Int64 = (root.view(np.int64) << fraction_bits) >> pairs
    return result
