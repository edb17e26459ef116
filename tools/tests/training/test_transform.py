"""MFCC and PCEN: training sees what the front end gives, and what it learns is what the firmware computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stapes.check import check_bundle, select_clips
from stapes.datasets import Dataset, synthetic_clips
from stapes.features import FixedFrontend
from stapes.recipe import FrontendSpec, ModelSpec, Normalization, PcenSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import FeaturePool, build_pool, metrics_of, train_fold, write_bundle
from stapes.training.batches import Batches
from stapes.training.evaluate import windows_of
from stapes.training.transform import Transform, log_mel_of

BANDS = {"n_mels": 24, "fmin": 100.0}
SPECS = {
    "MFCC": FrontendSpec(**BANDS, n_mfcc=13),
    "MFCC, lifter, dB": FrontendSpec(**BANDS, n_mfcc=10, lifter=22, log="db", dct_norm="tf"),
    "PCEN": FrontendSpec(**BANDS, pcen=PcenSpec()),
    "PCEN, clamp": FrontendSpec(**BANDS, pcen=PcenSpec(time_constant=0.1), log_floor_mode="clamp"),
    "PCEN of magnitudes": FrontendSpec(**BANDS, pcen=PcenSpec(gain=0.8, eps=1e-4), spectrum="magnitude"),
}
STEP = {"MFCC": 1e-3, "PCEN": 2e-3}
"""How far floating point may be from the device's values, which come from interpolated tables."""


def make_recipe(spec: FrontendSpec, **training: object) -> Recipe:
    plain = {
        "speeds": (1.0,),
        "mix": 0.0,
        "mask_frames": 0,
        "mask_bands": 0,
        "gain_db": 0.0,
        "equaliser_db": 0.0,
    }
    return Recipe(
        name="x",
        frontend=spec,
        normalization=Normalization(mean=0.5, std=2.0),
        window=WindowSpec(frames=20, hop_frames=10),
        training=TrainingSpec(**{"batch": 16, **plain} | training),
    )


def make_dataset() -> Dataset:
    return Dataset(synthetic_clips(("dog", "rain", "rooster"), 9, 16000, 1.0, seed=1), 16000)


@pytest.fixture(params=list(SPECS))
def spec(request: pytest.FixtureRequest) -> FrontendSpec:
    return SPECS[request.param]


@pytest.fixture
def pool(spec: FrontendSpec, tmp_path: Path) -> FeaturePool:
    return build_pool(make_recipe(spec), make_dataset(), tmp_path)


def values_of(spec: FrontendSpec) -> list[np.ndarray]:
    """What the front end gives for every clip."""
    frontend = FixedFrontend(spec)
    return [frontend.values(clip.pcm) for clip in make_dataset().clips]


def test_clips_give_the_front_ends_values(spec: FrontendSpec, pool: FeaturePool) -> None:
    windows, _, owners = windows_of(pool, make_recipe(spec), np.arange(9))
    assert windows.shape == (27, 20, spec.n_features, 1)
    for clip, expected in enumerate(values_of(spec)):
        found = windows[owners == clip][..., 0] * 2.0 + 0.5
        for window, start in zip(found, (0, 10, 20), strict=True):
            np.testing.assert_allclose(window, expected[start : start + 20], atol=STEP[spec.kind], rtol=1e-4)


def test_without_augmentation_a_batch_is_the_front_ends_values(spec: FrontendSpec, pool: FeaturePool) -> None:
    """Windows that reach past the end of a clip begin again there, which no front end does: the others are compared."""
    expected, inside = values_of(spec), 0
    for step in range(4):
        features, labels = Batches(make_recipe(spec), pool, 1).batch(step)
        for example, label in zip(features[..., 0] * 2.0 + 0.5, labels, strict=True):
            inside += any(
                np.abs(expected[clip][start : start + 20] - example).max() < 2 * STEP[spec.kind]
                for clip in np.flatnonzero(pool.targets == label.argmax())
                for start in range(len(expected[clip]) - 19)
            )
    assert inside > 20, "30 of 49 places lie inside"


def test_a_gain_moves_what_it_must(pool: FeaturePool, spec: FrontendSpec) -> None:
    """Of the MFCC the first alone; of PCEN with full gain control next to nothing."""
    transform = Transform(spec)
    log_mel = np.asarray(pool.clips[1.0][0].log_mel)
    power = np.exp(np.random.default_rng(1).normal(size=(2, transform.lead + 20, 24))).astype(np.float32)
    quiet, loud = transform.of_power(power), transform.of_power(power * 4)
    assert quiet.shape == (2, 20, spec.n_features)
    assert len(transform.before(log_mel, 7)) == transform.lead
    change = np.abs(loud - quiet)
    if spec.n_mfcc:
        assert change[..., 0].min() > 1.0
        assert change[..., 1:].max() < 1e-3 * change[..., 0].max()
    else:
        assert change.max() < 0.5 * np.abs(quiet).max()


@pytest.mark.parametrize("start", [0, 1, 5, 30])
def test_the_lead_of_a_window_is_the_level_smoothed_so_far(start: int) -> None:
    for spec in (SPECS["PCEN"], SPECS["PCEN of magnitudes"]):
        transform = Transform(spec)
        log_mel = FixedFrontend(log_mel_of(spec)).log_mel_float(make_dataset().clips[0].pcm)
        whole = transform.of_clip(log_mel)[start:]
        power = np.exp(log_mel) - np.float32(spec.log_floor)
        if spec.spectrum == "magnitude":
            power = power**2
        rows = np.concatenate([transform.before(log_mel, start), power[start:]])
        np.testing.assert_allclose(transform.of_power(rows), whole, atol=1e-3)


@pytest.mark.parametrize("kind", ["MFCC", "PCEN"])
def test_every_augmentation_leaves_features_in_place(kind: str, tmp_path: Path) -> None:
    everything = {
        "speeds": (0.8, 1.0),
        "stretch": 0.2,
        "shift_bands": 2.0,
        "noise": 0.5,
        "silence": 0.5,
        "whole": True,
        "mix": 0.5,
        "bag": 2,
        "mask_frames": 8,
        "mask_bands": 8,
        "gain_db": 6.0,
        "equaliser_db": 6.0,
    }
    recipe = make_recipe(SPECS[kind], **everything)
    batches = Batches(recipe, build_pool(recipe, make_dataset(), tmp_path), 1)
    for step in range(3):
        features, _, votes = batches.bags(step)
        assert features.shape == (16, 20, SPECS[kind].n_features, 1)
        assert np.isfinite(features).all()
        np.testing.assert_allclose(votes.reshape(-1, 2).sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("kind", ["MFCC", "PCEN"])
def test_what_is_trained_on_them_is_what_the_firmware_computes(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
    recipe = make_recipe(SPECS[kind], steps=3, warmup_steps=0, mix=0.5).model_copy(
        update={"model": ModelSpec(filters=(4, 6), strides=(2, 2))}
    )
    pool = build_pool(recipe, make_dataset(), tmp_path / "cache")
    results = [train_fold(recipe, pool, 1, tmp_path / "work")]
    bundle = write_bundle(
        tmp_path / "b", recipe, 'name = "x"\n', pool.labels, results, metrics_of(recipe, results)
    )
    assert kind in (bundle.directory / "MODEL_CARD.md").read_text()
    report = check_bundle(bundle, "host", select_clips(bundle, None, 3), tmp_path / "check")
    assert report.passed and len(report.results) == 3
