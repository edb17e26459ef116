"""The pool of features: what is in it, when it is computed again, and what it says of bad recordings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.datasets import Clip, Dataset, synthetic_clips
from stapes.errors import DataError, RecipeError, ToolError
from stapes.features import FixedFrontend
from stapes.recipe import MICRO, VOTES, DecisionSpec, FrontendSpec, PcenSpec, Recipe, TrainingSpec, WindowSpec
from stapes.reference import DecisionRule, vote
from stapes.training import Setup, build_pool, train_folds
from stapes.training.batches import Batches
from stapes.training.evaluate import clip_accuracy, decide, window_starts, window_weight, windows_of

LABELS = ("dog", "rain", "rooster")


def make_recipe(**training: object) -> Recipe:
    return Recipe(
        name="x",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=20, hop_frames=10),
        training=TrainingSpec(**{"speeds": (0.8, 1.0, 1.25), "batch": 8} | training),
    )


def make_dataset(count: int = 9, seconds: float = 1.0) -> Dataset:
    return Dataset(synthetic_clips(LABELS, count, 16000, seconds, seed=1), 16000)


def test_features_are_those_of_the_fixed_front_end(tmp_path: Path) -> None:
    recipe, dataset = make_recipe(), make_dataset()
    pool = build_pool(recipe, dataset, tmp_path)
    assert pool.labels == LABELS
    assert pool.targets.tolist() == [0, 1, 2] * 3
    assert pool.folds.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert pool.indices(2, held_out=True).tolist() == [3, 4, 5]
    assert pool.indices(2, held_out=False).tolist() == [0, 1, 2, 6, 7, 8]
    frontend = FixedFrontend(recipe.frontend)
    for speed in (0.8, 1.0, 1.25):
        expected = frontend.log_mel_float(dataset.clips[4].at_speed(speed))
        np.testing.assert_array_equal(pool.clips[speed][4].log_mel, expected)


def test_energy_of_a_window_covers_exactly_its_samples(tmp_path: Path) -> None:
    recipe, dataset = make_recipe(), make_dataset()
    pool = build_pool(recipe, dataset, tmp_path)
    pcm = dataset.clips[0].pcm.astype(np.int64)
    starts = window_starts(len(pool.clips[1.0][0].log_mel), recipe)
    assert list(starts) == [0, 10, 20]
    for start in starts:
        first = start * 320
        piece = pcm[first : first + recipe.window_samples]
        assert len(piece) == 19 * 320 + 512
        rms = int(np.sqrt(np.sum(piece**2) // len(piece)))
        assert window_weight(pool.clips[1.0][0], start, recipe) == max(1, rms)


def test_the_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    recipe, dataset = make_recipe(), make_dataset()
    first = build_pool(recipe, dataset, tmp_path)
    second = build_pool(recipe, without_samples(dataset), tmp_path)
    assert second.key == first.key
    for speed, clips in first.clips.items():
        for one, other in zip(clips, second.clips[speed], strict=True):
            np.testing.assert_array_equal(one.log_mel, other.log_mel)
            np.testing.assert_array_equal(one.before, other.before)
            np.testing.assert_array_equal(one.after, other.after)


def without_samples(dataset: Dataset) -> Dataset:
    def read(speed: float) -> np.ndarray:
        raise AssertionError("decoded although the features are in the cache")

    return Dataset(
        tuple(Clip(c.name, c.label, c.fold, c.identity, read) for c in dataset.clips), dataset.sample_rate
    )


def test_another_front_end_or_recording_is_another_entry(tmp_path: Path) -> None:
    key = build_pool(make_recipe(speeds=(1.0,)), make_dataset(), tmp_path).key
    other = make_recipe(speeds=(1.0,)).model_copy(update={"frontend": FrontendSpec(n_mels=21, fmin=100.0)})
    assert build_pool(other, make_dataset(), tmp_path).key != key
    assert build_pool(make_recipe(speeds=(1.0,)), make_dataset(seconds=1.1), tmp_path).key != key
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_an_interrupted_run_keeps_what_it_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of three clips: Ctrl-C while the eighth is read leaves two of them, which are not read again."""
    monkeypatch.setattr("stapes.training.pool.CLIPS", 3)
    recipe, dataset = make_recipe(speeds=(1.0,)), make_dataset()
    read: list[str] = []

    def recorded(clip: Clip, stop: bool) -> Clip:
        def at(speed: float) -> np.ndarray:
            if stop and clip is dataset.clips[7]:
                raise KeyboardInterrupt
            read.append(clip.name)
            return clip.read(speed)

        return Clip(clip.name, clip.label, clip.fold, clip.identity, at)

    def watched(stop: bool) -> Dataset:
        return Dataset(tuple(recorded(clip, stop) for clip in dataset.clips), 16000)

    with pytest.raises(KeyboardInterrupt):
        build_pool(recipe, watched(True), tmp_path)
    assert len(list((tmp_path / "features").iterdir())) == 2
    read.clear()
    pool = build_pool(recipe, watched(False), tmp_path)
    assert read == [clip.name for clip in dataset.clips[6:]]
    monkeypatch.setattr("stapes.training.pool.CLIPS", 100)
    whole = build_pool(recipe, dataset, tmp_path)
    assert whole.key == pool.key, "a checkpoint does not care how features are kept"
    for one, other in zip(pool.clips[1.0], whole.clips[1.0], strict=True):
        np.testing.assert_array_equal(one.log_mel, other.log_mel)
        np.testing.assert_array_equal(one.after, other.after)


