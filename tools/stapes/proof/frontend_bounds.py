"""How large every number of the front end can become, whatever the samples are.

The argument is about Euclidean norms: a frame is shifted so that its energy stays below 2^60, a window shortens, the
butterflies of a transform of length 4 double the norm of what they get, and rounding adds at most so much to each
element. Two elements of a vector of norm n add up to at most sqrt(2) n, and four to 2 n. All of it from the tables that
are in the image; docs/proof-runs.md says it in words. Float64 errs by less than the margin that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stapes.features import Tables
from stapes.proof.frontend_device import FrontendImage

_MARGIN = 1e-9
INT32, INT64, UINT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1), (0, 2**64 - 1)
Interval = tuple[float, float]


@dataclass(frozen=True)
class Step:
    """One kind of number: it stays within `low` … `high`, and must within `limits`."""

    row: str
    """window, transform, bands, logarithm or features."""
    what: str
    low: float
    high: float
    limits: Interval

    @property
    def holds(self) -> bool:
        """Whether it is so; with a margin for float64."""
        margin = _MARGIN if isinstance(self.high, float) else 0
        low, high = self.low - abs(self.low) * margin, self.high + abs(self.high) * margin
        return self.limits[0] <= low and high <= self.limits[1]

    def __str__(self) -> str:
        return f"{self.what} from {_short(self.low)} to {_short(self.high)}"


def _short(value: float) -> str:
    if abs(value) < 2**20:
        return f"{value:.0f}"
    return f"{'-' if value < 0 else ''}2^{math.log2(abs(value)):.2f}"


def _both(row: str, what: str, most: float, limits: Interval = INT32) -> Step:
    return Step(row, what, -most, most, limits)


def _bits(value: int) -> int:
    return value.bit_length()


def frontend_steps(image: FrontendImage, tables: Tables) -> Iterator[Step]:
    """Every step that could overflow or saturate, in the order in which samples go through; of `tables` only what
    `image` lacks: PCEN's constants.
    """
    exponents, steps = _exponents(image)
    yield from steps
    windowed, steps = _window(image, exponents)
    yield from steps
    spectrum, steps = _transform(image, windowed)
    yield from steps
    mel, steps = _bands(image, spectrum)
    yield from steps
    if image.finish == "pcen":
        yield from _pcen(image, tables, exponents, mel)
        return
    logs, steps = _logarithm(image, exponents, mel)
    yield from steps
    yield from _features(image, logs)


def _exponents(image: FrontendImage) -> tuple[range, list[Step]]:
    """All that a frame can have."""
    s = image.settings
    energy = s["frame_length"] << 30
    if s["emphasis"]:
        energy = (energy + (1 << 30)) * 4
    least, most = (60 - _bits(energy)) // 2, min(30, s["max_exponent"])
    steps = [
        Step("window", "the energy of a frame", 0, energy, (0, 2**60 - 1)),
        Step("window", "the exponent", min(least, most), most, (0, 30)),
    ]
    return range(max(0, min(least, most)), most + 1), steps


def _window(image: FrontendImage, exponents: range) -> tuple[float, list[Step]]:
    """The norm of a windowed frame."""
    s = image.settings
    length, steps = s["frame_length"], []
    norm = 2.0**30  # the energy times 4^exponent is below 2^60; no sample is longer than all of them
    if image.load == "conditioned":
        # A difference of samples is at most twice as long as both, which the energy has in it. Less the mean it is
        # shorter; the mean errs by what its reciprocal does, and by one.
        up = 2.0 ** max(0, exponents[-1] - 15)
        fine = float((1 << 30) + s["emphasis"] * 2**15)
        steps.append(_both("window", "the share of the sample before", s["emphasis"] * 2.0**15))
        steps.append(
            _both(
                "window", "the sum of a frame over its length", length * fine * s["reciprocal"] + 2**30, INT64
            )
        )
        if s["reciprocal"]:
            norm *= 1 + abs(s["reciprocal"] * length / 2**31 - 1)
            norm += math.sqrt(length) * up
        norm += math.sqrt(length)
        steps.append(_both("window", "a sample before its shift to the right", 2 * fine * up, INT64))
    steps.append(_both("window", "a shifted sample", norm))
    window = float(np.abs(image.window).max())
    steps.append(_both("window", "its product with the window", norm * window + 2**31, INT64))
    norm = norm * window / 2**32 + 0.5 * math.sqrt(length)
    steps.append(_both("window", "a windowed sample", norm))
    return norm, steps


def _transform(image: FrontendImage, norm: float) -> tuple[float, list[Step]]:
    """The sum of all powers."""
    half = image.settings["n_fft"] // 2
    turn = math.sqrt(float((image.twiddles.astype(np.float64) ** 2).sum(axis=-1).max())) / 2**31
    first = 4 if (half.bit_length() - 1) % 2 == 0 else 2
    # Sums of all four (two) elements of a butterfly.
    norm *= math.sqrt(first)
    steps = [_both("transform", f"a sum of its first stage, of radix {first},", norm)]
    stages, length = 0, first
    # A turned part is rounded twice, by a half each time; one that is halved loses a half at most.
    rounded = math.sqrt(half * (0.75 * 2 * 1.0 + 0.25 * 2 * 0.25))
    while length < half:
        inner = turn * norm / 2 + rounded
        norm = 2 * inner
        stages, length = stages + 1, 4 * length
        steps.append(_both("transform", f"a sum of its stage {stages}", norm))
    steps.append(_both("transform", "a sum of two mirrored bins", math.sqrt(2) * norm))
    turn = math.sqrt(float((image.split_twiddles.astype(np.float64) ** 2).sum(axis=-1).max())) / 2**31
    norm = max(1.0, turn) * norm + 1.5 * math.sqrt(2 * half)
    steps.append(_both("transform", "a part of a bin", norm))
    steps.append(Step("transform", "the sum of all powers", 0.0, norm * norm, (0, 2**63 - 1)))
    return norm * norm, steps


def _bands(image: FrontendImage, spectrum: float) -> tuple[float, list[Step]]:
    """The greatest band."""
    s = image.settings
    half, counts = s["n_fft"] // 2, image.counts
    steps = [
        Step("bands", "a bin's number", s["first_bin"], s["first_bin"] + int(counts.sum()) - 1, (1, half - 1))
    ]
    if image.magnitude:
        # The root of 64 bits has 32; 24 fractional bits are put behind them.
        steps.append(Step("bands", "a root before its shift", 0.0, 2.0**56, UINT64))
        spectrum = math.sqrt(half * spectrum) * 2.0**24
    # A share is rounded down: it is never more than its power, and what is left never less than nothing.
    steps.append(
        Step("bands", "a weight", int(image.weights.min()), int(image.weights.max()), (0, 2**32 - 1))
    )
    steps.append(Step("bands", "a sum of bins", 0.0, spectrum, (0, 2**63 - 1)))
    read = s["first_bin"] + np.cumsum(counts)[1:]
    place = s["mel_place"]
    ahead = int((np.arange(len(read)) - read).max()) if place == 0 else half - place - 1
    steps.append(Step("bands", "a band's place beyond the bins that were read", ahead, ahead, (-half, -1)))
    last = max(half, place + s["n_mels"], s["state_place"] + s["n_mels"] if image.finish == "pcen" else 0)
    steps.append(Step("bands", "a place in memory", 0, last, (0, s["bins"])))
    return spectrum, steps


def _log2(value: int, table: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> int:
    """The front end's own, of a positive integer; Q24."""
    bits = value.bit_length()
    mantissa = value << 64 >> (bits + 32)
    index, rest = mantissa >> 24 & 127, mantissa & 0xFFFFFF
    low, high = int(table[index]), int(table[index + 1])
    return (bits - 1 << 24) + low + ((high - low) * rest >> 24)


