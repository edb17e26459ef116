"""Named front ends, and those told in torchaudio's words, against the libraries that they are named after.

TensorFlow and torchaudio are not needed by the product; where one is missing, its comparison is skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stapes.adopt import NAMED, read_settings
from stapes.datasets import synthetic_clips
from stapes.errors import RecipeError
from stapes.features import FixedFrontend, OutputQuantization, band_weights, librosa_values
from stapes.recipe import FrontendSpec, Recipe
from stapes.recipe.recipe import Normalization

LEAST_EQUAL = 0.9999
"""Of int8 cells, and none of the others may be two steps off."""


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """Half a minute of all kinds, loud and quiet, and silence."""
    labels = ("rain", "dog", "crying_baby", "clock_tick", "helicopter", "rooster")
    parts = [clip.pcm for clip in synthetic_clips(labels, len(labels), 16000, 2.0, seed=3)]
    noise = np.random.default_rng(1).standard_normal(64000) * np.linspace(0.1, 9000, 64000)
    quiet = [part // 50 for part in parts]
    return np.concatenate([*parts, *quiet, np.zeros(2000, np.int16), noise.astype(np.int16)]).astype(np.int16)


def assert_equal_steps(pcm: np.ndarray, recipe: Recipe, theirs: np.ndarray, offset: int = 0) -> None:
    """int8 of the fixed-point front end against `theirs` (before normalisation), quantised so that most of it fits."""
    low, high = float(theirs.min()), float(theirs.max())
    scale, zero_point = (high - low) / 250, -125
    normalization = recipe.normalization
    mean, std = normalization.mean, normalization.std
    output = OutputQuantization(mean, std, scale, zero_point)
    frontend = FixedFrontend(recipe.frontend)
    ours = frontend.features(pcm[offset:], output).astype(int)
    count = min(len(ours), len(theirs))
    assert count > 100
    expected = np.clip(np.rint(theirs / scale) + zero_point, -128, 127).astype(int)[:count]
    apart = np.abs(ours[:count] - expected)
    assert apart.max() <= 1
    assert np.mean(apart == 0) >= LEAST_EQUAL, f"{np.mean(apart == 0):.6f} equal"


def tensorflow_features(pcm: np.ndarray, name: str) -> np.ndarray:
    """The published code of YAMNet (features.py) and of MLPerf Tiny's keyword network, in float64."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
    spec = NAMED[name]["frontend"]
    wave = tf.constant(pcm / 32768.0, tf.float64)
    spectrum = tf.abs(
        tf.signal.stft(wave, spec["frame_length"], spec["hop_length"], fft_length=512, pad_end=False)
    )
    matrix = tf.signal.linear_to_mel_weight_matrix(
        spec["n_mels"], 257, 16000, spec["fmin"], spec["fmax"], dtype=tf.float64
    )
    log_mel = tf.math.log(tf.matmul(spectrum, matrix) + spec["log_floor"])
    if "n_mfcc" in spec:
        log_mel = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[..., : spec["n_mfcc"]]
    return np.asarray(log_mel)


@pytest.mark.parametrize("name", ["kws", "yamnet"])
def test_named_front_ends_are_their_publishers(name: str, sounds: np.ndarray) -> None:
    theirs = tensorflow_features(sounds, name)
    recipe = read_settings(name).recipe("named", 49)
    assert_equal_steps(sounds, recipe, theirs)
    ours = librosa_values(sounds, recipe.frontend)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_recipe_means_what_it_means_to_training(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('name = "whole"\n[normalization]\nstd = 3.0\n[model]\nfilters = [8]\n')
    assert read_settings(str(path)).recipe("named", 49).normalization == Normalization(mean=-8.0, std=3.0)
    path.write_text("[normalization]\nstd = 3.0\n")
    assert read_settings(str(path)).recipe("named", 49).normalization == Normalization(mean=0.0, std=3.0)


def test_bands_over_mel_are_tensorflows() -> None:
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
    spec = FrontendSpec(n_mels=40, mel_scale="htk", mel_norm="none", mel_lines="mel", fmin=20.0, fmax=4000.0)
    theirs = np.asarray(
        tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0, dtype=tf.float64)
    ).T
    np.testing.assert_allclose(band_weights(spec, 512), theirs, atol=1e-12)


TORCHAUDIO = {
    "defaults with a power of two": "[MelSpectrogram]\nn_fft = 512\nn_mels = 64\ncenter = false\n[AmplitudeToDB]\n",
    "slaney, Hamming, a shorter window, log": (
        "[MelSpectrogram]\nn_fft = 512\nwin_length = 400\nhop_length = 160\nn_mels = 40\nf_min = 20.0\nf_max = 7600.0\n"
        'window_fn = "hamming_window"\nnorm = "slaney"\nmel_scale = "slaney"\ncenter = false\n'
        '[log]\nkind = "ln"\noffset = 1e-6\n'
    ),
    "magnitudes in dB": (
        "[MelSpectrogram]\nn_fft = 512\npower = 1.0\nn_mels = 40\ncenter = false\n"
        '[AmplitudeToDB]\nstype = "magnitude"\n'
    ),
    "normalised, log10, clamped": (
        "[MelSpectrogram]\nn_fft = 1024\nhop_length = 256\nnormalized = true\nn_mels = 64\ncenter = false\n"
        '[log]\nkind = "log10"\nclamp = 1e-8\n[normalization]\nmean = -2.0\nstd = 1.5\n'
    ),
    "MFCC": (
        "[MFCC]\nn_mfcc = 13\nlog_mels = true\n[MelSpectrogram]\nn_fft = 512\nn_mels = 40\ncenter = false\n"
        "[normalization]\nmean = -3.0\nstd = 10.0\n"
    ),
    "MFCC as sums": (
        '[MFCC]\nn_mfcc = 13\nlog_mels = true\nnorm = "none"\n[MelSpectrogram]\nn_fft = 512\nn_mels = 40\n'
        "center = false\n"
    ),
}


