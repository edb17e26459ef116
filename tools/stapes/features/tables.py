"""Every integer constant of the fixed-point front end, computed once in float64.

fixed.py and firmware/runtime/src/frontend.c do the arithmetic with them; docs/front-end.md is its text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.features.mel import mel_segments
from stapes.recipe import FrontendSpec

Int64 = npt.NDArray[np.int64]

LOG_FRACTION_BITS = 24
"""Fractional bits of every fixed-point logarithm (base 2)."""

LOG_TABLE_BITS = 7
"""The logarithm is interpolated between 2^7 + 1 points."""

LOG_UNIT = {"ln": math.log(2.0), "db": 10.0 * math.log10(2.0), "log2": 1.0}
"""How much of the log's unit one octave of power is."""

ENERGY_BITS = 60
"""A frame is shifted until its energy has this many bits."""

_LEAST_FLOOR = 16.0
"""Least value of the floor in steps of the power, so that an empty band is not a coarse number."""

_GAIN_FRACTION_BITS = 24
_OUTPUT_FRACTION_BITS = 16


@dataclass(frozen=True)
class OutputQuantization:
    """`q = round((log_mel - mean) / std / scale) + zero_point`, clipped to int8.

    `mean` and `std` are in the log's unit, `scale` and `zero_point` are those of the model's input.
    """

    mean: float
    std: float
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class Tables:
    """Constants of one front end, as the C has them. Arrays are int64 holding values of the stated width."""

    spec: FrontendSpec
    window: Int64
    """First half of the periodic window and its middle, Q31, int32[frame_length // 2 + 1]."""
    radix2_first: bool
    """The half-size transform's length is an odd power of two, so its first stage is of radix 2."""
    twiddles: Int64
    """cos and sin of `2 pi i j / (n_fft / 2)` for i = 1, 2, 3, Q31, int32[n_fft / 8, 3, 2]."""
    split_twiddles: Int64
    """cos and sin of `2 pi k / n_fft`, Q31, int32[n_fft / 4, 2]."""
    first_bin: int
    """First bin with a weight."""
    segments: Int64
    """Bins between neighbouring corners, uint16[n_mels + 1]."""
    weights: Int64
    """Rising weight of each bin, Q32, uint32[sum(segments)]."""
    floor: Int64
    """log_floor over the band's norm, in powers when times 2^(2 exponent + floor_shift); uint32[n_mels]."""
    floor_shift: int
    max_exponent: int
    """Largest frame exponent; a larger one would make the floor overflow."""
    log_table: Int64
    """log2(1 + i / 128), Q24, int32[129], raised by half of what interpolation lacks in the middle."""
    log_offset: npt.NDArray[np.float64]
    """What must be added to the device's log2 to get log2 of the mel power; float64[n_mels]."""
    gain: int
    """Steps of int8 per octave, Q24."""
    bias: Int64
    """int8 zero point, mean, offset of the band and one half for rounding, in steps, Q16, int32[n_mels]."""

    @property
    def mel_place(self) -> int:
        """Where the device keeps band powers, in bins: from 0 where each replaces bins that were added already."""
        done = self.first_bin + np.cumsum(self.segments)[1:]
        return 0 if np.all(np.arange(self.spec.n_mels) < done) else self.spec.n_fft // 2

    @property
    def memory_bins(self) -> int:
        """Places of 8 bytes that the device needs for bins and bands."""
        return self.spec.n_fft // 2 + (self.spec.n_mels if self.mel_place else 0)

    @classmethod
    def build(cls, spec: FrontendSpec, output: OutputQuantization | None = None) -> Tables:
        """All tables of `spec`; without `output` the int8 conversion is a placeholder of one step per octave.

        Raises `RecipeError` for a floor or an output scale that the integer arithmetic cannot represent.
        """
        half = spec.n_fft // 2
        log2_half = half.bit_length() - 1
        scaled_stages = (log2_half - 1) // 2
        mel = mel_segments(spec)
        # Power on the device = true power * 2^(2 exponent + unit); see docs/front-end.md.
        unit = 2 * (14 - scaled_stages)
        floor, floor_shift, max_exponent = _floor(spec, mel.norm, unit)
        log_offset = np.log2(mel.norm) - unit
        gain, bias = _affine(spec, log_offset, output or OutputQuantization(0.0, LOG_UNIT[spec.log], 1.0, 0))
        return cls(
            spec=spec,
            window=_window(spec),
            radix2_first=log2_half % 2 == 1,
            twiddles=_twiddles(half),
            split_twiddles=_cos_sin(np.arange(1, spec.n_fft // 4 + 1) / spec.n_fft),
            first_bin=mel.first_bin,
            segments=mel.counts,
            weights=np.minimum(np.rint(mel.weights * 2.0**32), 2.0**32 - 1).astype(np.int64),
            floor=floor,
            floor_shift=floor_shift,
            max_exponent=max_exponent,
            log_table=_log_table(),
            log_offset=log_offset,
            gain=gain,
            bias=bias,
        )


def _q31(values: npt.NDArray[np.float64]) -> Int64:
    return np.clip(np.rint(values * 2.0**31), -(2**31), 2**31 - 1).astype(np.int64)


def _window(spec: FrontendSpec) -> Int64:
    position = np.arange(spec.frame_length // 2 + 1) / spec.frame_length
    if spec.window == "none":
        return _q31(np.ones_like(position))
    constant = 0.5 if spec.window == "hann" else 0.54
    return _q31(constant - (1.0 - constant) * np.cos(2.0 * np.pi * position))


def _cos_sin(turns: npt.NDArray[np.float64]) -> Int64:
    return np.stack([_q31(np.cos(2.0 * np.pi * turns)), _q31(np.sin(2.0 * np.pi * turns))], axis=-1)


def _twiddles(half: int) -> Int64:
    return _cos_sin(np.arange(half // 4)[:, None] * np.arange(1, 4) / half)


def _log_table() -> Int64:
    points = 1 << LOG_TABLE_BITS
    position = 1.0 + np.arange(points + 1) / points
    # Chords lie below the logarithm; by at most this much, at their middle.
    sag = 1.0 / (8.0 * math.log(2.0)) / (position * points) ** 2
    return np.rint((np.log2(position) + sag / 2.0) * 2.0**LOG_FRACTION_BITS).astype(np.int64)


def _floor(spec: FrontendSpec, norm: npt.NDArray[np.float64], unit: int) -> tuple[Int64, int, int]:
    floor = spec.log_floor / norm
    # The largest floor gets 32 bits, the others share its scale.
    width = math.frexp(float(floor.max()))[1]
    mantissa = np.minimum(np.rint(np.ldexp(floor, 32 - width)), 2.0**32 - 1).astype(np.int64)
    shift = unit + width - 32
    # mantissa * 2^(2 exponent + shift) must stay below 2^62.
    max_exponent = min((62 - 32 - shift) // 2, (ENERGY_BITS - 1) // 2)
    least_exponent = (ENERGY_BITS - (spec.frame_length << 30).bit_length()) // 2
    if max_exponent < least_exponent:
        raise RecipeError(
            f"log_floor = {spec.log_floor:g} is above what a full-scale signal reaches",
            hint="the floor is in units of mel power with samples in -1..1; usual values are 1e-10 to 1e-2",
        )
    least = math.ldexp(float(mantissa.min()), 2 * least_exponent + shift)
    if least < _LEAST_FLOOR:
        raise RecipeError(
            f"log_floor = {spec.log_floor:g} is below what the powers of a full-scale frame resolve",
            hint=f"use at least {spec.log_floor * _LEAST_FLOOR / least:.2g}",
        )
    return mantissa, shift, max_exponent


def _affine(
    spec: FrontendSpec, log_offset: npt.NDArray[np.float64], output: OutputQuantization
) -> tuple[int, Int64]:
    step = output.std * output.scale
    per_octave = LOG_UNIT[spec.log] / step
    gain = round(per_octave * 2.0**_GAIN_FRACTION_BITS)
    bias = np.rint(
        (output.zero_point + 0.5 + per_octave * log_offset - output.mean / step) * 2.0**_OUTPUT_FRACTION_BITS
    )
    if not 0 < gain < 2**31 or np.max(np.abs(bias)) >= 2**30:
        raise RecipeError(
            f"{per_octave:g} int8 steps per octave and a mean of {output.mean:g} are out of range",
            hint="check mean, std and the input scale of the model",
        )
    return gain, bias.astype(np.int64)
