"""Recorded noise under the sounds: its level, its share, where it comes from, and what is said of bad recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_trees import write_noise

from stapes.datasets import Dataset, noise_clips, synthetic_clips
from stapes.errors import DataError, RecipeError
from stapes.features import FixedFrontend
from stapes.recipe import FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import FeaturePool, Setup, build_pool, train_folds
from stapes.training.augment import add_below, to_power
from stapes.training.batches import Batches
from stapes.training.noise import open_noise, require_use

PLAIN = {"mix": 0.0, "gain_db": 0.0, "equaliser_db": 0.0, "mask_frames": 0, "mask_bands": 0}


def make_recipe(spectrum: str = "power", **training: object) -> Recipe:
    return Recipe(
        name="noise",
        frontend=FrontendSpec(n_mels=20, fmin=100.0, spectrum=spectrum),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(filters=(4,), strides=(2,)),
        training=TrainingSpec(**{"batch": 24, "speeds": (1.0,)} | PLAIN | training),
    )


def make_dataset() -> Dataset:
    return Dataset(synthetic_clips(("helicopter", "rain"), 12, 16000, 1.5, seed=1), 16000)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording longer than the window and one that is shorter, at other rates, and a file that is none."""
    directory = tmp_path_factory.mktemp("noise")
    write_noise(directory / "street" / "a.wav", 2.0, 44100, seed=1, channels=2)
    write_noise(directory / "b.flac", 0.3, 22050, seed=2)
    (directory / "street" / "readme.txt").write_text("not a recording")
    return directory


@pytest.fixture(scope="module")
def pool(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    cache = tmp_path_factory.mktemp("cache")
    return build_pool(make_recipe(), make_dataset(), cache, noise=noise_clips(tree, 16000))


def powers(recipe: Recipe, pool: FeaturePool, step: int = 0) -> np.ndarray:
    features = Batches(recipe, pool, 1).batch(step)[0][..., 0]
    log_mel = features * recipe.normalization.std + recipe.normalization.mean
    return to_power(log_mel.astype(np.float32), recipe.frontend).astype(np.float64)


def test_noise_is_read_like_clips(tree: Path, pool: FeaturePool) -> None:
    clips = noise_clips(tree, 16000)
    assert [clip.name for clip in clips] == ["b.flac", "street/a.wav"]
    frontend = FixedFrontend(make_recipe().frontend)
    for features, clip in zip(pool.noise, clips, strict=True):
        assert isinstance(features.log_mel, np.memmap), "it is in the cache"
        np.testing.assert_array_equal(features.log_mel, frontend.log_mel_float(clip.pcm))
    assert len(pool.noise[0].log_mel) < 40 < len(pool.noise[1].log_mel)


def test_long_recordings_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stapes.datasets.noise.PIECE_SECONDS", 0.5)
    write_noise(tmp_path / "a.wav", 2.0)
    clips = noise_clips(tmp_path, 16000)
    assert [clip.name for clip in clips] == ["a.wav#1", "a.wav#2", "a.wav#3", "a.wav#4"]
    assert all(len(clip.pcm) == 8000 for clip in clips)
    assert len({clip.identity() for clip in clips}) == 4


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 12.0])
def test_the_level_is_the_one_asked_for(pool: FeaturePool, snr_db: float) -> None:
    plain = powers(make_recipe(), pool)
    noisy = powers(make_recipe(noise_sampled=1.0, noise_snr_db=(snr_db, snr_db)), pool)
    added = (noisy - plain).mean(axis=(1, 2))
    np.testing.assert_allclose(10 * np.log10(plain.mean(axis=(1, 2)) / added), snr_db, atol=0.05)


def test_what_is_added_is_a_piece_of_a_recording(pool: FeaturePool) -> None:
    """Also one that begins again past the end of a short recording."""
    recipe = make_recipe(noise_sampled=1.0, noise_snr_db=(-10.0, -10.0))
    added = powers(recipe, pool) - powers(make_recipe(), pool)
    found = set()
    for window in added:
        for number, features in enumerate(pool.noise):
            recording = to_power(features.log_mel, recipe.frontend).astype(np.float64)
            for start in range(len(recording)):
                piece = np.resize(np.roll(recording, -start, axis=0), window.shape)
                if np.corrcoef(piece.ravel(), window.ravel())[0, 1] > 0.9999:
                    found.add(number)
                    break
    assert found == {0, 1}


def test_a_share_of_the_batch_gets_noise_and_keeps_its_labels(pool: FeaturePool) -> None:
    plain, some = Batches(make_recipe(), pool, 1), Batches(make_recipe(noise_sampled=0.25), pool, 1)
    changed = []
    for step in range(40):
        (features, labels), (noisy, same) = plain.batch(step), some.batch(step)
        np.testing.assert_array_equal(labels, same)
        changed.append((features != noisy).any(axis=(1, 2, 3)))
    assert 0.2 < np.mean(changed) < 0.3


def test_batches_depend_on_the_step_alone(pool: FeaturePool, tree: Path, tmp_path: Path) -> None:
    """So an interrupted training goes on with the same ones, from a cache or without."""
    recipe = make_recipe(noise_sampled=0.5, noise=0.5, mix=0.5, silence=0.5)
    again = build_pool(recipe, make_dataset(), tmp_path, noise=noise_clips(tree, 16000))
    assert again.key == pool.key
    whole = Batches(recipe, pool, 1)
    whole.batch(0)
    np.testing.assert_array_equal(whole.batch(7)[0], Batches(recipe, again, 1).batch(7)[0])