def torchaudio_features(text: str, pcm: np.ndarray) -> np.ndarray:
    """What torchaudio makes of the same settings, normalised as the file says; float64[frames, n]."""
    import tomllib

    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch torchaudio)")
    torchaudio = pytest.importorskip(
        "torchaudio", reason="torchaudio is not installed (pip install torchaudio)"
    )
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    mel = {"sample_rate": 16000, **tables["MelSpectrogram"]}
    mel = {key: None if value == "none" else value for key, value in mel.items()}
    if "window_fn" in mel:
        mel["window_fn"] = getattr(torch, mel["window_fn"])
    wave = torch.tensor(pcm / 32768.0, dtype=torch.float64)
    if "MFCC" in tables:
        arguments = {key: None if value == "none" else value for key, value in tables["MFCC"].items()}
        rate = mel.pop("sample_rate")
        transform = torchaudio.transforms.MFCC(rate, melkwargs=mel, **arguments).double()
        found = transform(wave)
    else:
        found = torchaudio.transforms.MelSpectrogram(**mel).double()(wave)
        if "AmplitudeToDB" in tables:
            found = torchaudio.transforms.AmplitudeToDB(**tables["AmplitudeToDB"])(found)
        else:
            log = tables["log"]
            shifted = found + log["offset"] if "offset" in log else found.clamp(min=log["clamp"])
            found = {"ln": torch.log, "log10": torch.log10, "log2": torch.log2}[log["kind"]](shifted)
    normalization = {"mean": 0.0, "std": 1.0, **tables.get("normalization", {})}
    return (found.numpy().T - normalization["mean"]) / normalization["std"]


@pytest.mark.parametrize("name", TORCHAUDIO)
def test_torchaudio_settings_are_torchaudios(name: str, sounds: np.ndarray, tmp_path: Path) -> None:
    theirs = torchaudio_features(TORCHAUDIO[name], sounds)
    path = tmp_path / "torchaudio.toml"
    path.write_text(TORCHAUDIO[name])
    recipe = read_settings(str(path)).recipe("torch", 49)
    spec = recipe.frontend
    assert_equal_steps(sounds, recipe, theirs, (spec.n_fft - spec.frame_length) // 2)


def test_only_the_ends_differ_where_torchaudio_centres(sounds: np.ndarray, tmp_path: Path) -> None:
    """As the note says: two frames of 512 at a hop of 160 see mirrored sound at either end, all others the same."""
    text = "[MelSpectrogram]\nn_fft = 512\nhop_length = 160\nn_mels = 40\n[AmplitudeToDB]\n"
    path = tmp_path / "torchaudio.toml"
    path.write_text(text)
    settings = read_settings(str(path))
    assert "center = true: 2 frames at either end" in settings.notes[0]
    theirs = torchaudio_features(text, sounds[:16000])
    spec = settings.frontend
    padded = np.concatenate([np.zeros(256, np.int16), sounds[:16000], np.zeros(512, np.int16)])
    ours = FixedFrontend(spec).values(padded)[: len(theirs)]
    apart = np.abs(ours - theirs).max(axis=1)
    assert apart[2:-2].max() < 0.02 and len(theirs) == 101


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[MelSpectrogram]\n[AmplitudeToDB]\n", r"n_fft = 400 is no power of two: use n_fft = 512 with win_length = "
         r"400 \(the same sound's bands are then \d\.\d\d nat away on average"),
        ("[MelSpectrogram]\nn_fft = 512\n", "there is no logarithm"),
        (
            "[MelSpectrogram]\nn_fft = 512\n[AmplitudeToDB]\ntop_db = 80\n",
            "looks at the loudest cell of the whole clip",
        ),
        ("[MFCC]\n[MelSpectrogram]\nn_fft = 512\nn_mels = 40\n", "log_mels = true"),
        ("[MelSpectrogram]\nn_fft = 512\npower = 3.0\n[AmplitudeToDB]\n", "3.0 is not supported: use 1.0 or 2.0"),
        ("[MelSpectrogram]\nn_fft = 512\npad = 5\n[AmplitudeToDB]\n", "pad = 5 is not supported"),
        ('[MelSpectrogram]\nn_fft = 512\nwindow_fn = "kaiser_window"\n[AmplitudeToDB]\n', "kaiser_window is not"),
        ("[MelSpectrogram]\nn_fft = 512\nbands = 5\n[AmplitudeToDB]\n", "MelSpectrogram.bands is no argument"),
        ("[MFCC]\nlog_mels = true\ndct_type = 3\n[MelSpectrogram]\nn_fft = 512\n", "dct_type = 3"),
        ('[MelSpectrogram]\nn_fft = "many"\n[AmplitudeToDB]\n', "a value is of another type"),
        ("[MelSpectrogram]\nn_fft = 512\n[AmplitudeToDB]\n[frontend]\n", r"both \[frontend\] and"),
        ("[Spectrogram]\nn_fft = 512\n", "Spectrogram: no section that is known here"),
        ("[MelSpectrogram\n", "is not TOML"),
        ('[MelSpectrogram]\nn_fft = 512\nmel_scale = "bark"\n[AmplitudeToDB]\n', "mel_scale"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_says_what_to_change(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "torchaudio.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as raised:
        _ = read_settings(str(path)).frontend
    assert raised.value.hint and "\n" not in str(raised.value)
