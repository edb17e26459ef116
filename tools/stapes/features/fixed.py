"""The front end in integers: the reference that the C equals in every bit.

Vectorised over frames; arrays have the frames last, so that every operation runs over contiguous memory.
docs/front-end.md says the same in words, firmware/runtime/src/frontend.c in C.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.features.arithmetic import (
    Int64,
    bit_length,
    fixed_log2,
    multiply_fraction,
    multiply_high,
    multiply_high_negated,
    multiply_shift,
    square_root,
)
from stapes.features.pcen import pcen
from stapes.features.tables import (
    ENERGY_BITS,
    LOG_FRACTION_BITS,
    LOG_UNIT,
    MAGNITUDE_FRACTION_BITS,
    MFCC_FRACTION_BITS,
    STEP_FRACTION_BITS,
    OutputQuantization,
    Tables,
)
from stapes.recipe import FrontendSpec

_BLOCK = 256
"""Frames worked on at once: enough to vectorise, few enough to stay in the cache."""


def _rotate(re: Int64, im: Int64, cos: Int64, sin: Int64) -> tuple[Int64, Int64]:
    """`(re + j im) (cos - j sin) / 2`."""
    real = multiply_high(re, cos)
    real += multiply_high(im, sin)
    imaginary = multiply_high(im, cos)
    imaginary += multiply_high_negated(re, sin)
    return real, imaginary


class FixedFrontend:
    """The fixed-point front end of one specification."""

    log_fraction_bits = LOG_FRACTION_BITS

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self.tables = Tables.build(spec)
        lags = np.arange(spec.frame_length)
        self._window = self.tables.window[np.minimum(lags, spec.frame_length - lags)][:, None]

    def log_mel(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """log2 of the mel power with its floor, int16[n] to int32[frames, n_mels].

        The values have `log_fraction_bits` fractional bits. Raises `RecipeError` where the features are no log-mel.
        """
        if self.spec.n_mfcc or self.spec.pcen:
            raise RecipeError(
                f"this front end gives {'MFCC' if self.spec.n_mfcc else 'PCEN'}, and log-mel was asked for",
                hint="leave out frontend.n_mfcc and frontend.pcen",
            )
        return (self._device_log(*self._mel_powers(pcm)) + self.tables.fixed_offset).astype(np.int32)

    def log_mel_float(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        """The same in the specification's log unit; float32[frames, n_mels]."""
        unit = LOG_UNIT[self.spec.log] * 2.0**-LOG_FRACTION_BITS
        return (self.log_mel(pcm) * unit).astype(np.float32)

    def values(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Log-mel, MFCC (both in the log's unit) or PCEN before int8; float64[frames, n_features]."""
        if not (self.spec.n_mfcc or self.tables.pcen):
            return self.log_mel(pcm).astype(np.float64) * (LOG_UNIT[self.spec.log] * 2.0**-LOG_FRACTION_BITS)
        value = self._device_values(pcm).astype(np.float64) * 2.0**-self.tables.value_bits
        if self.tables.pcen:
            return value
        offset = self.tables.dct @ self.tables.log_offset * 2.0**-self.tables.dct_bits
        return (value + offset) * LOG_UNIT[self.spec.log]

    def features(self, pcm: npt.NDArray[np.int16], output: OutputQuantization) -> npt.NDArray[np.int8]:
        """What the network gets on the device; int16[n] to int8[frames, n_features]."""
        tables = Tables.build(self.spec, output)
        if self.spec.n_mfcc or tables.pcen:
            steps = multiply_shift(
                self._device_values(pcm),
                tables.gain,
                tables.value_bits + tables.gain_bits - STEP_FRACTION_BITS,
            )
        else:
            steps = multiply_high(self._device_log(*self._mel_powers(pcm)), tables.gain)
        return np.asarray(np.clip((steps + tables.bias) >> STEP_FRACTION_BITS, -128, 127), np.int8)

    def _device_values(self, pcm: npt.NDArray[np.int16]) -> Int64:
        """MFCC in octaves, or PCEN, `value_bits` fractional bits; int64[frames, n_features]."""
        tables = self.tables
        mel, exponent = self._mel_powers(pcm)
        if tables.pcen:
            return pcen(mel, exponent * tables.exponent_factor, tables.pcen, tables.log_table)
        shift = tables.dct_bits + LOG_FRACTION_BITS - MFCC_FRACTION_BITS
        values: Int64 = (self._device_log(mel, exponent) @ tables.dct.T + (1 << (shift - 1))) >> shift
        return values

    def _mel_powers(self, pcm: npt.NDArray[np.int16]) -> tuple[Int64, Int64]:
        """Band powers, int64[frames, n_mels], and the exponent of each frame, int64[frames]."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise TypeError(f"pcm must be int16[n], not {pcm.dtype}{list(pcm.shape)}")
        count = self.spec.frames(len(pcm))
        mel, exponents = np.empty((count, self.spec.n_mels), np.int64), np.empty(count, np.int64)
        if count == 0:
            return mel, exponents
        # One more sample in front, for pre-emphasis.
        padded = np.concatenate([np.zeros(1, np.int16), pcm])
        every = np.lib.stride_tricks.sliding_window_view(padded, self.spec.frame_length + 1)
        frames = every[:: self.spec.hop_length]
        for start in range(0, count, _BLOCK):
            block = frames[start : start + _BLOCK].T.astype(np.int64, order="C")
            exponent = self._exponent(block)
            mel[start : start + _BLOCK] = self._mel(self._power(block, exponent)).T
            exponents[start : start + _BLOCK] = exponent
        return mel, exponents

    def _exponent(self, samples: Int64) -> Int64:
        """Left shift of each frame: energy * 4^exponent stays below 2^60."""
        used = samples if self.tables.emphasis else samples[1:]
        energy = np.einsum("if,if->f", used, used)
        if self.tables.emphasis:
            energy <<= 2
        exponent: Int64 = np.minimum((ENERGY_BITS - bit_length(energy)) >> 1, self.tables.max_exponent)
        return exponent

    def _conditioned(self, samples: Int64, exponent: Int64) -> Int64:
        """Samples times 2^exponent, with pre-emphasis and without their mean where the setting says so."""
        tables = self.tables
        if not (tables.emphasis or tables.reciprocal):
            return samples[1:] << exponent
        fine = (samples[1:] << 15) - tables.emphasis * samples[:-1]
        if tables.reciprocal:
            fine -= (fine.sum(axis=0) * tables.reciprocal + (1 << 30)) >> 31
        return (fine << np.maximum(exponent - 15, 0)) >> np.maximum(15 - exponent, 0)

    def _power(self, samples: Int64, exponent: Int64) -> Int64:
        """Power (or magnitude) of bins 1 … n_fft/2 - 1 at indices 0 …; int64[n_fft / 2 - 1, frames]."""
        windowed = np.zeros((self.spec.n_fft, samples.shape[1]), np.int64)
        windowed[: self.spec.frame_length] = multiply_high(self._conditioned(samples, exponent), self._window)
        re, im = self._half_size_fft(windowed[0::2], windowed[1::2])
        half = self.spec.n_fft // 2
        middle = half // 2
        power = np.empty((half - 1, samples.shape[1]), np.int64)
        low, high = slice(1, middle), slice(half - 1, middle, -1)
        sum_re, sum_im = re[low] + re[high], im[low] - im[high]
        difference_re, difference_im = re[low] - re[high], im[low] + im[high]
        cos, sin = (self.tables.split_twiddles[: middle - 1, part, None] for part in (0, 1))
        # X[k] = (S - j W^k D) / 2 and X[half - k] = conj(S + j W^k D) / 2
        turned_re, turned_im = _rotate(difference_re, difference_im, cos, sin)
        sum_re >>= 1
        sum_im >>= 1
        power[0 : middle - 1] = (sum_re + turned_im) ** 2 + (sum_im - turned_re) ** 2
        power[half - 2 : middle - 1 : -1] = (sum_re - turned_im) ** 2 + (sum_im + turned_re) ** 2
        power[middle - 1] = re[middle] ** 2 + im[middle] ** 2
        return square_root(power, MAGNITUDE_FRACTION_BITS) if self.spec.spectrum == "magnitude" else power

    def _half_size_fft(self, re: Int64, im: Int64) -> tuple[Int64, Int64]:
        """Complex transform over axis 0, every stage but the first scaled by half per radix 4.

        Data are [length of the partial transforms, partial transforms, frames].
        """
        half, count = re.shape
        re, im = re.reshape(1, half, count), im.reshape(1, half, count)
        length = 1
        if self.tables.radix2_first:
            (a, b), (c, d) = (x.reshape(1, 2, half // 2, count).swapaxes(0, 1) for x in (re, im))
            re, im = np.concatenate([a + b, a - b]), np.concatenate([c + d, c - d])
            length = 2
        while length < half:
            rest = half // length // 4
            split_re = re.reshape(length, 4, rest, count)
            split_im = im.reshape(length, 4, rest, count)
            a_re, a_im = split_re[:, 0], split_im[:, 0]
            if length == 1:
                (b_re, c_re, d_re), (b_im, c_im, d_im) = (
                    (x[:, 1], x[:, 2], x[:, 3]) for x in (split_re, split_im)
                )
            else:
                twiddles = self.tables.twiddles[:: half // 4 // length, :, :, None, None]
                (b_re, b_im), (c_re, c_im), (d_re, d_im) = (
                    _rotate(split_re[:, i], split_im[:, i], twiddles[:, i - 1, 0], twiddles[:, i - 1, 1])
                    for i in (1, 2, 3)
                )
                a_re, a_im = a_re >> 1, a_im >> 1
            even_re, even_im = a_re + c_re, a_im + c_im
            odd_re, odd_im = a_re - c_re, a_im - c_im
            side_re, side_im = b_re + d_re, b_im + d_im
            cross_re, cross_im = b_re - d_re, b_im - d_im
            re = np.concatenate([even_re + side_re, odd_re + cross_im, even_re - side_re, odd_re - cross_im])
            im = np.concatenate([even_im + side_im, odd_im - cross_re, even_im - side_im, odd_im + cross_re])
            length *= 4
        return re[:, 0], im[:, 0]

    def _mel(self, power: Int64) -> Int64:
        """Band powers without the area norm; int64[n_mels, frames]."""
        tables = self.tables
        used = power[tables.first_bin - 1 :][: len(tables.weights)]
        rising = multiply_fraction(used, tables.weights[:, None])
        total, rise = self._segment_sums(used), self._segment_sums(rising)
        mel: Int64 = rise[:-1] + total[1:] - rise[1:]
        return mel

    def _segment_sums(self, values: Int64) -> Int64:
        ends = np.concatenate([[0], np.cumsum(self.tables.segments)])
        running = np.zeros((len(values) + 1, values.shape[1]), np.int64)
        np.cumsum(values, axis=0, out=running[1:])
        sums: Int64 = np.diff(running[ends], axis=0)
        return sums

    def _device_log(self, mel: Int64, exponent: Int64) -> Int64:
        """The device's log2 of mel power with its floor, without the band's offset; int64[frames, n_mels]."""
        tables = self.tables
        shift = tables.exponent_factor * exponent[:, None] + tables.floor_shift
        floor = (tables.floor >> np.maximum(-shift, 0)) << np.maximum(shift, 0)
        value = mel + floor if self.spec.log_floor_mode == "offset" else np.maximum(mel, floor)
        scale = (tables.exponent_factor * exponent[:, None]) << LOG_FRACTION_BITS
        log: Int64 = fixed_log2(value, tables.log_table) - scale
        return log