def test_without_the_key_recordings_change_nothing(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe(noise=0.5)
    without = build_pool(recipe, make_dataset(), tmp_path)
    np.testing.assert_array_equal(
        Batches(recipe, pool, 1).batch(2)[0], Batches(recipe, without, 1).batch(2)[0]
    )


def test_silence_is_not_made_louder(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "a.wav", np.zeros(16000, np.int16), 16000)
    silent = build_pool(
        make_recipe(), make_dataset(), tmp_path / "cache", noise=noise_clips(tmp_path / "noise", 16000)
    )
    noisy = Batches(make_recipe(noise_sampled=1.0), silent, 1).batch(0)[0]
    np.testing.assert_array_equal(noisy, Batches(make_recipe(), silent, 1).batch(0)[0])


def test_quiet_noise_of_a_magnitude_spectrum_is_no_silence(tmp_path: Path) -> None:
    """The floor of 1e-6 is a magnitude there, 60 dB lower as a power than that of a power spectrum."""
    (tmp_path / "noise").mkdir()
    pcm = np.random.default_rng(4).normal(0, 3, 16000).astype(np.int16)
    soundfile.write(tmp_path / "noise" / "a.wav", pcm, 16000)
    noise = noise_clips(tmp_path / "noise", 16000)
    quiet = build_pool(make_recipe("magnitude"), make_dataset(), tmp_path / "cache", noise=noise)
    settings = {"noise_sampled": 1.0, "noise_snr_db": (6.0, 6.0)}
    plain = powers(make_recipe("magnitude"), quiet)
    added = powers(make_recipe("magnitude", **settings), quiet) - plain
    np.testing.assert_allclose(
        10 * np.log10(plain.mean(axis=(1, 2)) / added.mean(axis=(1, 2))), 6.0, atol=0.05
    )


def test_add_below_measures_mean_powers() -> None:
    random = np.random.default_rng(1)
    sound, noise = (random.exponential(size=(30, 8)).astype(np.float32) for _ in range(2))
    both = sound.copy()
    add_below(both, noise, 10.0)
    assert (both - sound).mean() == pytest.approx(sound.mean() / 10, rel=1e-4)


def test_other_noise_is_another_run(pool: FeaturePool, tree: Path, tmp_path: Path) -> None:
    keys = {pool.key, build_pool(make_recipe(), make_dataset(), tmp_path / "cache").key}
    write_noise(tmp_path / "noise" / "a.wav", 1.0, seed=1)
    for seed in (1, 2):
        write_noise(tmp_path / "noise" / "b.wav", 1.0 + seed, seed=seed)
        clips = noise_clips(tmp_path / "noise", 16000)
        keys.add(build_pool(make_recipe(), make_dataset(), tmp_path / "cache", noise=clips).key)
    assert len(keys) == 4


def test_bad_recordings_are_named_together(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    write_noise(noise / "good.wav", 1.0)
    write_noise(noise / "cut.wav", 1.0)
    (noise / "cut.wav").write_bytes((noise / "cut.wav").read_bytes()[:9000])
    (noise / "text.flac").write_text("not a recording")
    write_noise(noise / "short.wav", 0.01)
    with pytest.raises(DataError) as caught:
        build_pool(make_recipe(), make_dataset(), tmp_path / "cache", noise=noise_clips(noise, 16000))
    assert caught.value.message.startswith("3 bad recordings: ")
    for part in ("cut.wav: is truncated", "short.wav: 0.01 s, shorter", "text.flac: cannot be decoded"):
        assert part in caught.value.message


def test_neither_goes_without_the_other(tree: Path, tmp_path: Path) -> None:
    asked = make_recipe(noise_sampled=0.3)
    with pytest.raises(RecipeError, match=r"training\.noise_sampled = 0\.3 takes recordings") as caught:
        open_noise(asked, None)
    assert "--noise DIR" in caught.value.hint
    with pytest.raises(RecipeError, match="puts no recorded noise") as caught:
        require_use(tree, used=False)
    assert "training.noise_sampled" in caught.value.hint
    require_use(None, used=False)
    require_use(tree, used=True)
    assert open_noise(make_recipe(), tree) == []
    assert len(open_noise(asked, tree)) == 2
    with pytest.raises(DataError, match="no recordings of noise"):
        open_noise(asked, tmp_path)
    with pytest.raises(DataError, match="no data directory"):
        open_noise(asked, tmp_path / "missing")


@pytest.mark.slow
@pytest.mark.parametrize("ray", [None, "local"])
def test_workers_read_it_too(tree: Path, tmp_path: Path, ray: str | None) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
    if ray:
        pytest.importorskip("ray", reason="Ray is not installed (extra 'scale')")
    recipe = Recipe.model_validate(
        make_recipe(noise_sampled=1.0, steps=3).model_dump(exclude={"dataset"})
        | {"dataset": {"kind": "synthetic", "labels": ["rain", "dog"]}}
    )

    def train(noise: Path | None) -> bytes:
        _, results = train_folds(
            recipe, Setup(None, tmp_path / "cache", (1,), noise=noise, ray=ray), tmp_path / "work"
        )
        return results[0].network

    network = train(tree)
    written = (tmp_path / "work" / "fold1.json").stat().st_mtime_ns
    assert train(tree) == network
    assert (tmp_path / "work" / "fold1.json").stat().st_mtime_ns == written, "it was not trained again"
    other = write_noise(tmp_path / "other" / "a.wav", 1.0, seed=9).parent
    assert train(other) != network
    with pytest.raises(RecipeError, match="takes recordings of noise"):
        train(None)