def test_cached_features_stay_on_disk(tmp_path: Path) -> None:
    recipe = make_recipe(speeds=(1.0,))
    for _ in range(2):
        pool = build_pool(recipe, make_dataset(), tmp_path)
        assert all(isinstance(clip.log_mel, np.memmap) for clip in pool.clips[1.0])


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_cache_is_computed_again(tmp_path: Path, damage: str) -> None:
    recipe, dataset = make_recipe(speeds=(1.0,)), make_dataset()
    first = build_pool(recipe, dataset, tmp_path).clips[1.0][0].log_mel.copy()
    (path,) = (tmp_path / "features").iterdir()
    content = path.read_bytes()
    broken = bytearray(content)
    broken[len(content) // 2] ^= 1
    np.save(tmp_path / "other.npy", np.zeros(1))
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "flip": bytes(broken),
            "empty": b"",
            "other": (tmp_path / "other.npy").read_bytes(),
        }[damage]
    )
    again = build_pool(recipe, dataset, tmp_path)
    np.testing.assert_array_equal(again.clips[1.0][0].log_mel, first)
    assert path.read_bytes() == content
    assert [p.name for p in (tmp_path / "features").iterdir()] == [path.name], "no temporary file is left"


def test_short_and_corrupt_recordings_are_named_together(tmp_path: Path) -> None:
    good = make_dataset()

    def corrupt(speed: float) -> np.ndarray:
        raise DataError("b.wav: cannot be decoded")

    clips = [
        *good.clips,
        Clip("a.wav", "dog", 1, lambda: "a", lambda speed: np.zeros(6000, np.int16)),
        Clip("b.wav", "dog", 1, lambda: "b", corrupt),
    ]
    with pytest.raises(DataError) as caught:
        build_pool(make_recipe(), Dataset(tuple(clips), 16000), tmp_path)
    assert "2 bad recordings" in caught.value.message
    assert "a.wav: 0.38 s, shorter than the 0.41 s of one window" in caught.value.message
    assert "b.wav: cannot be decoded" in caught.value.message
    assert not (tmp_path / "features").exists()


def test_a_longer_window_finds_cached_clips_too_short(tmp_path: Path) -> None:
    recipe = make_recipe(speeds=(1.0,))
    build_pool(recipe, make_dataset(), tmp_path)
    longer = recipe.model_copy(update={"window": WindowSpec(frames=60)})
    with pytest.raises(DataError, match="9 bad recordings"):
        build_pool(longer, make_dataset(), tmp_path)


def test_a_front_end_without_mel_powers_is_refused(tmp_path: Path) -> None:
    recipe = make_recipe().model_copy(update={"frontend": FrontendSpec(**MICRO, micro=True)})
    with pytest.raises(RecipeError, match=r"frontend\.micro: .*does not give back"):
        build_pool(recipe, make_dataset(), tmp_path)


@pytest.mark.parametrize("spec", [FrontendSpec(n_mfcc=13), FrontendSpec(pcen=PcenSpec())])
def test_the_normalisation_of_log_mel_is_refused_for_others(tmp_path: Path, spec: FrontendSpec) -> None:
    recipe = make_recipe().model_copy(update={"frontend": spec})
    with pytest.raises(RecipeError, match=f"normalization: .* gives {spec.kind}"):
        build_pool(recipe, make_dataset(), tmp_path)


def test_training_without_tensorflow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    recipe = Recipe.model_validate({"name": "x", "dataset": {"kind": "synthetic"}})
    with pytest.raises(ToolError, match=r"tensorflow.*stapes\[train\]"):
        train_folds(recipe, Setup(None, tmp_path / "cache", (1,)), tmp_path / "work")
    assert list(tmp_path.iterdir()) == [], "nothing is computed before that"


@pytest.mark.parametrize("folds", [[6], [1, 9]])
def test_a_fold_that_does_not_exist_is_refused(tmp_path: Path, folds: list[int]) -> None:
    recipe = Recipe.model_validate({"name": "x", "dataset": {"kind": "synthetic"}})
    with pytest.raises(DataError, match=rf"not fold \[{folds[-1]}\]"):
        train_folds(recipe, Setup(None, tmp_path / "cache", tuple(folds)), tmp_path / "work")


def test_progress_ends_complete(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    build_pool(make_recipe(), make_dataset(), tmp_path, lambda *step: seen.append(step))
    assert seen[-1] == ("features", 27, 27)
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)


