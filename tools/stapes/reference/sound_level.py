"""Sound levels in integers: the same as firmware/runtime/src/sound_level.c, line by line."""

from __future__ import annotations

SILENT = -20000
_FULL_SCALE_LOG2 = 30
_CENTIBELS = 19728302


def _log2_q16(value: int) -> int:
    exponent = value.bit_length() - 1
    mantissa = (value << (63 - exponent)) >> 32
    fraction = 0
    for bit in (1 << shift for shift in range(15, -1, -1)):
        mantissa = (mantissa * mantissa) >> 31
        if mantissa >> 32:
            mantissa >>= 1
            fraction |= bit
    return exponent * 65536 + fraction


def sound_level(square_sum: int, samples: int) -> int:
    """Hundredths of a decibel relative to full scale (mean square 2^30), rounded down; `SILENT` for zeros."""
    if square_sum == 0 or samples == 0:
        return SILENT
    ratio = _log2_q16(square_sum) - _log2_q16(samples) - _FULL_SCALE_LOG2 * 65536
    return (ratio * _CENTIBELS) >> 32
