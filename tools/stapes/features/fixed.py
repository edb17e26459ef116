"""The front end in integers: the reference that the C equals in every bit.

Vectorised over frames; arrays have the frames last, so that every operation runs over contiguous memory.
docs/front-end.md says the same in words, firmware/runtime/src/frontend.c in C.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.features.tables import (
    ENERGY_BITS,
    LOG_FRACTION_BITS,
    LOG_TABLE_BITS,
    LOG_UNIT,
    OutputQuantization,
    Tables,
)
from stapes.recipe import FrontendSpec

Int64 = npt.NDArray[np.int64]

_BLOCK = 256
"""Frames worked on at once: enough to vectorise, few enough to stay in the cache."""


def _multiply_high(x: Int64, y: Int64) -> Int64:
    """`round(x * y / 2^32)`, halves upwards: Arm's SMMULR."""
    product = x * y
    product += 1 << 31
    product >>= 32
    return product


def _multiply_high_negated(x: Int64, y: Int64) -> Int64:
    """`round(-x * y / 2^32)`, halves upwards: what Arm's SMMLSR adds."""
    product = x * y
    np.subtract(1 << 31, product, out=product)
    product >>= 32
    return product


def _rotate(re: Int64, im: Int64, cos: Int64, sin: Int64) -> tuple[Int64, Int64]:
    """`(re + j im) (cos - j sin) / 2`."""
    real = _multiply_high(re, cos)
    real += _multiply_high(im, sin)
    imaginary = _multiply_high(im, cos)
    imaginary += _multiply_high_negated(re, sin)
    return real, imaginary


def _bit_length(values: Int64) -> Int64:
    """Bits needed for each non-negative value below 2^63."""
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    # The conversion to float64 may have rounded up to the next power of two.
    bits -= (values >> np.maximum(bits - 1, 0)) == 0
    return np.where(values == 0, 0, bits)


class FixedFrontend:
    """The fixed-point front end of one specification."""

    log_fraction_bits = LOG_FRACTION_BITS

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self.tables = Tables.build(spec)
        offset = np.rint(self.tables.log_offset * 2.0**LOG_FRACTION_BITS)
        self._offset = offset.astype(np.int64)
        lags = np.arange(spec.frame_length)
        self._window = self.tables.window[np.minimum(lags, spec.frame_length - lags)][:, None]

    def log_mel(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """log2 of the mel power with its floor, int16[n] to int32[frames, n_mels].

        The values have `log_fraction_bits` fractional bits.
        """
        return (self._device_log(pcm) + self._offset).astype(np.int32)

    def log_mel_float(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        """The same in the specification's log unit; float32[frames, n_mels]."""
        unit = LOG_UNIT[self.spec.log] * 2.0**-LOG_FRACTION_BITS
        return (self.log_mel(pcm) * unit).astype(np.float32)

    def features(self, pcm: npt.NDArray[np.int16], output: OutputQuantization) -> npt.NDArray[np.int8]:
        """What the network gets on the device; int16[n] to int8[frames, n_mels]."""
        tables = Tables.build(self.spec, output)
        steps = _multiply_high(self._device_log(pcm), np.asarray(tables.gain)) + tables.bias
        return np.asarray(np.clip(steps >> 16, -128, 127), np.int8)

    def _device_log(self, pcm: npt.NDArray[np.int16]) -> Int64:
        """The device's logarithm, without the offset of the band; int64[frames, n_mels]."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise TypeError(f"pcm must be int16[n], not {pcm.dtype}{list(pcm.shape)}")
        count = self.spec.frames(len(pcm))
        result = np.empty((count, self.spec.n_mels), np.int64)
        if count:
            every = np.lib.stride_tricks.sliding_window_view(pcm, self.spec.frame_length)
            frames = every[:: self.spec.hop_length]
            for start in range(0, count, _BLOCK):
                block = frames[start : start + _BLOCK].T.astype(np.int64, order="C")
                exponent = self._exponent(block)
                power = self._power(block, exponent)
                result[start : start + _BLOCK] = self._log(self._mel(power), exponent).T
        return result

    def _exponent(self, samples: Int64) -> Int64:
        """Left shift of each frame: energy * 4^exponent stays below 2^60."""
        energy = np.einsum("if,if->f", samples, samples)
        exponent: Int64 = np.minimum((ENERGY_BITS - _bit_length(energy)) >> 1, self.tables.max_exponent)
        return exponent

    def _power(self, samples: Int64, exponent: Int64) -> Int64:
        """Power of bins 1 … n_fft/2 - 1 at indices 0 …; int64[n_fft / 2 - 1, frames]."""
        windowed = np.zeros((self.spec.n_fft, samples.shape[1]), np.int64)
        windowed[: self.spec.frame_length] = _multiply_high(samples << exponent, self._window)
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
        return power

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
        weights = tables.weights[:, None]
        # (power * weight) >> 32 without leaving 64 bits; the low product needs all 64 of them.
        low = ((used & 0xFFFFFFFF).view(np.uint64) * weights.view(np.uint64)) >> np.uint64(32)
        rising = (used >> 32) * weights + low.view(np.int64)
        total, rise = self._segment_sums(used), self._segment_sums(rising)
        mel: Int64 = rise[:-1] + total[1:] - rise[1:]
        return mel

    def _segment_sums(self, values: Int64) -> Int64:
        ends = np.concatenate([[0], np.cumsum(self.tables.segments)])
        running = np.zeros((len(values) + 1, values.shape[1]), np.int64)
        np.cumsum(values, axis=0, out=running[1:])
        sums: Int64 = np.diff(running[ends], axis=0)
        return sums

    def _log(self, mel: Int64, exponent: Int64) -> Int64:
        """log2 of mel power with its floor, less what the frame's exponent added; int64[n_mels, frames]."""
        tables = self.tables
        shift = 2 * exponent + tables.floor_shift
        floor = (tables.floor[:, None] << np.maximum(shift, 0)) >> np.maximum(-shift, 0)
        value = mel + floor if self.spec.log_floor_mode == "offset" else np.maximum(mel, floor)
        bits = _bit_length(value)
        mantissa = (value << np.maximum(32 - bits, 0)) >> np.maximum(bits - 32, 0)
        index = (mantissa >> (31 - LOG_TABLE_BITS)) & ((1 << LOG_TABLE_BITS) - 1)
        rest = (mantissa << (LOG_TABLE_BITS + 1)) & 0xFFFFFFFF
        base = tables.log_table[index]
        fraction = base + (((tables.log_table[index + 1] - base) * rest) >> 32)
        log: Int64 = ((bits - 1 - 2 * exponent) << LOG_FRACTION_BITS) + fraction
        return log
