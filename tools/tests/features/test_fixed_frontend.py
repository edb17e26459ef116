"""The fixed-point front end against librosa, and the bits of the default setting."""

import hashlib

import numpy as np
import pytest

from stapes.errors import RecipeError
from stapes.features import FixedFrontend, OutputQuantization, Tables, librosa_log_mel
from stapes.features.mel import mel_segments
from stapes.recipe import FrontendSpec

OUTPUT = OutputQuantization(mean=-6.0, std=3.5, scale=0.028, zero_point=5)


def noise(samples: int, amplitude: int, seed: int = 1) -> np.ndarray:
    """The same bits everywhere: a linear congruential generator, with a slow envelope."""
    state, out = seed, []
    for i in range(samples):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(((state >> 16) - 32768) * amplitude * (i % 4096) // 4096 // 32768)
    return np.array(out, np.int16)


def test_the_default_setting_never_changes_a_bit() -> None:
    frontend = FixedFrontend(FrontendSpec())
    pcm = np.concatenate([noise(16000, 32767), noise(8000, 100), np.zeros(1000, np.int16)])
    log = hashlib.sha256(frontend.log_mel(pcm).astype("<i4").tobytes()).hexdigest()
    features = hashlib.sha256(frontend.features(pcm, OUTPUT).tobytes()).hexdigest()
    assert (log, features) == (
        "0ad79dfd636a99f7850fe223cd82f349d01ec801fd5688fd024846d07d3e21f8",
        "1ed99fb227e051cf00d9ef7b6579ae2fca3559721148570ba21df307cdcdc144",
    ), "trained models depend on these bits: a change makes every bundle's metrics untrue"


@pytest.mark.parametrize("amplitude", [32767, 3000, 300, 30, 1])
def test_close_to_librosa(amplitude: int) -> None:
    spec = FrontendSpec()
    pcm = noise(20000, amplitude)
    error = FixedFrontend(spec).log_mel_float(pcm) - librosa_log_mel(pcm, spec)
    assert error.shape == (spec.frames(20000), 64)
    assert np.abs(error).max() < 2e-4


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
@pytest.mark.parametrize(
    ("n_fft", "n_mels", "fmin", "fmax"), [(512, 64, 60, 7800), (1024, 128, 0, 8000), (256, 20, 100, 4000)]
)
def test_bands_equal_librosa(
    scale: str, norm: str, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> None:
    import librosa

    spec = FrontendSpec(
        n_fft=n_fft,
        frame_length=n_fft,
        hop_length=100,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        mel_scale=scale,
        mel_norm=norm,
    )
    segments = mel_segments(spec)
    basis = np.zeros((n_mels, n_fft // 2 + 1))
    at = segments.first_bin
    weights = iter(segments.weights)
    for segment, count in enumerate(segments.counts):
        for bin_index in range(at, at + count):
            weight = next(weights)
            if segment < n_mels:
                basis[segment, bin_index] += weight * segments.norm[segment]
            if segment > 0:
                basis[segment - 1, bin_index] += (1 - weight) * segments.norm[segment - 1]
        at += count
    expected = librosa.filters.mel(
        sr=16000, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=scale == "htk",
        norm="slaney" if norm == "slaney" else None, dtype=np.float64,
    )  # fmt: skip
    np.testing.assert_allclose(basis, expected, atol=1e-13 * expected.max())


def test_too_short_a_clip_has_no_frames() -> None:
    assert FixedFrontend(FrontendSpec()).log_mel(np.zeros(511, np.int16)).shape == (0, 64)


def test_impossible_floor_and_scale_are_refused() -> None:
    with pytest.raises(RecipeError, match="log_floor"):
        Tables.build(FrontendSpec(log_floor=1e30))
    with pytest.raises(RecipeError, match="log_floor"):
        Tables.build(FrontendSpec(log_floor=1e-30))
    with pytest.raises(RecipeError, match="steps per octave"):
        Tables.build(FrontendSpec(), OutputQuantization(0.0, 1.0, 1e-9, 0))
