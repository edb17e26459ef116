"""Augmentation: each function changes how a sound came to the microphone, never what it is.

Everything works on mel *powers*, where mixing is addition and a filter is a product; of a magnitude spectrum these are
the squares of what the bands sum up. Masks alone work on what comes after: normalised features, of MFCC the logarithms.
Functions draw from the generator they are given and nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stapes.recipe import FrontendSpec

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

_CUT_TRIES = 4
_CUT_KEEPS = 0.25
_UNITS = {"ln": 1.0, "db": 10.0 / np.log(10.0), "log2": 1.0 / np.log(2.0)}


def to_power(log_mel: Float32, spec: FrontendSpec, out: Float32 | None = None) -> Float32:
    """Undo the front end's logarithm and floor: the power, float32 of the same shape, at least 0; in `out` if given.

    A magnitude is squared.
    """
    power: Float32 = np.divide(log_mel, np.float32(_UNITS[spec.log]), out=out, dtype=np.float32)
    np.exp(power, out=power)
    if spec.log_floor_mode == "offset":
        np.subtract(power, np.float32(spec.log_floor), out=power)
        np.maximum(power, 0, out=power)
    if spec.spectrum == "magnitude":
        np.square(power, out=power)
    return power


def to_log(power: Float32, spec: FrontendSpec) -> Float32:
    """The front end's floor and logarithm of a mel power (of its root, for a magnitude spectrum); the same shape."""
    floor = np.float32(spec.log_floor)
    summed = np.sqrt(power) if spec.spectrum == "magnitude" else power
    value = summed + floor if spec.log_floor_mode == "offset" else np.maximum(summed, floor)
    result: Float32 = np.log(value)
    if spec.log != "ln":
        result *= np.float32(_UNITS[spec.log])
    return result


def floor_power(spec: FrontendSpec) -> float:
    """The front end's floor as a mel power."""
    return spec.log_floor**2 if spec.spectrum == "magnitude" else spec.log_floor


