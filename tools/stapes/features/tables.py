"""Every integer constant of the fixed-point front end, computed once in float64.

fixed.py and firmware/runtime/src/frontend*.c do the arithmetic with them; docs/front-end.md is its text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.features.mel import mel_segments
from stapes.recipe import FrontendSpec, PcenSpec

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

LOG_FRACTION_BITS = 24
"""Fractional bits of every fixed-point logarithm (base 2)."""

LOG_TABLE_BITS = 7
"""Logarithm and exponential are interpolated between 2^7 + 1 points."""

LOG_UNIT = {"ln": math.log(2.0), "db": 10.0 * math.log10(2.0), "log2": 1.0}
"""How much of the log's unit one octave of power is."""

DCT_SCALE = {
    "ortho": lambda bands: math.sqrt(2.0 / bands),
    "none": lambda bands: 2.0,
    "tf": lambda bands: math.sqrt(2.0 / bands),
}
"""What the sums of the DCT-II are multiplied by; the first of the orthonormal one by sqrt(1/2) besides."""

ENERGY_BITS = 60
"""A frame is shifted until its energy has this many bits."""

MAGNITUDE_FRACTION_BITS = 24
"""Fractional bits of the square root of a power."""

PCEN_FRACTION_BITS = 40
"""Fractional bits of the powers that PCEN smooths; their unit is that of samples in -1..1."""

STEP_FRACTION_BITS = 16
"""Fractional bits of int8 steps before rounding."""

MFCC_FRACTION_BITS = 16
PCEN_VALUE_FRACTION_BITS = 20

_LEAST_FLOOR = 16.0
"""Least value of the floor in steps of the power, so that an empty band is not a coarse number."""


