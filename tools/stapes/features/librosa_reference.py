"""The front end as librosa computes it, in float64: what the fixed-point one is measured against."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from stapes.errors import ToolError
from stapes.features.tables import LOG_UNIT
from stapes.recipe import FrontendSpec


def librosa_log_mel(pcm: npt.NDArray[np.int16], spec: FrontendSpec) -> npt.NDArray[np.float64]:
    """Log-mel of int16[n] by librosa, in the log's unit; float64[frames, n_mels].

    Raises `ToolError` when librosa is not installed.
    """
    try:
        import librosa
    except ImportError as error:
        raise ToolError("librosa is not installed", hint="pip install 'stapes[train]'") from error
    count = spec.frames(len(pcm))
    if count == 0:
        return np.empty((0, spec.n_mels))
    # librosa centres a short window in the transform's length: start that much earlier, so that frames agree.
    lead = (spec.n_fft - spec.frame_length) // 2
    samples = np.pad(pcm / 32768.0, (lead, spec.n_fft))
    window = {"hann": "hann", "hamming": "hamming", "none": "boxcar"}[spec.window]
    spectrum = librosa.stft(
        samples,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.frame_length,
        window=window,
        center=False,
        dtype=np.complex128,
    )[:, :count]
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
    magnitude = np.abs(spectrum)
    mel = basis @ (magnitude**2 if spec.spectrum == "power" else magnitude)
    mel = mel + spec.log_floor if spec.log_floor_mode == "offset" else np.maximum(mel, spec.log_floor)
    return np.ascontiguousarray(np.log2(mel).T * LOG_UNIT[spec.log])
