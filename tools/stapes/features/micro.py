"""The micro front end in integers: TensorFlow Lite Micro's "microfrontend" as microWakeWord's networks know it.

A fixed-point transform of 16 bits (that of kissfft), mel bands of magnitudes, noise reduction, gain control (PCAN)
and a logarithm, bit for bit those of the package pymicro-features. Every size is fixed but the hop: bits depend on
them, and networks are published for this one setting only. docs/front-end.md says the same in words,
firmware/runtime/src/frontend_micro.c in C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.features.arithmetic import Int64, bit_length, multiply_high
from stapes.features.tables import STEP_FRACTION_BITS, OutputQuantization, Tables
from stapes.recipe import FrontendSpec

HALF = 256
"""Length of the complex transform: half of n_fft."""

UNIT = 1.0 / 25.6
"""What one step of the logarithm is as a feature: microWakeWord's networks take 0 to 26."""

WEIGHT_BITS = 12
SMOOTHING_BITS = 10
"""Bits by which a band is finer in the estimate of its noise."""
SHARE_BITS = 14
SNR_SHIFT = 6
CORRECTION_BITS = 3
"""Of a band before its logarithm: the transform halves nine times, the root of the weights has six bits."""
LOG_SCALE_BITS = 6
LN2 = 45426
"""Q16."""

_WINDOW_BITS = 12
_TWIDDLE_ONE = 32767
_EVEN, _ODD, _LEAST = 0.025, 0.06, 0.05
_STRENGTH, _OFFSET, _GAIN_BITS = 0.95, 80.0, 21
_LARGEST_GAIN = 32767
_VALUE_BITS = 20
_BLOCK_FRAMES = 512

_WINDOW_ROUNDED = {17: 54}
_WEIGHT_ROUNDED = {149: 2471, 221: 1401}
"""The original makes its tables in float32; what that rounds otherwise: coefficients by sample, weights by bin."""


@dataclass(frozen=True, eq=False)
class MicroTables:
    """Constants of the micro front end, as the C has them. Arrays are int64 holding values of the stated width."""

    spec: FrontendSpec
    window: Int64
    """Q12, int16[480]."""
    twiddles: Int64
    """cos and -sin of 2 pi k / n_fft, Q15, int16[n_fft / 4 + 1, 2]; others are these by right angles more."""
    first_bin: int
    segments: Int64
    """Bins between neighbouring corners, uint8[n_mels + 1]."""
    weights: Int64
    """What a bin gives to the band that falls there, of 2^12; uint16[sum(segments)]."""
    shares: tuple[int, int]
    """Of a new value in the estimate of the noise, of even and odd bands, Q14."""
    least: int
    """Of a band that always remains, Q14."""
    gains: Int64
    """Gain by the level of the noise: the first two, then a parabola for each power of two; int16[2 + 3 * 31]."""
    log_table: Int64
    """What log2(1 + i / 128) exceeds i / 128 by, Q16, uint16[129]."""
    gain: int
    """int8 steps per step of the logarithm, Q28."""
    bias: int
    """int8 steps, Q16."""

    @classmethod
    def build(cls, spec: FrontendSpec, output: OutputQuantization | None = None) -> MicroTables:
        """All tables; without `output` the int8 conversion is a placeholder. Raises `RecipeError` where the output's
        scale is out of range.
        """
        first, segments, weights = _bands(spec)
        step = UNIT / (float(np.mean(output.std)) * output.scale) if output else 1.0
        mean = float(np.mean(output.mean)) / (float(np.mean(output.std)) * output.scale) if output else 0.0
        zero_point = output.zero_point if output else 0
        bias = round((zero_point + 0.5 - mean) * 2.0**STEP_FRACTION_BITS)
        gain = round(step * 2.0 ** (32 + STEP_FRACTION_BITS - _VALUE_BITS))
        if not 0 < gain < 2**31 or abs(bias) >= 2**30:
            raise RecipeError(
                f"{step:g} int8 steps per step of the micro front end and a mean of {mean:g} are out of range",
                hint="check mean, std and the input scale of the model",
            )
        return cls(
            spec=spec,
            window=_window(spec.frame_length),
            twiddles=_twiddles(spec.n_fft),
            first_bin=first,
            segments=segments,
            weights=weights,
            shares=(int(_EVEN * 2**SHARE_BITS), int(_ODD * 2**SHARE_BITS)),
            least=int(_LEAST * 2**SHARE_BITS),
            gains=_gains(),
            log_table=_log_table(),
            gain=gain,
            bias=bias,
        )

    @property
    def memory_bins(self) -> int:
        """Places of 8 bytes that the device needs: the transform, and a noise estimate a band."""
        return (4 * HALF + 4 * self.spec.n_mels) // 8