def _logarithm(image: FrontendImage, exponents: range, mel: float) -> tuple[tuple[int, int], list[Step]]:
    """The least and the greatest logarithm."""
    s, floors = image.settings, [int(floor) for floor in image.bands[:, 1]]
    rises = np.diff(image.log_table)
    steps = [Step("logarithm", "the rise between two points", int(rises.min()), int(rises.max()), (0, 2**24))]
    shifts = [s["exponent_factor"] * e + s["floor_shift"] for e in exponents]
    steps.append(Step("logarithm", "the floor's shift", min(shifts), max(shifts), (-31, 31)))
    if not all(step.holds for step in steps):
        return (0, 0), steps
    lows, highs, powers, least = [], [], [], []
    for exponent, shift in zip(exponents, shifts, strict=True):
        every = [floor >> max(0, -shift) << max(0, shift) for floor in floors]
        high = int(mel * (1 + _MARGIN)) + max(every)
        less = s["exponent_factor"] * exponent << 24
        powers.append(high)
        least.append(min(every))
        lows.append(_log2(max(1, min(every)), image.log_table) - less)
        highs.append(_log2(high, image.log_table) - less)
    integer = [63 - s["exponent_factor"] * exponent for exponent in exponents]
    steps += [
        Step("logarithm", "a floor", min(least), max(powers), (1, 2**63 - 1)),
        Step("logarithm", "a band with its floor", min(least), max(powers), (1, 2**63 - 1)),
        Step("logarithm", "its whole part", (min(integer) - 63) * 2**24, max(integer) * 2**24, INT32),
        Step("logarithm", "a logarithm", min(lows), max(highs), INT32),
    ]
    return (min(lows), max(highs)), steps


