"""What happens to a sound between its source and the network: other levels, noise, microphones, clipping.

Each disturbance takes int16 PCM and gives int16 PCM of the same length, saturated as a converter saturates. Noise
follows from the clip's name alone, so that every run disturbs in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.files import sha256

Pcm = npt.NDArray[np.int16]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Disturbance:
    """One condition; `apply` takes PCM, its sample rate and a name that noise follows from."""

    group: str
    name: str
    apply: Callable[[Pcm, int, str], Pcm]


def disturbances() -> Iterator[Disturbance]:
    """Every condition of `stapes evaluate --robustness`, the undisturbed clip first."""
    yield Disturbance("clean", "as recorded", lambda pcm, rate, key: pcm)
    for decibels in (-20, -10, 10, 20):
        yield Disturbance("level", f"{decibels:+d} dB", lambda pcm, rate, key, db=decibels: level(pcm, db))  # type: ignore[misc]
    for exponent, colour in ((0.0, "white"), (1.0, "pink")):
        for snr in (20, 10, 0):
            yield Disturbance(
                "noise",
                f"{colour}, SNR {snr} dB",
                lambda pcm, rate, key, e=exponent, s=snr: noise(pcm, rate, key, e, s),  # type: ignore[misc]
            )
    yield Disturbance("microphone", "300 to 5000 Hz", lambda pcm, rate, key: band(pcm, rate, 300.0, 5000.0))
    for slope in (-3, 3):
        yield Disturbance(
            "microphone",
            f"{slope:+d} dB an octave",
            lambda pcm, rate, key, db=slope: tilt(pcm, rate, db),  # type: ignore[misc]
        )
    for below in (6, 20):
        yield Disturbance(
            "clipping",
            f"{below} dB below the peak",
            lambda pcm, rate, key, db=below: clip(pcm, db),  # type: ignore[misc]
        )


def level(pcm: Pcm, decibels: float) -> Pcm:
    """The whole clip louder or quieter; what is beyond full scale is clipped, what is below a step is lost."""
    return _saturated(pcm * 10.0 ** (decibels / 20.0))


def noise(pcm: Pcm, sample_rate: int, key: str, exponent: float, snr_db: float) -> Pcm:
    """With noise whose power falls as 1 / f^`exponent` (0 white, 1 pink) added.

    `snr_db` is the ratio of the mean powers over the whole clip.
    """
    random = np.random.default_rng(int(sha256(f"{key}/{exponent}/{snr_db}".encode())[:15], 16))
    made = _filtered(
        random.standard_normal(len(pcm)),
        sample_rate,
        lambda hertz: np.maximum(hertz, 20.0) ** (-exponent / 2),
    )
    wanted = np.mean(pcm.astype(np.float64) ** 2) / 10.0 ** (snr_db / 10.0)
    return _saturated(pcm + made * np.sqrt(wanted / np.mean(made**2)))


def band(pcm: Pcm, sample_rate: int, low: float, high: float) -> Pcm:
    """As through a small capsule behind a hole: amplitudes fall by 12 dB an octave below `low` and above `high` Hz."""
    return _saturated(
        _filtered(
            pcm.astype(np.float64),
            sample_rate,
            lambda hertz: 1 / np.sqrt((1 + (low / np.maximum(hertz, 1.0)) ** 4) * (1 + (hertz / high) ** 4)),
        )
    )


def tilt(pcm: Pcm, sample_rate: int, decibels: float) -> Pcm:
    """A response that rises by `decibels` an octave, from 62.5 Hz on; 1 kHz is left as it is."""
    power = decibels / (20.0 * np.log10(2.0))
    return _saturated(
        _filtered(
            pcm.astype(np.float64), sample_rate, lambda hertz: (np.maximum(hertz, 62.5) / 1000.0) ** power
        )
    )


def clip(pcm: Pcm, decibels: float) -> Pcm:
    """Clipped at a level `decibels` below the clip's own peak."""
    peak = float(np.abs(pcm.astype(np.float64)).max(initial=0.0)) / 10.0 ** (decibels / 20.0)
    return _saturated(np.clip(pcm.astype(np.float64), -peak, peak))


def _filtered(signal: Float64, sample_rate: int, gain: Callable[[Float64], Float64]) -> Float64:
    """Amplitudes times `gain(Hz)`, phases left alone; twice the length, so that the end does not reach the start."""
    size = 2 * len(signal)
    spectrum = np.fft.rfft(signal, size) * gain(
        np.asarray(np.fft.rfftfreq(size, 1.0 / sample_rate), dtype=np.float64)
    )
    result: Float64 = np.fft.irfft(spectrum, size)[: len(signal)]
    return result


def _saturated(signal: Float64) -> Pcm:
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