FrontendTables = Tables | MicroTables


def build_tables(spec: FrontendSpec, output: OutputQuantization | None = None) -> FrontendTables:
    """The constants of any front end; raises `RecipeError` as `Tables.build`."""
    return MicroTables.build(spec, output) if spec.micro else Tables.build(spec, output)


def _window(length: int) -> Int64:
    position = (np.arange(length) + 0.5) / length
    window = np.floor((0.5 - 0.5 * np.cos(2.0 * np.pi * position)) * 2.0**_WINDOW_BITS + 0.5).astype(np.int64)
    window[list(_WINDOW_ROUNDED)] = list(_WINDOW_ROUNDED.values())
    return window


def _twiddles(n_fft: int) -> Int64:
    angle = 2.0 * np.pi * np.arange(n_fft // 4 + 1) / n_fft
    parts = np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
    return np.floor(_TWIDDLE_ONE * parts + 0.5).astype(np.int64)


def _bands(spec: FrontendSpec) -> tuple[int, Int64, Int64]:
    """First bin, bins of every segment, falling weights."""
    hertz = spec.sample_rate / spec.n_fft
    first = int(1.5 + spec.fmin / hertz)
    mel = 1127.0 * np.log1p(np.arange(HALF + 1) * hertz / 700.0)
    low, high = (1127.0 * math.log1p(hz / 700.0) for hz in (spec.fmin, spec.fmax))
    corners = low + (high - low) / (spec.n_mels + 1) * np.arange(spec.n_mels + 2)
    ends = np.searchsorted(mel, corners[1:], side="right")
    starts = [first, *ends[:-1]]
    weights = np.concatenate(
        [
            (corner[1] - mel[start:end]) / (corner[1] - corner[0])
            for corner, start, end in zip(pairwise(corners), starts, ends, strict=True)
        ]
    )
    rounded = np.floor(weights * 2.0**WEIGHT_BITS + 0.5).astype(np.int64)
    for place, weight in _WEIGHT_ROUNDED.items():
        rounded[place - first] = weight
    return first, np.diff([first, *ends]), rounded


def _gains() -> Int64:
    """2^21 (level + 80)^-0.95 of levels with 7 fractional bits; parabolas through beginning, middle and end."""

    def gain(level: int) -> int:
        loud = level / 2.0 ** (SMOOTHING_BITS - CORRECTION_BITS) + _OFFSET
        return min(math.floor(2.0**_GAIN_BITS * math.pow(loud, -_STRENGTH) + 0.5), _LARGEST_GAIN)

    table = [gain(0), gain(1)]
    for bits in range(2, 33):
        start = 1 << (bits - 1)
        end = min(2 * start, 2**32 - 1)
        low = gain(start)
        middle, high = gain(start + start // 2) - low, gain(end) - low
        table += [low, 4 * middle - high, 2 * high - 4 * middle]
    return np.array(table, np.int64)


def _log_table() -> Int64:
    position = np.arange(129) / 128
    return np.floor((np.log2(1.0 + position) - position) * 2.0**16 + 0.5).astype(np.int64)


@dataclass
class MicroState:
    """What the front end remembers from row to row."""

    noise: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))


