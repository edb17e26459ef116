"""Mel scales and triangular bands in float64, written from their published formulas.

Slaney: Auditory Toolbox (1998), linear below 1 kHz and logarithmic above. HTK: `2595 log10(1 + f / 700)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.recipe import FrontendSpec

Float64 = npt.NDArray[np.float64]

_LINEAR_HZ = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: Float64, scale: str) -> Float64:
    """Frequencies in Hz to mel, on the "slaney" or "htk" scale."""
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    logarithmic = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, logarithmic)


def mel_to_hz(mel: Float64, scale: str) -> Float64:
    """The inverse of `hz_to_mel`."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, logarithmic)


@dataclass(frozen=True)
class MelSegments:
    """Triangular bands as segments between neighbouring corner frequencies.

    Segment `s` (0 … n_mels) holds the bins of `[corner s, corner s+1)`. There band `s` rises with weight
    `w` and band `s - 1` falls with `1 - w`, so one weight per bin describes both.
    """

    first_bin: int
    """At least 1."""
    counts: npt.NDArray[np.int64]
    """Bins in each segment, shape [n_mels + 1]."""
    weights: Float64
    """Rising weight of each bin, in [0, 1), segments one after another."""
    norm: Float64
    """Area norm of each band: `2 / (corner m+2 - corner m)` for "slaney", 1 for "none"; shape [n_mels]."""


def mel_segments(spec: FrontendSpec) -> MelSegments:
    """The bands of `spec`; equal to `librosa.filters.mel` with the same parameters, and to
    `tf.signal.linear_to_mel_weight_matrix` where `mel_lines` is mel."""
    ends = hz_to_mel(np.array([spec.fmin, spec.fmax]), spec.mel_scale)
    corners = mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2), spec.mel_scale)
    # The end corners are exact by definition; a rounding error there must not move a bin across them.
    corners[0], corners[-1] = spec.fmin, spec.fmax
    bins: Float64 = np.arange(spec.n_fft // 2 + 1, dtype=np.float64) * (spec.sample_rate / spec.n_fft)
    # Neither bin 0 nor the last one ever has a weight: no corner lies outside 0 … sample_rate / 2.
    bounds = np.maximum(np.searchsorted(bins, corners, side="left"), 1)
    counts = np.diff(bounds)
    segment = np.repeat(np.arange(spec.n_mels + 1), counts)
    used = bins[bounds[0] : bounds[-1]]
    at, lines = used, corners
    if spec.mel_lines == "mel":
        at, lines = hz_to_mel(used, spec.mel_scale), hz_to_mel(corners, spec.mel_scale)
    weights = (at - lines[segment]) / (lines[segment + 1] - lines[segment])
    norm = 2.0 / (corners[2:] - corners[:-2]) if spec.mel_norm == "slaney" else np.ones(spec.n_mels)
    return MelSegments(int(bounds[0]), counts, weights, norm)


def band_weights(spec: FrontendSpec, n_fft: int) -> Float64:
    """The same bands as a matrix for a transform of any length; float64[n_mels, n_fft // 2 + 1]."""
    ends = hz_to_mel(np.array([spec.fmin, spec.fmax]), spec.mel_scale)
    edges = np.linspace(ends[0], ends[1], spec.n_mels + 2)
    hz = mel_to_hz(edges, spec.mel_scale)
    bins: Float64 = np.arange(n_fft // 2 + 1, dtype=np.float64) * (spec.sample_rate / n_fft)
    at, corners = (bins, hz) if spec.mel_lines == "hz" else (hz_to_mel(bins, spec.mel_scale), edges)
    low, middle, high = (corners[first : first + spec.n_mels, None] for first in range(3))
    weights = np.maximum(0.0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    norm = 2.0 / (hz[2:] - hz[:-2]) if spec.mel_norm == "slaney" else np.ones(spec.n_mels)
    return np.asarray(weights * norm[:, None])