def _features(image: FrontendImage, logs: tuple[int, int]) -> Iterator[Step]:
    s, scaling = image.settings, image.scaling
    yield Step("features", "a gain", int(scaling[:, 0].min()), int(scaling[:, 0].max()), (1, 2**31 - 1))
    if image.finish != "mfcc":
        both = [[((log * int(gain) + 2**31) >> 32) + int(bias) for gain, bias in scaling] for log in logs]
        yield Step("features", "a feature before it is int8, Q16,", min(both[0]), max(both[1]), INT32)
        return
    shift = s["dct_bits"] + 24 - 16
    most = int(np.abs(image.dct).sum(axis=1).max()) * max(abs(log) for log in logs) + 2 ** (shift - 1)
    yield _both("features", "a sum of the DCT", most, INT64)
    most = (most >> shift) + 1
    yield _both("features", "a coefficient, Q16,", most)
    yield from _scaled(image, most, 20)


def _scaled(image: FrontendImage, value: int, bits: int) -> Iterator[Step]:
    gain, bias = (int(np.abs(image.scaling[:, i]).max()) for i in range(2))
    product = value * gain + 2 ** (bits - 1)
    yield _both("features", "a feature times its gain", product, INT64)
    yield _both("features", "a feature before it is limited, Q16,", (product >> bits) + 1 + bias, INT64)


def _pcen(image: FrontendImage, tables: Tables, exponents: range, mel: float) -> Iterator[Step]:
    pcen, table = tables.pcen, image.log_table
    assert pcen is not None
    most = 0
    for exponent in exponents:
        shift = pcen.unit - image.settings["exponent_factor"] * exponent
        # What the frame's exponent put in comes out again.
        most = max(most, int(mel * (1 + _MARGIN)) << max(0, shift) >> max(0, -shift))
        yield Step("logarithm", f"a shift of bands at exponent {exponent}", shift, shift, (-63, 63))
    least_eps, most_eps = int(pcen.eps.min()), int(pcen.eps.max())
    yield Step("logarithm", "a band, Q40,", 0, most, (0, 2**63 - 1))
    yield Step("logarithm", "a level", least_eps, most + most_eps, (1, 2**63 - 1))
    yield Step(
        "logarithm", "a factor, Q30,", min(pcen.gain, pcen.power), max(pcen.gain, pcen.power), (0, 2**30)
    )
    level = _log2(least_eps, table), _log2(most + most_eps, table)
    left = ((1 << 30) - pcen.gain) * (40 << 24) >> 30
    offset = int(pcen.offset.min()), int(pcen.offset.max())
    reach = _log2(most + 1, table) + max(map(abs, level)) + 1 + max(map(abs, offset)) + left
    yield _both("logarithm", "a ratio before it is limited, Q24,", reach)
    lifted = (int(tables.pcen.exp_table.max()) << 31) + pcen.bias if tables.pcen else 0
    yield Step("logarithm", "a lifted ratio, Q32,", pcen.bias, lifted, (1, 2**63 - 1))
    high = (_log2(lifted, table) - (32 << 24)) * pcen.power >> 30
    low = (_log2(pcen.bias, table) - (32 << 24)) * pcen.power >> 30
    shifts = (low >> 24) - 1 + 24 - 30, (high >> 24) + 1 + 24 - 30
    yield Step("logarithm", "a shift of the exponential", *shifts, (-63, 32))
    value = int(pcen.exp_table.max()) << max(0, shifts[1])
    yield Step("features", "a value before it is limited, Q24,", -pcen.bias_power, value, INT64)
    yield from _scaled(image, 2**31, 24)