class MicroFrontend:
    """The micro front end of one specification."""

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self.tables = tables = MicroTables.build(spec)
        self._order = np.array([int(f"{n:08b}"[6:] + f"{n:08b}"[4:6] + f"{n:08b}"[2:4] + f"{n:08b}"[:2], 2)
                                for n in range(HALF)])  # fmt: skip
        quarters = [tables.twiddles[:-1]]
        for _ in range(2):
            cos, sin = quarters[-1].T
            quarters.append(np.stack([sin, -cos], axis=-1))
        self._turns = np.concatenate(quarters)
        """All that are needed, of 2 pi k / n_fft."""
        self._ends = np.cumsum(tables.segments)
        self._share = np.resize(np.array(tables.shares), spec.n_mels)
        self._output: tuple[OutputQuantization, MicroTables] | None = None

    def steps(self, pcm: npt.NDArray[np.int16], state: MicroState | None = None) -> npt.NDArray[np.uint16]:
        """The original's uint16 values, int16[n] to uint16[frames, n_mels].

        With `state` it goes on from there and leaves there what the next call finds: `pcm` begins with the samples of
        the next frame.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise TypeError(f"pcm must be int16[n], not {pcm.dtype}{list(pcm.shape)}")
        count = self.spec.frames(len(pcm))
        state = MicroState() if state is None else state
        if len(state.noise) == 0:
            state.noise = np.zeros(self.spec.n_mels, np.int64)
        found = np.empty((count, self.spec.n_mels), np.uint16)
        if count == 0:
            return found
        every = np.lib.stride_tricks.sliding_window_view(pcm, self.spec.frame_length)[:: self.spec.hop_length]
        for first in range(0, count, _BLOCK_FRAMES):
            part = slice(first, min(first + _BLOCK_FRAMES, count))
            found[part] = self._rows(every[part].T.astype(np.int64), state)
        return found

    def values(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """What the network was trained on, 0 to about 26; float64[frames, n_mels]."""
        return self.steps(pcm).astype(np.float64) * UNIT

    def features(
        self, pcm: npt.NDArray[np.int16], output: OutputQuantization, state: MicroState | None = None
    ) -> npt.NDArray[np.int8]:
        """What the network gets on the device; int16[n] to int8[frames, n_mels]."""
        if self._output is None or self._output[0] is not output:
            self._output = output, MicroTables.build(self.spec, output)
        tables = self._output[1]
        steps = self.steps(pcm, state).astype(np.int64) << _VALUE_BITS
        found = (multiply_high(steps, np.array(tables.gain)) + tables.bias) >> STEP_FRACTION_BITS
        return np.asarray(np.clip(found, -128, 127), np.int8)

    def _rows(self, samples: Int64, state: MicroState) -> npt.NDArray[np.uint16]:
        """int64[frame_length, frames] to uint16[frames, n_mels]."""
        energy, shift = self._energies(samples)
        bands = _root(self._bands(energy)) >> shift
        values, noise = np.empty_like(bands.T), np.empty_like(bands.T)
        estimate = state.noise
        for frame, band in enumerate(bands.T):
            fine = (band << SMOOTHING_BITS) & 0xFFFFFFFF
            estimate = (fine * self._share + estimate * ((1 << SHARE_BITS) - self._share)) >> SHARE_BITS
            left = (fine - np.minimum(estimate, fine)) >> SMOOTHING_BITS
            values[frame] = np.maximum(left, (band * self.tables.least) >> SHARE_BITS)
            noise[frame] = estimate
        state.noise = estimate
        return self._log(_shrunk(values * _gain_at(noise, self.tables.gains)))

    def _energies(self, samples: Int64) -> tuple[Int64, Int64]:
        """Squared magnitudes int64[257, frames] of frames shifted left by int64[frames] bits."""
        windowed = (samples * self.tables.window[:, None]) >> _WINDOW_BITS
        # The original's absolute value of -32768 is negative.
        shift = 15 - bit_length(np.where(windowed == -32768, 0, np.abs(windowed)).max(axis=0))
        z = np.zeros((2, HALF, samples.shape[1]), np.int64)
        pairs = _int16(windowed << shift).reshape(self.spec.frame_length // 2, 2, -1)
        z[:, : len(pairs)] = pairs.transpose(1, 0, 2)
        return self._split(self._transform(z[:, self._order])), shift

    def _transform(self, z: Int64) -> Int64:
        """The complex transform of int64[2, 256, frames] in reversed order; a quarter of each sum stays."""
        frames = z.shape[2]
        length = 1
        while length < HALF:
            parts = _scaled(z, _TWIDDLE_ONE // 4).reshape(2, -1, 4, length, frames)
            places = np.arange(length) * (HALF // 4 // length)
            a, b, c, d = (
                _turned(parts[:, :, quarter], self._turns[2 * places * quarter][None, :, None])
                for quarter in range(4)
            )
            # Neither b + d nor a + c needs more than 16 bits; only their sums wrap around.
            even, odd, side, cross = a + c, a - c, b + d, b - d
            turned = np.stack([cross[1], -cross[0]])
            z = _int16(np.stack([even + side, odd + turned, even - side, odd - turned], axis=2))
            z = z.reshape(2, HALF, frames)
            length *= 4
        return z

    def _split(self, z: Int64) -> Int64:
        """Squared magnitudes of the real transform, from the complex one; the bins that bands need."""
        first, middle = self.tables.first_bin, HALF // 2
        low = _scaled(z[:, first : middle + 1], _TWIDDLE_ONE // 2)
        far = z[:, HALF - first : middle - 1 : -1]
        high = _scaled(np.stack([far[0], _int16(-far[1])]), _TWIDDLE_ONE // 2)
        total, difference = _int16(low + high), _int16(low - high)
        turned = _turned(difference, self._turns[middle + first : 2 * middle + 1][:, None])
        energy = np.zeros((HALF + 1, z.shape[2]), np.int64)
        for place, re, im in (
            (slice(first, middle + 1), total[0] + turned[0], total[1] + turned[1]),
            (slice(HALF - first, middle - 1, -1), total[0] - turned[0], turned[1] - total[1]),
        ):
            energy[place] = (re >> 1) ** 2 + (im >> 1) ** 2
        return energy

    def _bands(self, energy: Int64) -> Int64:
        """Weighted sums, int64[n_mels, frames]."""
        first, total = self.tables.first_bin, int(self._ends[-1])
        used = energy[first : first + total]
        falling = used * self.tables.weights[:, None]
        starts = self._ends - self.tables.segments
        fell = np.add.reduceat(falling, starts, axis=0)
        rose = np.add.reduceat((used << WEIGHT_BITS) - falling, starts, axis=0)
        bands: Int64 = rose[:-1] + fell[1:]
        return bands

    def _log(self, values: Int64) -> npt.NDArray[np.uint16]:
        """64 times the natural logarithm."""
        scaled = (values << CORRECTION_BITS) & 0xFFFFFFFF
        exponent = np.maximum(bit_length(scaled) - 1, 0)
        rest = scaled - (1 << exponent)
        rest = np.where(
            exponent < 16, rest << np.maximum(16 - exponent, 0), rest >> np.maximum(exponent - 16, 0)
        )
        place, table = np.clip(rest >> 9, 0, 127), self.tables.log_table
        between = ((table[place + 1] - table[place]) * (rest & 511)) >> 16
        log2 = (exponent << 16) + rest + table[place] + between
        natural = (LN2 * log2 + (1 << 15)) >> 16
        found = ((natural << LOG_SCALE_BITS) + (1 << 15)) >> 16
        return np.where(scaled > 1, found, 0).astype(np.uint16)


def _int16(values: Int64) -> Int64:
    """As int16 wraps around."""
    return ((values + 32768) & 0xFFFF) - 32768


def _scaled(values: Int64, factor: int) -> Int64:
    return (values * factor + (1 << 14)) >> 15


def _turned(z: Int64, turn: Int64) -> Int64:
    """int16 z[2, ...] times `turn`[..., 2], Q15."""
    cos, sin = turn[..., 0], turn[..., 1]
    return np.stack(
        [(z[0] * cos - z[1] * sin + (1 << 14)) >> 15, (z[0] * sin + z[1] * cos + (1 << 14)) >> 15]
    )


def _root(values: Int64) -> Int64:
    """Square root, rounded to nearest; 65,535 is never rounded up."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    root += (values - root * root > root) & (root != 0xFFFF)
    return root


def _gain_at(noise: Int64, table: Int64) -> Int64:
    """Gain by the estimate of the noise, interpolated."""
    bits = bit_length(noise)
    fraction = (
        np.where(bits < 11, noise << np.maximum(11 - bits, 0), noise >> np.maximum(bits - 11, 0)) & 0x3FF
    )
    place = np.maximum(3 * bits - 4, 2)
    bend = ((table[place + 2] * fraction) >> 5) + (table[place + 1] << 5)
    gain = _int16(((bend * fraction + (1 << 14)) >> 15) + table[place])
    return np.where(noise < 2, table[np.minimum(noise, 1)], gain)


def _shrunk(product: Int64) -> Int64:
    """The gained signal, small values squared away; 6 fractional bits."""
    snr = (product >> SNR_SHIFT) & 0xFFFFFFFF
    return np.where(snr < 2 << 12, snr * snr >> 20, (snr >> 6) - 64)
