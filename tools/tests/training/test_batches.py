"""Batches: shape, type and labels under every setting; what is off draws nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sound_trees import write_noise

from stapes.datasets import Dataset, open_dataset, synthetic_clips
from stapes.errors import DataError
from stapes.recipe import (
    DatasetSpec,
    FrontendSpec,
    LiveSpec,
    ModelSpec,
    Normalization,
    Recipe,
    TrainingSpec,
    WindowSpec,
)
from stapes.training import FeaturePool, Setup, build_pool, gallery, train_folds
from stapes.training.augment import equaliser, mask, mix, stretch, to_log
from stapes.training.batches import Batches, normalize
from stapes.training.evaluate import clip_accuracy

LABELS = ("clock_tick", "helicopter", "rooster")
SETTINGS: dict[str, dict[str, object]] = {
    "nothing": {"mix": 0.0, "gain_db": 0.0, "equaliser_db": 0.0, "mask_frames": 0, "mask_bands": 0},
    "defaults": {},
    "stretch": {"stretch": 0.4},
    "shift": {"shift_bands": 4.0},
    "noise": {"noise": 0.5, "noise_snr_db": (0.0, 20.0)},
    "silence": {"silence": 0.5},
    "all": {"stretch": 0.4, "silence": 0.5, "shift_bands": 4.0, "noise": 0.5, "speeds": (0.9, 1.0)},
}


def make_recipe(scores: str = "softmax", **training: object) -> Recipe:
    return Recipe(
        name="batches",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(filters=(4,), strides=(2,), scores=scores),
        training=TrainingSpec(**{"batch": 24, "speeds": (1.0,)} | training),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 15, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(speeds=(0.9, 1.0)), dataset, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("name", SETTINGS)
def test_shape_type_and_labels(pool: FeaturePool, name: str) -> None:
    recipe = make_recipe(**SETTINGS[name])
    features, labels = Batches(recipe, pool, 1).batch(3)
    assert features.shape == (24, 40, 20, 1)
    assert labels.shape == (24, 3)
    assert features.dtype == labels.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    again, _ = Batches(recipe, pool, 1).batch(3)
    np.testing.assert_array_equal(features, again)


def plain_batch(recipe: Recipe, pool: FeaturePool, fold: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch the plain way, from the powers of whole clips, without `shift`, `noise` and `silence`."""
    settings, frames, train = recipe.training, recipe.window.frames, pool.indices(fold, held_out=False)
    random = np.random.default_rng([settings.seed, fold, step])
    turns = -(-settings.batch // len(train))
    chosen = [
        np.concatenate([random.permutation(train) for _ in range(turns)])[: settings.batch] for _ in range(2)
    ]
    mixed = random.random(settings.batch) < settings.mix
    ratio = np.where(mixed, random.random(settings.batch), 1.0)
    drawn = []
    for clips in chosen:
        windows = []
        for clip in clips:
            log_mel = np.array(
                pool.clips[settings.speeds[random.integers(len(settings.speeds))]][clip].log_mel
            )
            power = np.exp(log_mel) - np.float32(recipe.frontend.log_floor)
            power[power < 0] = 0
            heard = frames
            if settings.stretch:
                heard = round(frames * random.uniform(1 - settings.stretch, 1 + settings.stretch))
            endless = np.concatenate([power] * 9)
            sums = np.concatenate([[0], np.cumsum(endless.sum(axis=1, dtype=np.float64))])
            starts = random.integers(len(power), size=2)
            energies = (sums[starts + frames] - sums[starts]).astype(np.float32)
            start = starts[0] if energies[0] >= energies[1] else starts[1]
            window = endless[start : start + heard]
            windows.append(stretch(window, frames) if settings.stretch else window)
        drawn.append(np.stack(windows))
    power = mix(drawn[0], drawn[1], ratio)
    knots = random.uniform(-settings.equaliser_db, settings.equaliser_db, (settings.batch, 5))
    knots += random.uniform(-settings.gain_db, settings.gain_db, (settings.batch, 1))
    power = power * equaliser(recipe.frontend.n_mels, knots)[:, None]
    features = normalize(to_log(power, recipe.frontend), recipe)
    mask(features, 1, settings.mask_frames, random)
    mask(features, 2, settings.mask_bands, random)
    share = ratio.astype(np.float32)[:, None]
    labels = [np.eye(3, dtype=np.float32)[pool.targets[clips]] for clips in chosen]
    return features[..., None], labels[0] * share + labels[1] * (1 - share)


@pytest.mark.parametrize("settings", [{}, {"stretch": 0.4}, {"speeds": (0.9, 1.0), "mix": 1.0}])
@pytest.mark.parametrize("frames", [10, 40, 72])
def test_a_batch_is_bit_for_bit_that_of_whole_clips(
    pool: FeaturePool, settings: dict[str, object], frames: int
) -> None:
    """Networks of a recipe stay what they are, however features are kept; windows here reach past the end."""
    recipe = make_recipe(**settings).model_copy(update={"window": WindowSpec(frames=frames)})
    batches = Batches(recipe, pool, 2)
    for step in (0, 5):
        for found, expected in zip(batches.batch(step), plain_batch(recipe, pool, 2, step), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_clips_are_not_kept_in_memory(pool: FeaturePool) -> None:
    on_disk = sum(clip.log_mel.nbytes for clip in pool.clips[1.0])
    tracemalloc.start()
    try:
        batches = Batches(make_recipe(), pool, 1)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batches.class_weights.shape == (3,)
    assert kept < on_disk / 4, "energies are one of twenty numbers a frame"
    assert most < on_disk / 2, "powers of one clip at a time"


@pytest.mark.parametrize("name", ["stretch", "silence", "shift", "noise"])
def test_what_sounds_different_keeps_its_label(pool: FeaturePool, name: str) -> None:
    """Without mixing every label is whole, and there are as many of each class as there were."""
    _, plain = Batches(make_recipe(mix=0.0), pool, 1).batch(0)
    _, labels = Batches(make_recipe(mix=0.0, **SETTINGS[name]), pool, 1).batch(0)
    assert set(labels.ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(labels, plain)


def test_without_augmentation_a_window_is_a_piece_of_its_clip(pool: FeaturePool) -> None:
    features, labels = Batches(make_recipe(**SETTINGS["nothing"]), pool, 1).batch(0)
    clips = {
        i: np.tile((pool.clips[1.0][i].log_mel + 8) / 4, (2, 1)) for i in pool.indices(1, held_out=False)
    }
    for window, label in zip(features[..., 0], labels, strict=True):
        found = [
            i
            for i, clip in clips.items()
            for start in range(len(clip) // 2)
            if np.allclose(clip[start : start + 40], window, atol=2e-3)
        ]
        assert found
        assert pool.targets[found[0]] == label.argmax()


def test_masks_of_features_as_they_are_have_the_mean_of_their_window(pool: FeaturePool) -> None:
    """As networks from elsewhere take them: 0 would be a loud sound."""
    settings = SETTINGS["nothing"] | {"mask_frames": 30}
    found = []
    for mean in (0.0, -8.0):
        plain = make_recipe(**SETTINGS["nothing"]).model_copy(
            update={"normalization": Normalization(mean=mean, std=1.0)}
        )
        before = Batches(plain, pool, 1).batch(0)[0][..., 0]
        masked = plain.model_copy(update={"training": make_recipe(**settings).training})
        after = Batches(masked, pool, 1).batch(0)[0][..., 0]
        changed = (before != after).any(axis=2)
        assert changed.sum() > 100
        for window, whole, rows in zip(after, before, changed, strict=True):
            np.testing.assert_allclose(window[rows], whole.mean() if mean == 0 else 0.0, rtol=1e-5)
        found.append(after[changed].mean())
    assert found[0] < -3 < found[1]


def test_a_quiet_magnitude_is_heard(pool: FeaturePool) -> None:
    """Its floor is a magnitude: as a power it is the square."""
    recipe = make_recipe("sigmoid")
    spec = recipe.frontend.model_copy(update={"spectrum": "magnitude", "log_floor": 1e-3})
    batches = Batches(recipe.model_copy(update={"frontend": spec}), pool, 1)
    quiet = np.full((24, 40, 20), 1e-5, np.float32)
    assert batches._is_heard(quiet).all()
    assert not batches._is_heard(np.full_like(quiet, 1e-7)).any()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_silence_has_its_share_of_windows(pool: FeaturePool, share: float) -> None:
    recipe = make_recipe(**SETTINGS["nothing"] | {"silence": share})
    batches = Batches(recipe, pool, 1)
    silence = normalize(to_log(np.zeros(1, np.float32), recipe.frontend), recipe)[0]
    windows = np.concatenate([batches.batch(step)[0][..., 0] for step in range(40)])
    silent = (windows == silence).all(axis=2)
    partly = silent.any(axis=1).mean()
    # Few runs reach over the whole window; four tries that all lose the sound are rare.
    assert 0.8 * share <= partly <= 1.15 * share
    assert not silent.all(axis=1).any()


def test_what_is_not_asked_for_draws_nothing(pool: FeaturePool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(np.random.Generator):
        drawn = 0

        def random(self, *args: object, **kwargs: object) -> object:
            Counted.drawn += 1
            return super().random(*args, **kwargs)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Counted(np.random.PCG64(seed)))
    Batches(make_recipe(), pool, 1).batch(0)
    assert Counted.drawn == 2, "which examples are mixed, and how"
    Batches(make_recipe(silence=0.1), pool, 1).batch(0)
    assert Counted.drawn >= 4 + 48, "and one for each window"


def test_tags_are_all_that_is_heard(pool: FeaturePool) -> None:
    _, shares = Batches(make_recipe(mix=1.0), pool, 1).batch(5)
    _, tags = Batches(make_recipe(scores="sigmoid", mix=1.0), pool, 1).batch(5)
    np.testing.assert_array_equal(tags, (shares >= 0.1).astype(np.float32))
    assert tags.sum(axis=1).max() == 2


def test_class_weights_make_classes_count_the_same(tmp_path: Path) -> None:
    clips = [clip for clip in synthetic_clips(LABELS, 15, 16000, 1.5, seed=1)]
    kept = [clip for number, clip in enumerate(clips) if clip.label != "rooster" or number < 6]
    recipe = make_recipe()
    uneven = build_pool(recipe, Dataset(kept, 16000), tmp_path)
    train = uneven.indices(1, held_out=False)
    counts = np.bincount(uneven.targets[train], minlength=3)
    assert counts.min() < counts.max()
    weights = Batches(recipe, uneven, 1).class_weights
    np.testing.assert_allclose(weights * counts, (weights * counts)[0], rtol=1e-6)
    assert (weights[uneven.targets[train]]).mean() == pytest.approx(1.0)


def test_the_gallery_shows_every_augmentation() -> None:
    recipe = make_recipe().model_copy(update={"window": WindowSpec(frames=63)})
    first, second = synthetic_clips(("rooster", "clock_tick"), 2, 16000, 5.0, seed=1)
    pictures = gallery(recipe, first, second)
    plain = pictures[0][1]
    assert all(values.shape == (63, 20) for _, values in pictures)
    assert len({title for title, _ in pictures}) == len(pictures) == 13
    assert all(np.abs(values - plain).max() > 0.3 for _, values in pictures[1:])


def test_tags_of_a_clip_are_learned_together_and_all_are_right(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_noise(tmp_path / "d" / f"{name}.wav", 6.0)
        (tmp_path / "d" / f"{name}.txt").write_text("0\t4\tmusic\n2\t6\tspeech\n")
    spec = DatasetSpec(kind="audacity", folds=2, cut_seconds=2.0)
    asked = make_recipe(scores="sigmoid", mix=0.0).model_copy(update={"dataset": spec})
    pool = build_pool(asked, open_dataset(tmp_path / "d", spec, 16000), tmp_path / "cache")
    rows = {tuple(row) for row in Batches(asked, pool, 1).batch(1)[1].tolist()}
    assert rows == {(1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)}, "the last is silence"
    held_out = pool.indices(1, held_out=True)
    assert pool.labels_of(held_out).tolist() == [[True, False], [True, True], [False, True]]

    def always(*tags: float, thresholds: dict[str, float] | None = None) -> float:
        recipe = asked.model_copy(update={"live": LiveSpec(thresholds=thresholds or {})})
        return clip_accuracy(lambda windows: np.tile(tags, (len(windows), 1)), recipe, pool, held_out)

    assert always(1.0, 0.2) == always(0.2, 1.0) == always(0.5, 0.5) == pytest.approx(1 / 3)
    assert always(0.0, 0.4) == 0.0, "a clip is right with all of its tags"
    assert always(0.0, 0.4, thresholds={"speech": 0.4}) == pytest.approx(1 / 3)
    plain = make_recipe().model_copy(update={"dataset": spec})
    with pytest.raises(
        DataError, match=r"2 clips have labels that overlap: a\.wav@0\.000#2 \(music, speech\)"
    ):
        train_folds(plain, Setup(tmp_path / "d", tmp_path / "cache"), tmp_path / "w")