def window_energies(power: Float32, frames: int) -> Float32:
    """Energy of the `frames` frames that start at each frame and wrap around the end; float32[len(power)]."""
    energy = power.sum(axis=1, dtype=np.float64)
    turns = -(-frames // len(energy))
    total = np.concatenate([[0.0], np.cumsum(np.tile(energy, turns + 1))])
    start = np.arange(len(energy))
    result: Float32 = (total[start + frames] - total[start]).astype(np.float32)
    return result


def piece(rows: Float32, start: int, frames: int) -> Float32:
    """`frames` rows from `start` on, beginning again past the end; a view where it does not reach so far."""
    end = start + frames
    if end <= len(rows):
        return rows[start:end]
    return rows[np.arange(start, end) % len(rows)]


def louder(energies: Float32, rng: np.random.Generator) -> int:
    """Where a `piece` of a clip begins: at the louder of two random places.

    `energies` are those of `window_energies`, one a start. The louder of two, because a window of silence
    does not carry its clip's label.
    """
    first, second = rng.integers(len(energies), size=2)
    return int(first if energies[first] >= energies[second] else second)


def stretch(power: Float32, frames: int) -> Float32:
    """`power` [n, n_mels] played in `frames` frames at unchanged pitch: straight lines between frames."""
    position = np.linspace(0.0, len(power) - 1.0, frames)
    low = np.minimum(position.astype(int), max(len(power) - 2, 0))
    part = (position - low).astype(np.float32)[:, None]
    result: Float32 = power[low] * (1 - part) + power[np.minimum(low + 1, len(power) - 1)] * part
    return result


def cut(power: Float32, rng: np.random.Generator) -> None:
    """Make all of `power` [frames, n_mels] digital silence but one random run of frames, in place.

    The run has at least a quarter of the frames, less where it would reach past an end, and begins anywhere. Recordings
    are often filled up with zeros: a network must not take those for a class. A run with less than a quarter of the
    window's energy could have lost the sound, so another one is tried; after four the window stays whole.
    """
    frames = len(power)
    total = np.concatenate([[0.0], np.cumsum(power.sum(axis=1, dtype=np.float64))])
    for _ in range(_CUT_TRIES):
        length = int(rng.integers(max(frames // 4, 1), max(frames, 2)))
        start = int(rng.integers(frames)) - length // 2
        first, last = max(start, 0), min(start + length, frames)
        if total[last] - total[first] >= _CUT_KEEPS * total[-1]:
            power[:first] = 0
            power[last:] = 0
            return


def shift(power: Float32, bands: npt.NDArray[np.float64]) -> None:
    """Move each example of [batch, frames, n_mels] up by `bands` [batch] bands (down where negative), in place.

    What leaves at one end is lost, silence follows at the other. On a mel scale this is close to another pitch
    at the same tempo.
    """
    n_mels = power.shape[2]
    for example, by in zip(power, bands, strict=True):
        position = np.arange(n_mels) - by
        low = np.floor(position).astype(int)
        part = (position - low).astype(np.float32)
        padded = np.pad(example, ((0, 0), (1, 1)))
        below, above = (np.clip(index + 1, 0, n_mels + 1) for index in (low, low + 1))
        example[:] = padded[:, below] * (1 - part) + padded[:, above] * part


def add_noise(
    power: Float32,
    snr_db: npt.NDArray[np.float64],
    tilt_db: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Add stationary noise to each example of [batch, frames, n_mels], in place.

    The noise lies `snr_db` [batch] below the example's mean power (infinite: no noise) and rises by `tilt_db` [batch]
    from the lowest to the highest band. Its power in a band varies like the sum of two squared spectral lines
    (gamma distributed, shape 2): a mel band takes in at least that many.
    """
    n_mels = power.shape[2]
    for example, snr, tilt in zip(power, snr_db, tilt_db, strict=True):
        if not np.isfinite(snr):
            continue
        colour = 10.0 ** (tilt * np.linspace(0.0, 0.1, n_mels))
        noise = rng.standard_gamma(2.0, example.shape, dtype=np.float32) * colour.astype(np.float32)
        add_below(example, noise, snr)


def add_below(power: Float32, noise: Float32, snr_db: float) -> None:
    """Add `noise` so that its mean power lies `snr_db` below that of `power` (both [frames, n_mels]), in place."""
    power += noise * np.float32(power.mean() / (10.0 ** (snr_db / 10.0) * noise.mean()))


def mix(first: Float32, second: Float32, ratio: npt.NDArray[np.float64]) -> Float32:
    """Between-class mixing of mel powers [batch, frames, n_mels] (Tokozume, Ushiku, Harada, ICLR 2018).

    `ratio` [batch] in [0, 1] is the share of `first` that one hears, whatever the levels of the two, and its
    share in the label. Two uncorrelated sounds add by power.
    """
    level = [np.maximum(x.mean(axis=(1, 2)).astype(np.float64), 1e-12) for x in (first, second)]
    amplitude = np.sqrt(level[0] / level[1])
    share = ratio / np.maximum(ratio + (1 - ratio) * amplitude, 1e-12)
    scale = share * share + (1 - share) * (1 - share)
    weights = [(part * part / scale).astype(np.float32)[:, None, None] for part in (share, 1 - share)]
    result: Float32 = first * weights[0]
    result += second * weights[1]
    return result


def equaliser(bands: int, knots_db: npt.NDArray[np.float64]) -> Float32:
    """Power gains [batch, bands]: `knots_db` [batch, knots] spread over the bands, straight in between."""
    position = np.linspace(0, knots_db.shape[1] - 1, bands)
    low = np.minimum(position.astype(int), knots_db.shape[1] - 2)
    part = position - low
    decibels = knots_db[:, low] * (1 - part) + knots_db[:, low + 1] * part
    result: Float32 = (10.0 ** (decibels / 10.0)).astype(np.float32)
    return result


def mask(
    features: Float32, axis: int, longest: int, rng: np.random.Generator, fill: Float32 | None = None
) -> None:
    """Set a random run of up to `longest` frames (axis 1) or bands (axis 2) of each example to 0, in place.

    Park et al., "SpecAugment", Interspeech 2019; 0 is the mean of normalised features. Where it is not, `fill` [batch]
    is the value of each example.
    """
    size = features.shape[axis]
    for example, value in zip(features, np.zeros(len(features)) if fill is None else fill, strict=True):
        length = int(rng.integers(min(longest, size) + 1))
        start = int(rng.integers(size - length + 1))
        run = slice(start, start + length)
        if axis == 1:
            example[run] = value
        else:
            example[:, run] = value
