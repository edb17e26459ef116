"""The front end in integers: the reference that the C equals in every bit.

Vectorised over frames; arrays have the frames last, so that every operation runs over contiguous memory, and go through
in blocks of bounded memory.
docs/front-end.md says the same in words, firmware/runtime/src/frontend.c in C.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.features.arithmetic import (
    Int32,
    Int64,
    bit_length,
    exact_product,
    fixed_log2,
    high_words,
    multiply_fraction,
    multiply_high,
    multiply_shift,
)
from stapes.features.micro import MicroFrontend
from stapes.features.pcen import pcen
from stapes.features.scratch import Scratch
from stapes.features.spectrum import PowerSpectrum
from stapes.features.tables import (
    ENERGY_BITS,
    LOG_FRACTION_BITS,
    LOG_UNIT,
    MFCC_FRACTION_BITS,
    STEP_FRACTION_BITS,
    OutputQuantization,
    Tables,
)
from stapes.recipe import FrontendSpec

_BLOCK_SAMPLES = 1 << 17
"""Samples of all the frames worked on at once: five seconds, some megabytes."""


class FixedFrontend:
    """The fixed-point front end of one specification; its tables are made once."""

    log_fraction_bits = LOG_FRACTION_BITS

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self.micro = MicroFrontend(spec) if spec.micro else None
        """What does the work instead, where the specification is the micro front end's."""
        if self.micro:
            return
        self.tables = tables = Tables.build(spec)
        lags = np.arange(spec.frame_length)
        self._window = tables.window[np.minimum(lags, spec.frame_length - lags)][:, None]
        self._spectrum = PowerSpectrum(tables)
        # Segments with the most bins first: of their first bins, their second … each round adds up a prefix.
        order = np.argsort(-tables.segments, kind="stable")
        first = (np.cumsum(tables.segments) - tables.segments)[order]
        self._rounds = [
            first[: np.count_nonzero(tables.segments > place)] + place
            for place in range(tables.segments.max())
        ]
        self._in_order = np.argsort(order)
        self._output: tuple[OutputQuantization, Tables] | None = None
        self._scratch: Scratch | None = Scratch()

    def log_mel(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """log2 of the mel power with its floor, int16[n] to int32[frames, n_mels].

        The values have `log_fraction_bits` fractional bits. Raises `RecipeError` where the features are no log-mel.
        """
        if self.spec.kind != "log-mel":
            raise RecipeError(
                f"this front end gives {self.spec.kind}, and log-mel was asked for",
                hint="leave out frontend.n_mfcc, frontend.pcen and frontend.micro",
            )
        log = self._device_log(*self._mel_powers(pcm))
        log += self.tables.fixed_offset[:, None]
        return np.ascontiguousarray(log.T, np.int32)

    def log_mel_float(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        """The same in the specification's log unit; float32[frames, n_mels]."""
        unit = LOG_UNIT[self.spec.log] * 2.0**-LOG_FRACTION_BITS
        return (self.log_mel(pcm) * unit).astype(np.float32)

    def values(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Log-mel, MFCC (both in the log's unit), PCEN or micro features before int8; float64[frames, n_features]."""
        if self.micro:
            return self.micro.values(pcm)
        if not (self.spec.n_mfcc or self.tables.pcen):
            return self.log_mel(pcm).astype(np.float64) * (LOG_UNIT[self.spec.log] * 2.0**-LOG_FRACTION_BITS)
        value = self._device_values(pcm).T.astype(np.float64, order="C") * 2.0**-self.tables.value_bits
        if self.tables.pcen:
            return value
        offset = self.tables.dct @ self.tables.log_offset * 2.0**-self.tables.dct_bits
        return (value + offset) * LOG_UNIT[self.spec.log]

    def features(self, pcm: npt.NDArray[np.int16], output: OutputQuantization) -> npt.NDArray[np.int8]:
        """What the network gets on the device; int16[n] to int8[frames, n_features]."""
        if self.micro:
            return self.micro.features(pcm, output)
        tables = self._tables_for(output)
        gain, bias = tables.gain[:, None], tables.bias[:, None]
        if self.spec.n_mfcc or tables.pcen:
            bits = tables.value_bits + tables.gain_bits - STEP_FRACTION_BITS
            steps = multiply_shift(self._device_values(pcm), gain, bits)
        else:
            steps = multiply_high(self._device_log(*self._mel_powers(pcm)), gain)
        steps += bias
        steps >>= STEP_FRACTION_BITS
        return np.ascontiguousarray(np.clip(steps, -128, 127, out=steps).T, np.int8)

    def _tables_for(self, output: OutputQuantization) -> Tables:
        """The tables with `output`'s gain and bias; those of the last one are kept."""
        if self._output is None or self._output[0] is not output:
            self._output = output, Tables.build(self.spec, output)
        return self._output[1]

    def _device_values(self, pcm: npt.NDArray[np.int16]) -> Int64:
        """MFCC in octaves, or PCEN, `value_bits` fractional bits; int64[n_features, frames]."""
        tables = self.tables
        mel, exponent = self._mel_powers(pcm)
        if tables.pcen:
            return pcen(mel, exponent * tables.exponent_factor, tables.pcen, tables.log_table)
        shift = tables.dct_bits + LOG_FRACTION_BITS - MFCC_FRACTION_BITS
        values = exact_product(tables.dct, self._device_log(mel, exponent))
        values += 1 << (shift - 1)
        values >>= shift
        return values

    def _mel_powers(self, pcm: npt.NDArray[np.int16]) -> tuple[Int64, Int64]:
        """Band powers, int64[n_mels, frames], and the exponent of each frame, int64[frames]."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise TypeError(f"pcm must be int16[n], not {pcm.dtype}{list(pcm.shape)}")
        count = self.spec.frames(len(pcm))
        mel, exponents = np.empty((self.spec.n_mels, count), np.int64), np.empty(count, np.int64)
        if count == 0:
            return mel, exponents
        # One more sample in front, for pre-emphasis.
        padded = np.concatenate([np.zeros(1, np.int16), pcm])
        every = np.lib.stride_tricks.sliding_window_view(padded, self.spec.frame_length + 1)
        frames = every[:: self.spec.hop_length]
        blocks = -(-count * self.spec.n_fft // _BLOCK_SAMPLES)
        # Taken, so that another thread would make its own.
        scratch, self._scratch = self._scratch or Scratch(), None
        for block in np.array_split(np.arange(count), blocks):
            part = slice(block[0], block[-1] + 1)
            samples = scratch.int64("samples", frames.shape[1], len(block))
            samples[...] = frames[part].T
            exponents[part] = exponent = self._exponent(samples)
            windowed = self._windowed(samples, exponent, scratch)
            mel[:, part] = self._mel(self._spectrum(windowed, scratch), scratch)
        self._scratch = scratch
        return mel, exponents

    def _exponent(self, samples: Int64) -> Int64:
        """Left shift of each frame: energy * 4^exponent stays below 2^60."""
        used = samples if self.tables.emphasis else samples[1:]
        energy = np.einsum("if,if->f", used, used)
        if self.tables.emphasis:
            energy <<= 2
        exponent: Int64 = np.minimum((ENERGY_BITS - bit_length(energy)) >> 1, self.tables.max_exponent)
        return exponent

    def _windowed(self, samples: Int64, exponent: Int64, scratch: Scratch) -> Int32:
        """Samples times 2^exponent and the window, the even and the odd ones; int32[2, n_fft / 2, frames].

        `samples`, int64[frame_length + 1, frames], are used up.
        """
        products = self._conditioned(samples, exponent)
        products *= self._window
        products += 1 << 31
        values = high_words(products)
        windowed = scratch.int32("windowed", 2, self.spec.n_fft // 2, samples.shape[1])
        for part, every_other in zip(windowed, (values[0::2], values[1::2]), strict=True):
            part[: len(every_other)] = every_other
            part[len(every_other) :] = 0
        return windowed

    def _conditioned(self, samples: Int64, exponent: Int64) -> Int64:
        """Samples times 2^exponent, with pre-emphasis and without their mean where the setting says so."""
        tables, values = self.tables, samples[1:]
        if not (tables.emphasis or tables.reciprocal):
            values <<= exponent
            return values
        fine = (values << 15) - tables.emphasis * samples[:-1]
        if tables.reciprocal:
            fine -= (fine.sum(axis=0) * tables.reciprocal + (1 << 30)) >> 31
        return (fine << np.maximum(exponent - 15, 0)) >> np.maximum(15 - exponent, 0)

    def _mel(self, power: Int64, scratch: Scratch) -> Int64:
        """Band powers without the area norm; int64[n_mels, frames]."""
        tables = self.tables
        used = power[tables.first_bin - 1 :][: len(tables.weights)]
        # What a bin gives to the band that rises there, and to the one that falls.
        shares = scratch.int64("shares", 2, *used.shape)
        multiply_fraction(used, tables.weights[:, None], out=shares[0], spare=shares[1])
        np.subtract(used, shares[0], out=shares[1])
        rising, falling = self._segment_sums(shares, scratch)
        mel: Int64 = rising[:-1] + falling[1:]
        return mel

    def _segment_sums(self, values: Int64, scratch: Scratch) -> Int64:
        """Sums over the bins of each segment: int64[2, bins, frames] to int64[2, n_mels + 1, frames]."""
        shape = len(self._in_order), values.shape[2]
        sums, more = scratch.int64("sums", 2, *shape), scratch.int64("more", 2 * math.prod(shape))
        sums[...] = 0
        for bins in self._rounds:
            part = more[: 2 * len(bins) * shape[1]].reshape(2, len(bins), shape[1])
            sums[:, : len(bins)] += values.take(bins, axis=1, out=part, mode="clip")
        return sums.take(self._in_order, axis=1)

    def _device_log(self, mel: Int64, exponent: Int64) -> Int64:
        """The device's log2 of mel power with its floor, without the band's offset; int64[n_mels, frames]."""
        tables = self.tables
        shift = tables.exponent_factor * exponent + tables.floor_shift
        floor = (tables.floor[:, None] >> np.maximum(-shift, 0)) << np.maximum(shift, 0)
        value = mel + floor if self.spec.log_floor_mode == "offset" else np.maximum(mel, floor)
        log = fixed_log2(value, tables.log_table)
        log -= (tables.exponent_factor * exponent) << LOG_FRACTION_BITS
        return log
