"""How many clips a second the front end in Python manages, beside librosa's mel spectrogram of the same clips."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from stapes.datasets import ESC10_LABELS, synthetic_clips
from stapes.features import FixedFrontend, OutputQuantization
from stapes.packages import needed_for
from stapes.recipe import FrontendSpec

_SECONDS = 5.0
_CLIPS = 20
_ROUNDS = 5


def bench_features(spec: FrontendSpec, output: OutputQuantization) -> dict[str, Any]:
    """The keys of `stapes bench features --json`: medians of five rounds in turn, by this thread's processor time."""
    with needed_for("measuring beside librosa", "librosa"):
        import librosa

    sounds = [clip.pcm for clip in synthetic_clips(ESC10_LABELS, _CLIPS, spec.sample_rate, _SECONDS, seed=1)]
    frontend = FixedFrontend(spec)
    basis = librosa.filters.mel(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.fmax,
        htk=spec.mel_scale == "htk", norm="slaney" if spec.mel_norm == "slaney" else None,
    )  # fmt: skip

    def ours() -> None:
        for pcm in sounds:
            frontend.features(pcm, output)

    def mel_spectrogram() -> None:
        for pcm in sounds:
            spectrum = librosa.stft(
                pcm.astype(np.float32) / 32768, n_fft=spec.n_fft, win_length=spec.frame_length,
                hop_length=spec.hop_length, center=False,
            )  # fmt: skip
            np.einsum("mk,kt->mt", basis, np.abs(spectrum) ** 2, optimize=True)

    times: dict[str, list[float]] = {"ours": [], "librosa": []}
    works: dict[str, Callable[[], None]] = {"ours": ours, "librosa": mel_spectrogram}
    for _ in range(1 + _ROUNDS):
        for name, work in works.items():
            begin = time.thread_time()
            work()
            times[name].append(time.thread_time() - begin)
    rates = {name: _CLIPS / median(found[1:]) for name, found in times.items()}
    return {
        "clips_per_second": rates["ours"],
        "librosa_clips_per_second": rates["librosa"],
        "of_librosa": median(b / a for a, b in zip(times["ours"][1:], times["librosa"][1:], strict=True)),
    }
