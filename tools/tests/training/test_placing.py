"""Short sounds are heard whole, anywhere in the window; long ones in pieces, as ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stapes.datasets import Dataset, synthetic_clips
from stapes.datasets.recording import padded
from stapes.recipe import FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import FeaturePool, build_pool
from stapes.training.augment import to_log
from stapes.training.batches import Batches, normalize
from stapes.training.placing import extent, place
from stapes.training.shards import Features

FRAMES, SOUND = 40, 17  # frames that hold a part of a sound


def make_recipe(**training: object) -> Recipe:
    plain = {"mix": 0.0, "gain_db": 0.0, "equaliser_db": 0.0, "mask_frames": 0, "mask_bands": 0}
    return Recipe(
        name="whole",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=FRAMES, hop_frames=20),
        model=ModelSpec(filters=(4,), strides=(2,)),
        training=TrainingSpec(**{"batch": 24, "speeds": (1.0,), "whole": True} | plain | training),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    """Sounds of 0.3 s in 1 s, the rest silence."""
    clips = synthetic_clips(("helicopter", "rain"), 10, 16000, 0.3, seed=1)
    dataset = Dataset(tuple(padded(clip, 1.0, 16000) for clip in clips), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def test_the_extent_is_what_is_not_digital_silence() -> None:
    squares = np.array([0, 0, 5, 5, 9, 9, 9])
    features = Features(np.zeros((6, 20), np.float32), squares[:-1], squares[1:])
    assert extent(features) == (1, 4)
    silent = Features(np.zeros((6, 20), np.float32), np.zeros(6, np.int64), np.zeros(6, np.int64))
    assert extent(silent) == (0, 6)


def test_a_sound_is_placed_everywhere_and_whole() -> None:
    sound = np.arange(1, 6, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    random = np.random.default_rng(1)
    starts = set()
    for _ in range(200):
        window = np.empty((9, 3), np.float32)
        place(sound, random, window)
        (heard,) = np.nonzero(window[:, 0])
        starts.add(int(heard[0]))
        np.testing.assert_array_equal(window[heard[0] : heard[0] + 5], sound)
        assert len(heard) == 5
    assert starts == {0, 1, 2, 3, 4}
    place(sound, random, window[:5])
    np.testing.assert_array_equal(window[:5], sound)


@pytest.mark.parametrize("stretch", [0.0, 0.2])
def test_windows_of_short_sounds_hold_all_of_them(pool: FeaturePool, stretch: float) -> None:
    recipe = make_recipe(stretch=stretch)
    silence = normalize(to_log(np.zeros(1, np.float32), recipe.frontend), recipe)[0]
    batches = Batches(recipe, pool, 1)
    windows = np.concatenate([batches.batch(step)[0][..., 0] for step in range(4)])
    starts = set()
    for window in windows:
        (heard,) = np.nonzero((window != silence).any(axis=1))
        assert len(heard) == heard[-1] - heard[0] + 1, "in one piece"
        assert (SOUND - 1) / (1 + stretch) - 1 <= len(heard) <= (SOUND + 2) / (1 - stretch)
        starts.add(int(heard[0]))
    assert len(starts) > 10
    halves = Batches(make_recipe(whole=False), pool, 1).batch(0)[0][..., 0]
    rows = [(window != silence).any(axis=1) for window in halves]
    assert any(row[0] and row[-1] for row in rows), "windows that go round cut sounds"


def test_sounds_longer_than_the_window_are_cut_as_ever(tmp_path: Path) -> None:
    dataset = Dataset(synthetic_clips(("helicopter", "rain"), 10, 16000, 1.5, seed=1), 16000)
    pool = build_pool(make_recipe(), dataset, tmp_path)
    whole, halves = (Batches(make_recipe(whole=value), pool, 1).batch(2)[0] for value in (True, False))
    np.testing.assert_array_equal(whole, halves)