@dataclass(frozen=True)
class OutputQuantization:
    """`q = round((value - mean) / std / scale) + zero_point`, clipped to int8.

    `mean` and `std` are in the log's unit, overall or one per feature; `scale` and `zero_point` are those of
    the model's input.
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class PcenTables:
    """Constants of per-channel energy normalisation."""

    smoothing: int
    """Share of the new value in the smoothed one, Q32, uint32."""
    eps: Int64
    """eps over the band's norm, Q40, uint64[n_mels]."""
    gain: int
    """Q30."""
    power: int
    """Q30."""
    offset: Int64
    """log2 of the band's norm times (1 - gain), Q24, int32[n_mels]."""
    bias: int
    """Q32, uint64."""
    bias_power: int
    """bias^power, Q24."""
    exp_table: Int64
    """2^(i / 128), Q30, uint32[129], lowered by half of what interpolation exceeds in the middle."""
    unit: int
    """Left shift of band powers to Q40, less what the exponent adds."""


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
    exponent_factor: int
    """A frame's exponent counts twice in powers, once in magnitudes."""
    floor: Int64
    """log_floor over the norm, as a power when times 2^(factor * exponent + floor_shift); uint32[n_mels]."""
    floor_shift: int
    max_exponent: int
    """Largest frame exponent; a larger one would make the floor overflow."""
    log_table: Int64
    """log2(1 + i / 128), Q24, int32[129], raised by half of what interpolation lacks in the middle."""
    log_offset: Float64
    """What must be added to the device's log2 to get log2 of the mel power; float64[n_mels]."""
    emphasis: int
    """pre_emphasis, Q15."""
    reciprocal: int
    """1 / frame_length, Q31, where the mean is removed; else 0."""
    dct: Int64
    """Lifted DCT-II, `dct_bits` fractional bits, int32[n_mfcc, n_mels]."""
    dct_bits: int
    pcen: PcenTables | None
    gain: Int64
    """int8 steps per octave (per unit for PCEN), `gain_bits` fractional bits, int32[n_features]."""
    bias: Int64
    """int8 zero point, mean, offset and one half for rounding, in steps, Q16, int32[n_features]."""

    @classmethod
    def build(cls, spec: FrontendSpec, output: OutputQuantization | None = None) -> Tables:
        """All tables of `spec`; without `output` the int8 conversion is a placeholder of one step per octave.

        Raises `RecipeError` for a floor or an output scale that the integer arithmetic cannot represent.
        """
        half = spec.n_fft // 2
        log2_half = half.bit_length() - 1
        mel = mel_segments(spec)
        # Power on the device = true power * 2^(factor * exponent + unit); see docs/front-end.md.
        factor, unit = 2, 2 * (14 - (log2_half - 1) // 2)
        if spec.spectrum == "magnitude":
            factor, unit = 1, unit // 2 + MAGNITUDE_FRACTION_BITS
        floor, floor_shift, max_exponent = _floor(spec, mel.norm, factor, unit)
        log_offset = np.log2(mel.norm) - unit
        dct, dct_bits = _dct(spec)
        pcen = _pcen(spec, spec.pcen, mel.norm, unit) if spec.pcen else None
        if output is None:
            output = OutputQuantization(0.0, 1.0 if spec.pcen else LOG_UNIT[spec.log], 1.0, 0)
        gain, bias = _affine(spec, dct @ log_offset / 2.0**dct_bits if spec.n_mfcc else log_offset, output)
        return cls(
            spec=spec,
            window=_window(spec),
            radix2_first=log2_half % 2 == 1,
            twiddles=_twiddles(half),
            split_twiddles=_cos_sin(np.arange(1, spec.n_fft // 4 + 1) / spec.n_fft),
            first_bin=mel.first_bin,
            segments=mel.counts,
            weights=np.minimum(np.rint(mel.weights * 2.0**32), 2.0**32 - 1).astype(np.int64),
            exponent_factor=factor,
            floor=floor,
            floor_shift=floor_shift,
            max_exponent=max_exponent,
            log_table=_log_table(),
            log_offset=log_offset,
            emphasis=round(spec.pre_emphasis * 2**15),
            reciprocal=round(2**31 / spec.frame_length) if spec.remove_dc else 0,
            dct=dct,
            dct_bits=dct_bits,
            pcen=pcen,
            gain=gain,
            bias=bias,
        )

    @property
    def fixed_offset(self) -> Int64:
        """`log_offset` as the fixed-point logarithm has it, Q24."""
        return np.rint(self.log_offset * 2.0**LOG_FRACTION_BITS).astype(np.int64)

    @property
    def gain_bits(self) -> int:
        """Fractional bits of `gain`."""
        return _gain_bits(self.spec)

    @property
    def value_bits(self) -> int:
        """Fractional bits of what becomes int8: of MFCC and PCEN values, else of the logarithm."""
        if self.pcen:
            return PCEN_VALUE_FRACTION_BITS
        return MFCC_FRACTION_BITS if self.spec.n_mfcc else LOG_FRACTION_BITS

    @property
    def mel_place(self) -> int:
        """Where the device keeps band powers, in bins: from 0 where each replaces bins that were added already."""
        done = self.first_bin + np.cumsum(self.segments)[1:]
        return 0 if np.all(np.arange(self.spec.n_mels) < done) else self.spec.n_fft // 2

    @property
    def state_place(self) -> int:
        """Where the device keeps what PCEN smooths, in bins: behind everything else."""
        return self.spec.n_fft // 2 + (self.spec.n_mels if self.mel_place else 0)

    @property
    def memory_bins(self) -> int:
        """Places of 8 bytes that the device needs for bins, bands and smoothed bands."""
        return self.state_place + (self.spec.n_mels if self.pcen else 0)


def _q31(values: Float64) -> Int64:
    return np.clip(np.rint(values * 2.0**31), -(2**31), 2**31 - 1).astype(np.int64)


def _window(spec: FrontendSpec) -> Int64:
    position = np.arange(spec.frame_length // 2 + 1) / spec.frame_length
    if spec.window == "none":
        return _q31(np.ones_like(position))
    constant = 0.5 if spec.window == "hann" else 0.54
    return _q31(constant - (1.0 - constant) * np.cos(2.0 * np.pi * position))


def _cos_sin(turns: Float64) -> Int64:
    return np.stack([_q31(np.cos(2.0 * np.pi * turns)), _q31(np.sin(2.0 * np.pi * turns))], axis=-1)


def _twiddles(half: int) -> Int64:
    return _cos_sin(np.arange(half // 4)[:, None] * np.arange(1, 4) / half)


def _log_table() -> Int64:
    points = 1 << LOG_TABLE_BITS
    position = 1.0 + np.arange(points + 1) / points
    # Chords lie below the logarithm; by at most this much, at their middle.
    sag = 1.0 / (8.0 * math.log(2.0)) / (position * points) ** 2
    return np.rint((np.log2(position) + sag / 2.0) * 2.0**LOG_FRACTION_BITS).astype(np.int64)


def _exp_table() -> Int64:
    points = 1 << LOG_TABLE_BITS
    value = np.exp2(np.arange(points + 1) / points)
    # Chords lie above the exponential.
    sag = value * (math.log(2.0) / points) ** 2 / 8.0
    return np.rint((value - sag / 2.0) * 2.0**30).astype(np.int64)


def _floor(spec: FrontendSpec, norm: Float64, factor: int, unit: int) -> tuple[Int64, int, int]:
    floor = spec.log_floor / norm
    # The largest floor gets 32 bits, the others share its scale.
    width = math.frexp(float(floor.max()))[1]
    mantissa = np.minimum(np.rint(np.ldexp(floor, 32 - width)), 2.0**32 - 1).astype(np.int64)
    shift = unit + width - 32
    # mantissa * 2^(factor * exponent + shift) must stay below 2^62.
    max_exponent = min((62 - 32 - shift) // factor, (ENERGY_BITS - 1) // 2)
    headroom = 2 if spec.pre_emphasis else 0
    least_exponent = (ENERGY_BITS - headroom - ((spec.frame_length + 1) << 30).bit_length()) // 2
    if spec.pcen:
        return mantissa, shift, (ENERGY_BITS - 1) // 2
    if max_exponent < least_exponent:
        raise RecipeError(
            f"log_floor = {spec.log_floor:g} is above what a full-scale signal reaches",
            hint="the floor is in units of mel power with samples in -1..1; usual values are 1e-10 to 1e-2",
        )
    least = math.ldexp(float(mantissa.min()), factor * least_exponent + shift)
    if least < _LEAST_FLOOR:
        raise RecipeError(
            f"log_floor = {spec.log_floor:g} is below what the powers of a full-scale frame resolve",
            hint=f"use at least {spec.log_floor * _LEAST_FLOOR / least:.2g}",
        )
    return mantissa, shift, max_exponent


def _dct(spec: FrontendSpec) -> tuple[Int64, int]:
    count, bands = spec.n_mfcc, spec.n_mels
    if count == 0:
        return np.zeros((0, bands), np.int64), 0
    order = np.arange(count)[:, None]
    matrix = np.cos(np.pi * order * (2 * np.arange(bands) + 1) / (2 * bands)) * DCT_SCALE[spec.dct_norm](
        bands
    )
    if spec.dct_norm == "ortho":
        matrix[0] *= math.sqrt(0.5)
    if spec.lifter:
        matrix *= 1.0 + spec.lifter / 2.0 * np.sin(np.pi * (order + 1) / spec.lifter)
    # 24 bits: a sum over 128 bands of products with 31-bit logarithms fits 62 bits.
    bits = 24 - max(math.frexp(float(np.abs(matrix).max()))[1], 0)
    return np.rint(matrix * 2.0**bits).astype(np.int64), bits


def _pcen(spec: FrontendSpec, pcen: PcenSpec, norm: Float64, unit: int) -> PcenTables:
    frames = pcen.time_constant * spec.sample_rate / spec.hop_length
    smoothing = (math.sqrt(1.0 + 4.0 * frames**2) - 1.0) / (2.0 * frames**2)
    return PcenTables(
        smoothing=min(round(smoothing * 2**32), 2**32 - 1),
        eps=np.maximum(np.rint(pcen.eps / norm * 2.0**PCEN_FRACTION_BITS), 1).astype(np.int64),
        gain=round(pcen.gain * 2**30),
        power=round(pcen.power * 2**30),
        offset=np.rint((1.0 - pcen.gain) * np.log2(norm) * 2.0**LOG_FRACTION_BITS).astype(np.int64),
        bias=round(pcen.bias * 2**32),
        bias_power=round(pcen.bias**pcen.power * 2**24),
        exp_table=_exp_table(),
        unit=PCEN_FRACTION_BITS - unit,
    )


def _gain_bits(spec: FrontendSpec) -> int:
    return 20 if spec.n_mfcc or spec.pcen else 24


def _affine(spec: FrontendSpec, offset: Float64, output: OutputQuantization) -> tuple[Int64, Int64]:
    mean, std = (
        np.broadcast_to(np.asarray(value, np.float64), spec.n_features) for value in (output.mean, output.std)
    )
    step = std * output.scale
    per_octave = (1.0 if spec.pcen else LOG_UNIT[spec.log]) / step
    if spec.pcen:
        offset = np.zeros(spec.n_features)
    gain = np.rint(per_octave * 2.0 ** _gain_bits(spec))
    bias = np.rint((output.zero_point + 0.5 + per_octave * offset - mean / step) * 2.0**STEP_FRACTION_BITS)
    if not (np.all(gain > 0) and np.all(gain < 2**31) and np.all(np.abs(bias) < 2**30)):
        raise RecipeError(
            f"{per_octave.max():g} int8 steps per octave and a mean of {mean.max():g} are out of range",
            hint="check mean, std and the input scale of the model",
        )
    return gain.astype(np.int64), bias.astype(np.int64)
