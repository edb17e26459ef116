"""The synthetic clips: the same everywhere, audible, and different from class to class."""

from __future__ import annotations

import numpy as np
import pytest

from stapes.datasets import ESC10_LABELS, open_dataset, synthetic_clips
from stapes.files import sha256
from stapes.recipe import DatasetSpec


def test_the_samples_are_the_same_on_every_machine() -> None:
    clips = synthetic_clips(ESC10_LABELS, 10, 16000, 2.0, seed=1)
    digest = sha256(b"".join(clip.pcm.astype("<i2").tobytes() for clip in clips))
    assert digest == "73be7dc01230f2718d39739957dcaf0bcffb9d9633c5c29b74eb1b271bf070fd"


def test_names_labels_and_folds() -> None:
    clips = synthetic_clips(("a", "b"), 12, 16000, 0.1, seed=3)
    assert [clip.label for clip in clips] == ["a", "b"] * 6
    assert [clip.fold for clip in clips] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 1, 1]
    assert len({clip.name for clip in clips}) == 12
    assert len({clip.identity() for clip in clips}) == 12


@pytest.mark.parametrize("label", [*ESC10_LABELS, "something else"])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_every_class_is_audible_at_every_rate(label: str, rate: int) -> None:
    for clip in synthetic_clips((label,), 2, rate, 3.0, seed=5):
        pcm = clip.pcm
        assert pcm.dtype == np.int16
        assert len(pcm) == 3 * rate
        assert 13000 <= np.abs(pcm.astype(int)).max() <= 32767
        assert np.sqrt(np.mean(pcm.astype(float) ** 2)) > 150


@pytest.mark.parametrize("label", ESC10_LABELS)
def test_very_short_clips_can_be_made(label: str) -> None:
    for seed in range(5):
        (clip,) = synthetic_clips((label,), 1, 16000, 0.05, seed=seed)
        assert len(clip.pcm) == 800


def test_seed_and_number_change_the_sound_and_speed_its_length() -> None:
    first, second = synthetic_clips(("dog",), 2, 16000, 1.0, seed=1)
    (other,) = synthetic_clips(("dog",), 1, 16000, 1.0, seed=2)
    assert not np.array_equal(first.pcm, second.pcm)
    assert not np.array_equal(first.pcm, other.pcm)
    np.testing.assert_array_equal(first.pcm, first.pcm)
    assert len(first.at_speed(1.25)) == 12800


def test_classes_can_be_told_apart_by_simple_means() -> None:
    """Nearest class mean of spectrum and of level over time: far better than the one in ten of chance."""

    def describe(pcm: np.ndarray) -> np.ndarray:
        frames = pcm[: len(pcm) // 512 * 512].reshape(-1, 512).astype(float)
        bands = np.abs(np.fft.rfft(frames * np.hanning(512)))[:, 1:].reshape(len(frames), 16, 16).mean(axis=2)
        levels = np.log(bands + 1.0)
        return np.concatenate([levels.mean(axis=0), levels.std(axis=0), levels.max(axis=0)])

    clips = synthetic_clips(ESC10_LABELS, 60, 16000, 5.0, seed=9)
    points = np.stack([describe(clip.pcm) for clip in clips])
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    truth = np.arange(60) % 10
    means = np.stack([points[:30][truth[:30] == label].mean(axis=0) for label in range(10)])
    distance = ((points[30:, None] - means[None]) ** 2).sum(axis=2)
    assert np.mean(distance.argmin(axis=1) == truth[30:]) >= 0.8


def test_the_synthetic_data_set_needs_no_directory() -> None:
    dataset = open_dataset(None, DatasetSpec(kind="synthetic"), 16000)
    assert dataset.labels == ESC10_LABELS
    assert dataset.folds == (1, 2, 3, 4, 5)
    assert all(len(dataset.fold(fold)) == 20 for fold in dataset.folds)
