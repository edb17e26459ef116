"""Per-channel energy normalisation in integers; `librosa.pcen` is what it approximates."""

from __future__ import annotations

import numpy as np

from stapes.features.arithmetic import (
    Int64,
    fixed_exp2,
    fixed_log2,
    multiply_fraction,
    multiply_shift,
)
from stapes.features.tables import LOG_FRACTION_BITS, PCEN_VALUE_FRACTION_BITS, PcenTables

_LARGEST = 29 << LOG_FRACTION_BITS
_SMALLEST = -40 << LOG_FRACTION_BITS


def pcen(mel: Int64, exponent: Int64, tables: PcenTables, log_table: Int64) -> Int64:
    """PCEN of band powers int64[n_mels, frames] with 2^exponent in them; Q20, int64[n_mels, frames]."""
    shift = tables.unit - exponent
    # One frame after the other: they are rows until the end.
    power = np.ascontiguousarray(((mel << np.maximum(shift, 0)) >> np.maximum(-shift, 0)).T)
    smooth = np.empty_like(power)
    state = power[0] if len(power) else power
    for frame, value in enumerate(power):
        step = multiply_fraction(np.abs(value - state), tables.smoothing)
        state = np.where(value >= state, state + step, state - step)
        smooth[frame] = state
    level = fixed_log2(smooth + tables.eps, log_table)
    ratio = fixed_log2(power + 1, log_table) - multiply_shift(level, tables.gain, 30) + tables.offset
    # Powers and levels have 40 fractional bits; what is left of that is 40 * (1 - gain).
    ratio -= ((1 << 30) - tables.gain) * (40 << LOG_FRACTION_BITS) >> 30
    lifted = fixed_exp2(np.clip(ratio, _SMALLEST, _LARGEST), tables.exp_table, 32) + tables.bias
    log = fixed_log2(lifted, log_table) - (32 << LOG_FRACTION_BITS)
    value = fixed_exp2(multiply_shift(log, tables.power, 30), tables.exp_table, 24) - tables.bias_power
    result: Int64 = np.minimum(value >> (24 - PCEN_VALUE_FRACTION_BITS), 2**31 - 1)
    return result.T
