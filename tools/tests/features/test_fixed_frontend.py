"""The fixed-point front end against librosa, and the bits of the default setting."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.errors import RecipeError
from stapes.features import FixedFrontend, OutputQuantization, Tables, librosa_log_mel, librosa_values
from stapes.features.arithmetic import fixed_log2, square_root
from stapes.features.gate import WINDOW, gate
from stapes.features.mel import mel_segments
from stapes.recipe import FrontendSpec, PcenSpec

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


@pytest.mark.parametrize("options", [{"n_mfcc": 13}, {"pcen": PcenSpec()}])
def test_log_mel_is_refused_where_it_is_not_the_feature(options: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="log-mel was asked for"):
        FixedFrontend(FrontendSpec(**options)).log_mel_float(np.zeros(512, np.int16))  # type: ignore[arg-type]


def test_impossible_floor_and_scale_are_refused() -> None:
    with pytest.raises(RecipeError, match="log_floor"):
        Tables.build(FrontendSpec(log_floor=1e30))
    with pytest.raises(RecipeError, match="log_floor"):
        Tables.build(FrontendSpec(log_floor=1e-30))
    with pytest.raises(RecipeError, match="steps per octave"):
        Tables.build(FrontendSpec(), OutputQuantization(0.0, 1.0, 1e-9, 0))


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"spectrum": "magnitude"}, 2e-4),
        ({"pre_emphasis": 0.97}, 2e-4),
        ({"remove_dc": True}, 2e-4),
        ({"pre_emphasis": 0.5, "remove_dc": True, "frame_length": 400, "window": "hamming"}, 2e-4),
        ({"n_mfcc": 13}, 2e-4),
        ({"n_mfcc": 20, "lifter": 22, "log": "db"}, 5e-3),
        ({"pcen": PcenSpec()}, 2e-4),
        ({"log_floor_mode": "clamp", "log": "log2"}, 2e-4),
    ],
)
def test_options_are_close_to_librosa(options: dict[str, object], limit: float) -> None:
    spec = FrontendSpec(**options)  # type: ignore[arg-type]
    pcm = noise(20000, 20000) + np.int16(500)
    frontend = FixedFrontend(spec)
    error = frontend.values(pcm) - librosa_values(pcm, spec)
    assert error.shape == (spec.frames(20000), spec.n_features)
    assert np.abs(error).max() < limit


def test_every_feature_may_have_its_own_normalisation() -> None:
    spec = FrontendSpec()
    frontend = FixedFrontend(spec)
    pcm = noise(4000, 20000)
    values = frontend.values(pcm)
    mean, std = values.mean(axis=0), values.std(axis=0) + 0.1
    output = OutputQuantization(mean.tolist(), std.tolist(), 1 / 32, -3)
    steps = frontend.features(pcm, output) - np.clip(np.rint((values - mean) / std * 32) - 3, -128, 127)
    assert np.abs(steps).max() <= 1
    assert np.mean(steps == 0) > 0.999


def test_unused_options_do_not_change_hashes() -> None:
    assert FrontendSpec(n_mfcc=0, pcen=None).hash == FrontendSpec().hash
    assert FrontendSpec(n_mfcc=13).hash != FrontendSpec().hash
    assert "pcen" not in FrontendSpec().model_dump(mode="json")
    assert FrontendSpec.model_validate(FrontendSpec(pcen=PcenSpec(gain=0.9)).model_dump()).pcen.gain == 0.9  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_mfcc": 65}, "n_mfcc = 65 is more than n_mels = 64"),
        ({"lifter": 22}, "needs n_mfcc"),
        ({"n_mfcc": 13, "pcen": PcenSpec()}, "exclude each other"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        FrontendSpec(**options)  # type: ignore[arg-type]


roots = st.one_of(
    st.integers(0, 2**61),
    st.integers(1, 2**30).map(lambda x: x * x),
    st.integers(2, 2**30).map(lambda x: x * x - 1),
)


@given(st.lists(roots, min_size=1, max_size=50))
def test_square_root_is_exact(values: list[int]) -> None:
    found = square_root(np.array(values, np.int64), 24)
    for value, root in zip(values, found.tolist(), strict=True):
        pairs = (64 - value.bit_length()) // 2 if value else 0
        assert root == math.isqrt(value << 2 * pairs) << 24 >> pairs


@given(st.lists(st.integers(1, 2**63 - 1), min_size=1, max_size=50))
def test_logarithm_is_close(values: list[int]) -> None:
    found = fixed_log2(np.array(values, np.int64), Tables.build(FrontendSpec()).log_table)
    for value, log in zip(values, found.tolist(), strict=True):
        assert log / 2**24 == pytest.approx(math.log2(value), abs=6e-6)


def test_a_few_settings_pass_the_gate() -> None:
    names = ["25 ms every 10 ms, 40 bands", "13 MFCC", "PCEN", WINDOW]
    pcm = np.concatenate([noise(16000, 32767), noise(8000, 100)])
    result = gate(lambda rate: [pcm], names)
    assert result["int8_max_step"] <= 1
    assert result["snr_db_least"] > 90
    assert set(result["settings"]) == set(names)
