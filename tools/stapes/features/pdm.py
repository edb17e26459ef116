"""Filters that turn the bit stream of a PDM microphone into PCM; used by firmware/audio/pdm.c.

Three stages: four running sums over `8 * bytes` bits (a fourth-order CIC) at 8 samples a PCM sample, a low-pass
that also lifts what the sums took from the high end, down to 2 samples, and a half-band filter down to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.packages import needed_for

PASS = 0.45
"""Highest frequency that passes whole, in PCM sample rates; what lies above 1 - PASS is rejected."""
LOW_PASS_TAPS = 32
HALF_BAND_TAPS = 48
"""Without those that are zero and the middle one."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PdmFilters:
    """Integer taps: `low_pass` int16[32] at 8, `half_band` int16[48] and `middle` at 2 samples a PCM sample."""

    low_pass: npt.NDArray[np.int16]
    half_band: npt.NDArray[np.int16]
    middle: int

    @property
    def half_band_taps(self) -> npt.NDArray[np.int64]:
        """The whole half-band filter with its zeros; int64[95]."""
        taps = np.zeros(2 * HALF_BAND_TAPS - 1, np.int64)
        taps[::2] = self.half_band
        taps[HALF_BAND_TAPS - 1] = self.middle
        return taps


def running_sums(bytes_per_sample: int) -> npt.NDArray[np.int64]:
    """Taps of four running sums over `8 * bytes_per_sample` bits."""
    box = np.ones(8 * bytes_per_sample, np.int64)
    return np.convolve(np.convolve(box, box), np.convolve(box, box))


def design() -> PdmFilters:
    """Design both filters with SciPy; the scale of the integers is the one that rounding hurts least."""
    low_pass = _best_rounding(_low_pass(), (15500, 16385), _low_pass_error)
    half_band = _best_rounding(_half_band(), (32400, 32768), _half_band_error)
    return PdmFilters(
        low_pass.astype(np.int16),
        half_band[::2].astype(np.int16),
        int(half_band[HALF_BAND_TAPS - 1]),
    )


def _sums_response(frequency: _Array) -> _Array:
    """Amplitude of the running sums; `frequency` in PCM sample rates. The same for any number of bytes, nearly."""
    return np.asarray(np.sinc(frequency / 8) / np.sinc(frequency / 64)) ** 4


def _amplitude(taps: _Array, frequency: _Array, rate: int) -> _Array:
    """Zero-phase response of symmetric `taps` at `rate` samples a PCM sample."""
    place = np.arange(len(taps)) - (len(taps) - 1) / 2
    return np.asarray(np.cos(2 * np.pi * np.outer(frequency / rate, place)) @ taps)


_PASSED = np.linspace(0, PASS, 100)
_FOLDED = np.concatenate([np.linspace(2 - 1 + PASS, 3 - PASS, 200), np.linspace(4 - 1 + PASS, 4, 100)])
"""Frequencies that the step down to 2 samples a PCM sample folds onto those that pass."""


def _low_pass() -> _Array:
    """Minimax by reweighted least squares (Lawson), since the pass band is not flat."""
    frequency = np.concatenate([_PASSED, _FOLDED])
    wanted = np.concatenate([1 / _sums_response(_PASSED), np.zeros(len(_FOLDED))])
    importance = np.concatenate([np.ones(len(_PASSED)), np.full(len(_FOLDED), 50.0)])
    place = np.arange(LOW_PASS_TAPS // 2) + 0.5
    matrix = 2 * np.cos(2 * np.pi * np.outer(frequency / 8, place))
    weight = importance.copy()
    for _ in range(50):
        half = np.linalg.lstsq(matrix * weight[:, None], wanted * weight, rcond=None)[0]
        error = np.abs(matrix @ half - wanted) * importance
        weight *= np.sqrt(np.maximum(error / error.max(), 1e-3))
        weight /= weight.mean()
    taps: _Array = np.concatenate([half[::-1], half])
    return np.asarray(taps / taps.sum())


def _half_band() -> _Array:
    """Every other tap of a half-band filter is a filter of its own with one band (Vaidyanathan and Nguyen, 1987)."""
    with needed_for("designing filters", "scipy"):
        from scipy.signal import remez
    taps = np.zeros(2 * HALF_BAND_TAPS - 1)
    taps[::2] = remez(HALF_BAND_TAPS, [0, PASS], [1], fs=1.0, maxiter=200) / 2
    taps[HALF_BAND_TAPS - 1] = 0.5
    return taps


def _low_pass_error(taps: _Array) -> float:
    return float(np.abs(_amplitude(taps, _FOLDED, 8)).max() / taps.sum())


def _half_band_error(taps: _Array) -> float:
    return float(np.abs(_amplitude(taps, np.linspace(1 - PASS, 1, 300), 2)).max() / taps.sum())


def _best_rounding(
    taps: _Array, sums: tuple[int, int], error: Callable[[_Array], float]
) -> npt.NDArray[np.int64]:
    return min((np.round(taps * scale) for scale in range(*sums, 3)), key=error).astype(np.int64)