def test_batches_depend_on_seed_fold_and_step_alone(tmp_path: Path) -> None:
    recipe = make_recipe()
    pool = build_pool(recipe, make_dataset(), tmp_path)
    features, labels = Batches(recipe, pool, 1).batch(7)
    assert features.shape == (8, 20, 20, 1)
    assert features.dtype == labels.dtype == np.float32
    again, same = Batches(recipe, pool, 1).batch(7)
    np.testing.assert_array_equal(features, again)
    np.testing.assert_array_equal(labels, same)
    assert not np.array_equal(features, Batches(recipe, pool, 1).batch(8)[0])
    assert not np.array_equal(features, Batches(make_recipe(seed=2), pool, 1).batch(7)[0])


def test_labels_are_shares_and_kept_without_mixing(tmp_path: Path) -> None:
    pool = build_pool(make_recipe(), make_dataset(), tmp_path)
    _, mixed = Batches(make_recipe(mix=1.0, batch=64), pool, 1).batch(0)
    np.testing.assert_allclose(mixed.sum(axis=1), 1.0, rtol=1e-6)
    assert 20 < (mixed.max(axis=1) < 1.0).sum() <= 64
    _, pure = Batches(make_recipe(mix=0.0, batch=64), pool, 1).batch(0)
    assert (pure.max(axis=1) == 1.0).all()


def test_the_held_out_fold_never_reaches_a_batch(tmp_path: Path) -> None:
    """Held-out clips are a class of their own here: a batch that held one would show in its labels."""
    dataset = make_dataset()
    clips = [
        Clip(c.name, "secret" if c.fold == 2 else c.label, c.fold, c.identity, c.read) for c in dataset.clips
    ]
    pool = build_pool(make_recipe(), Dataset(tuple(clips), 16000), tmp_path)
    secret = pool.labels.index("secret")
    batches = Batches(make_recipe(), pool, 2)
    assert sum(batches.batch(step)[1][:, secret].sum() for step in range(20)) == 0.0
    assert sum(Batches(make_recipe(), pool, 1).batch(step)[1][:, secret].sum() for step in range(20)) > 0.0


def test_without_augmentation_a_batch_is_the_plain_features(tmp_path: Path) -> None:
    plain = make_recipe(speeds=(1.0,), mix=0.0, mask_frames=0, mask_bands=0, gain_db=0.0, equaliser_db=0.0)
    pool = build_pool(plain, make_dataset(), tmp_path)
    features, labels = Batches(plain, pool, 1).batch(0)
    for example, label in zip(features[..., 0], labels, strict=True):
        log_mel = example * plain.normalization.std + plain.normalization.mean
        found = False
        for index in pool.indices(1, held_out=False):
            clip = pool.clips[1.0][index].log_mel
            turned = np.concatenate([clip, clip])
            for start in range(len(clip)):
                if np.allclose(turned[start : start + 20], log_mel, atol=2e-2):
                    found = bool(label[pool.targets[index]] == 1.0)
                    break
            if found:
                break
        assert found


def test_louder_windows_decide(tmp_path: Path) -> None:
    """The vote is weighted: the quiet windows of a clip say something else and lose."""
    recipe = make_recipe(speeds=(1.0,))
    dataset = make_dataset()

    def half_silent(speed: float) -> np.ndarray:
        pcm = np.zeros(16000, np.int16)
        pcm[:5000] = 20000
        return pcm

    clips = (Clip("x", "dog", 1, lambda: "x", half_silent), *dataset.clips)
    pool = build_pool(recipe, Dataset(clips, 16000), tmp_path)
    chosen = np.array([0])
    windows, weights, owners = windows_of(pool, recipe, chosen)
    assert windows.shape == (3, 20, 20, 1)
    assert weights[0] > 10 * weights[2] == 10
    assert owners.tolist() == [0, 0, 0]
    scores = np.array([[0.6, 0.4, 0.0], [0.5, 0.4, 0.1], [0.0, 1.0, 0.0]])
    assert clip_accuracy(lambda windows: scores, recipe, pool, chosen) == 1.0
    mean, majority = (
        recipe.model_copy(update={"decision": DecisionSpec(vote=vote)}) for vote in ("mean", "majority")
    )
    assert clip_accuracy(lambda windows: scores, mean, pool, chosen) == 0.0
    assert clip_accuracy(lambda windows: scores, majority, pool, chosen) == 1.0
    assert windows_of(pool, majority, chosen)[1].tolist() == [1.0, 1.0, 1.0]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_training_decides_as_the_device_does(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(VOTES)))
    classes, windows = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    score = data.draw(st.sampled_from([st.integers(-128, 127), st.integers(-1, 1)]))
    rows = st.lists(score, min_size=classes, max_size=classes)
    table = np.array(data.draw(st.lists(rows, min_size=windows, max_size=windows)), np.int8)
    loudness = st.integers(1, 32767 if vote(name).weighs else 1)
    weights = data.draw(st.lists(loudness, min_size=windows, max_size=windows))
    steps = windows if name == "majority" else 256
    spec = DecisionSpec(vote=name, min_confidence=data.draw(st.integers(0, steps)) / steps)
    rule = DecisionRule.of(spec, 1 / 256, -128)
    expected = rule.verdict(list(table), weights).class_index
    assert decide((table.astype(np.float64) + 128) / 256, np.array(weights, np.float64), spec) == expected
