"""Integer arithmetic of the front end, vectorised; firmware/runtime/src/frontend_math.h is the same in C."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.features.tables import LOG_FRACTION_BITS, LOG_TABLE_BITS

Int64 = npt.NDArray[np.int64]

_POINTS = 1 << LOG_TABLE_BITS


def multiply_high(x: Int64, y: Int64) -> Int64:
    """`round(x * y / 2^32)`, halves upwards, of int32 values: Arm's SMMULR."""
    product = x * y
    product += 1 << 31
    product >>= 32
    return product


def multiply_high_negated(x: Int64, y: Int64) -> Int64:
    """`round(-x * y / 2^32)`, halves upwards: what Arm's SMMLSR adds."""
    product = x * y
    np.subtract(1 << 31, product, out=product)
    product >>= 32
    return product


def multiply_shift(x: Int64, y: Int64 | int, bits: int) -> Int64:
    """`round(x * y / 2^bits)`, halves upwards, of values whose product fits 63 bits."""
    result: Int64 = (x * y + (1 << (bits - 1))) >> bits
    return result


def multiply_fraction(x: Int64, fraction: Int64 | int) -> Int64:
    """`x * fraction / 2^32`, each half of x's product rounded down; x below 2^62, fraction below 2^32."""
    # The low product needs all 64 bits.
    low = (x & 0xFFFFFFFF).view(np.uint64) * np.asarray(fraction, np.int64).view(np.uint64) >> np.uint64(32)
    return (x >> 32) * fraction + low.view(np.int64)


def bit_length(values: Int64) -> Int64:
    """Bits needed for each non-negative value."""
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    # The conversion to float64 may have rounded up to the next power of two.
    bits -= (values >> np.maximum(bits - 1, 0)) == 0
    return np.where(values == 0, 0, bits)


def fixed_log2(values: Int64, table: Int64) -> Int64:
    """log2 of positive values, Q24, interpolated in `table`."""
    bits = bit_length(values)
    mantissa = (values << np.maximum(32 - bits, 0)) >> np.maximum(bits - 32, 0)
    index = (mantissa >> (31 - LOG_TABLE_BITS)) & (_POINTS - 1)
    rest = (mantissa << (LOG_TABLE_BITS + 1)) & 0xFFFFFFFF
    base = table[index]
    log: Int64 = ((bits - 1) << LOG_FRACTION_BITS) + base + (((table[index + 1] - base) * rest) >> 32)
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
