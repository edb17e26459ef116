"""The front end as librosa computes it, in float64: what the fixed-point one is measured against."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.features.mel import band_weights
from stapes.features.tables import LOG_UNIT
from stapes.packages import needed_for
from stapes.recipe import FrontendSpec

Float64 = npt.NDArray[np.float64]

_WINDOWS = {"hann": "hann", "hamming": "hamming", "none": "boxcar"}


def librosa_log_mel(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> Float64:
    """Log-mel of int16[n] by librosa, in the log's unit; float64[frames, n_mels].

    Raises `ToolError` when librosa is not installed.
    """
    mel = _mel(pcm, spec)
    mel = mel + spec.log_floor if spec.log_floor_mode == "offset" else np.maximum(mel, spec.log_floor)
    return np.ascontiguousarray(np.log2(mel).T * LOG_UNIT[spec.log])


def librosa_values(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> Float64:
    """What the network sees before normalisation: log-mel, MFCC or PCEN; float64[frames, n_features].

    Raises `ToolError` when librosa is not installed.
    """
    librosa = _librosa()
    if spec.n_mfcc:
        log_mel = librosa_log_mel(pcm, spec)
        norm = "ortho" if spec.dct_norm == "ortho" else None
        mfcc = librosa.feature.mfcc(S=log_mel.T, n_mfcc=spec.n_mfcc, norm=norm, lifter=spec.lifter).T
        return np.ascontiguousarray(mfcc / np.sqrt(2 * spec.n_mels) if spec.dct_norm == "tf" else mfcc)
    if spec.pcen is None:
        return librosa_log_mel(pcm, spec)
    mel = _mel(pcm, spec)
    frames = spec.pcen.time_constant * spec.sample_rate / spec.hop_length
    share = (np.sqrt(1.0 + 4.0 * frames**2) - 1.0) / (2.0 * frames**2)
    return np.ascontiguousarray(
        librosa.pcen(
            mel,
            sr=spec.sample_rate,
            hop_length=spec.hop_length,
            gain=spec.pcen.gain,
            bias=spec.pcen.bias,
            power=spec.pcen.power,
            time_constant=spec.pcen.time_constant,
            eps=spec.pcen.eps,
            zi=mel[:, :1] * (1.0 - share),
        ).T
        if mel.size
        else mel.T
    )


def _librosa() -> Any:
    with needed_for("librosa's features", "librosa"):
        import librosa
    return librosa


def _mel(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> Float64:
    """Mel power or magnitude; float64[n_mels, frames]."""
    librosa = _librosa()
    count = spec.frames(len(pcm))
    if count == 0:
        return np.empty((spec.n_mels, 0))
    signal = pcm / 32768.0
    if spec.pre_emphasis:
        signal = librosa.effects.preemphasis(signal, coef=spec.pre_emphasis, zi=np.zeros(1))
    if spec.remove_dc:
        spectrum = _spectrum_without_mean(signal, spec)
    else:
        # librosa centres a short window in the transform: start that much earlier, so that frames agree.
        lead = (spec.n_fft - spec.frame_length) // 2
        spectrum = librosa.stft(
            np.pad(signal, (lead, spec.n_fft)),
            n_fft=spec.n_fft,
            hop_length=spec.hop_length,
            win_length=spec.frame_length,
            window=_WINDOWS[spec.window],
            center=False,
            dtype=np.complex128,
        )[:, :count]
    basis = _basis(spec)
    magnitude = np.abs(spectrum)
    return np.asarray(basis @ (magnitude**2 if spec.spectrum == "power" else magnitude))


def _basis(spec: FrontendSpec) -> Float64:
    """Weights of the bands; float64[n_mels, n_fft / 2 + 1]. librosa draws their sides over Hz only."""
    librosa = _librosa()
    if spec.mel_lines == "hz":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Empty filters")
            basis = librosa.filters.mel(
                sr=spec.sample_rate,
                n_fft=spec.n_fft,
                n_mels=spec.n_mels,
                fmin=spec.fmin,
                fmax=spec.fmax,
                htk=spec.mel_scale == "htk",
                norm="slaney" if spec.mel_norm == "slaney" else None,
                dtype=np.float64,
            )
        return np.asarray(basis)
    return band_weights(spec, spec.n_fft)


def _spectrum_without_mean(signal: Float64, spec: FrontendSpec) -> npt.NDArray[np.complex128]:
    """librosa does not subtract a frame's mean; here between its framing and its window."""
    librosa = _librosa()
    frames = librosa.util.frame(signal, frame_length=spec.frame_length, hop_length=spec.hop_length)
    window = librosa.filters.get_window(_WINDOWS[spec.window], spec.frame_length, fftbins=True)
    return np.fft.rfft((frames - frames.mean(axis=0)) * window[:, None], n=spec.n_fft, axis=0)
