"""Power spectra in integers: a real transform by one of half its size, as firmware/runtime/src/fft.c.

Vectorised over frames. Arrays have the frames last, so that every operation runs over contiguous memory; complex ones
have the real and the imaginary part along their first axis. Values fit 32 bits and are kept so, and work is done in
place: at these sizes time is memory traffic.
"""

from __future__ import annotations

import numpy as np

from stapes.features.arithmetic import Int32, Int64, high_words, square_root
from stapes.features.scratch import Scratch
from stapes.features.tables import MAGNITUDE_FRACTION_BITS, Tables

_Turns = tuple[Int64, Int64]
"""Cosines, and sines with their negatives, ready to broadcast."""


def _turns(twiddles: Int64) -> _Turns:
    """`twiddles` are [..., 2], cos and sin; two more axes for what they are applied to."""
    cos, sin = twiddles[..., 0], twiddles[..., 1]
    return np.ascontiguousarray(cos)[..., None, None], np.stack([sin, -sin])[..., None, None]


def _rotate(z: Int32, turns: _Turns, scratch: Scratch) -> None:
    """`z (cos - j sin) / 2` in place; each of the four products is rounded, halves upwards."""
    cos, sin = turns
    products = scratch.int64("products", 2, *z.shape)
    straight, crossed = products
    straight[...] = z
    np.multiply(straight[::-1], sin, out=crossed)
    straight *= cos
    products += 1 << 31
    np.add(high_words(straight), high_words(crossed), out=z)


def _butterfly(a: Int32, b: Int32, c: Int32, d: Int32, out: Int32, scratch: Scratch) -> None:
    """A transform of length 4 over `a` … `d`, of which c and d are used up; `out` is [2, 4, …]."""
    even, side = scratch.int32("even and side", 2, *a.shape)
    np.add(a, c, out=even)
    np.add(b, d, out=side)
    odd, cross = np.subtract(a, c, out=c), np.subtract(b, d, out=d)
    np.add(even, side, out=out[:, 0])
    np.subtract(even, side, out=out[:, 2])
    np.add(odd[0], cross[1], out=out[0, 1])
    np.subtract(odd[1], cross[0], out=out[1, 1])
    np.subtract(odd[0], cross[1], out=out[0, 3])
    np.add(odd[1], cross[0], out=out[1, 3])


def _square(z: Int32, out: Int64, scratch: Scratch) -> None:
    """The square of the absolute value."""
    parts = scratch.int64("products", *z.shape)
    parts[...] = z
    parts *= parts
    np.add(parts[0], parts[1], out=out)


class PowerSpectrum:
    """Frames to the power, or the magnitude, of their bins."""

    def __init__(self, tables: Tables) -> None:
        self._magnitude = tables.spec.spectrum == "magnitude"
        self._half = half = tables.spec.n_fft // 2
        self._first = 2 if tables.radix2_first else 4
        self._stages: list[tuple[int, _Turns]] = []
        length = self._first
        while length < half:
            self._stages.append((length, _turns(tables.twiddles[:: half // 4 // length])))
            length *= 4
        cos, sin = _turns(tables.split_twiddles[: half // 2 - 1])
        self._split = cos[..., 0], sin[..., 0]

    def __call__(self, samples: Int32, scratch: Scratch) -> Int64:
        """Bins 1 … n_fft / 2 - 1 at indices 0 …; int64[n_fft / 2 - 1, frames], which may lie in `scratch`.

        `samples`, which are used up, are the even and the odd ones: int32[2, n_fft / 2, frames].
        """
        power = self._powers(self._transform(samples, scratch), scratch)
        return square_root(power, MAGNITUDE_FRACTION_BITS) if self._magnitude else power

    def _transform(self, x: Int32, scratch: Scratch) -> Int32:
        """The complex transform of `x`, which is used up, every stage but the first halved per radix 4."""
        half, count, y = self._half, x.shape[-1], scratch.int32("transform", *x.shape)
        # [re and im, length of the partial transforms, which of the four, their number, frames]
        if self._first == 2:
            (a, b), out = x.reshape(2, 2, half // 2, count).swapaxes(0, 1), y.reshape(2, 2, half // 2, count)
            np.add(a, b, out=out[:, 0])
            np.subtract(a, b, out=out[:, 1])
        else:
            a, b, c, d = x.reshape(2, 4, half // 4, count).swapaxes(0, 1)
            _butterfly(a, b, c, d, y.reshape(2, 4, half // 4, count), scratch)
        for length, turns in self._stages:
            x, y = y, x
            parts = x.reshape(2, length, 4, half // length // 4, count)
            _rotate(parts[:, :, 1:], turns, scratch)
            a, b, c, d = parts.transpose(2, 0, 1, 3, 4)
            a >>= 1
            _butterfly(a, b, c, d, y.reshape(2, 4, length, half // length // 4, count), scratch)
        return y

    def _powers(self, z: Int32, scratch: Scratch) -> Int64:
        """Powers of the real transform, from the complex one, which is used up."""
        middle, count = self._half // 2, z.shape[-1]
        power = scratch.int64("power", self._half - 1, count)
        low, high = z[:, 1:middle], z[:, :middle:-1]
        # X[k] = (S - j W^k D) / 2 and X[half - k] = conj(S + j W^k D) / 2
        turned, bins = scratch.int32("turned and bins", 2, 2, middle - 1, count)
        np.subtract(low[0], high[0], out=turned[0])
        np.add(low[1], high[1], out=turned[1])
        low[0] += high[0]
        low[1] -= high[1]
        low >>= 1
        _rotate(turned, self._split, scratch)
        np.add(low[0], turned[1], out=bins[0])
        np.subtract(low[1], turned[0], out=bins[1])
        _square(bins, power[: middle - 1], scratch)
        np.subtract(low[0], turned[1], out=bins[0])
        np.add(low[1], turned[0], out=bins[1])
        _square(bins, power[: middle - 1 : -1], scratch)
        _square(z[:, middle], power[middle - 1], scratch)
        return power
