"""Learning on the vote: a bag's probabilities are what the device's vote makes of its windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.datasets import Dataset, synthetic_clips
from stapes.recipe import VOTES, DecisionSpec, FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.reference import DecisionRule, vote
from stapes.training import FeaturePool, Interrupted, build_pool
from stapes.training.batches import Batches
from stapes.training.evaluate import window_starts, window_weight
from stapes.training.loop import Report, train_network
from stapes.training.losses import compile_loss, pack

LABELS = ("clock_tick", "helicopter", "rooster")
PLAIN = {"mix": 0.0, "gain_db": 0.0, "equaliser_db": 0.0, "mask_frames": 0, "mask_bands": 0}


def make_recipe(scores: str = "softmax", vote: str = "energy", **training: object) -> Recipe:
    return Recipe(
        name="bags",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(filters=(4, 6), strides=(2, 2), scores=scores, dropout=0.0),
        training=TrainingSpec(
            **{"batch": 12, "speeds": (1.0,), "bag": 4, "warmup_steps": 2} | training  # type: ignore[arg-type]
        ),
        decision=DecisionSpec(vote=vote),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 15, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def losses(
    recipe: Recipe,
    labels: npt.NDArray[np.floating],
    votes: npt.NDArray[np.floating],
    logits: npt.NDArray[np.floating],
    answers: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float32]:
    given = None if answers is None else answers.astype(np.float32)
    targets = pack(labels.astype(np.float32), given, votes.astype(np.float32))
    return np.array(compile_loss(recipe, taught=given is not None)(targets, logits.astype(np.float32)))


@pytest.mark.parametrize("vote", ["mean", "energy"])
def test_a_bag_is_decided_as_the_device_decides(vote: str) -> None:
    """The device's integers: int8 scores in steps of 1/256 and integer weights. exp(-loss) is a class's probability."""
    rng = np.random.default_rng(2)
    scores = np.array([rng.multinomial(248, [0.2, 0.3, 0.1, 0.4]) + 2 for _ in range(6)])  # they sum to 256
    weights = rng.integers(1, 3000, 6) if vote == "energy" else np.ones(6, dtype=int)
    verdict = DecisionRule(vote, -128, 0).verdict(list((scores - 128).astype(np.int8)), weights.tolist())
    logits = np.tile(np.log(scores / 256), (4, 1))
    labels = np.repeat(np.eye(4), 6, axis=0)
    found = losses(make_recipe(bag=6, batch=24), labels, np.tile(weights / weights.sum(), 4), logits)
    assert np.ptp(found.reshape(4, 6), axis=1).max() == 0.0, "windows of a bag share its loss"
    probabilities = np.exp(-found.reshape(4, 6)[:, 0].astype(np.float64))
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert int(np.argmax(probabilities)) == verdict.best
    assert verdict.confidence <= probabilities[verdict.best] * 256 + 1e-3 < verdict.confidence + 1.01


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_of_the_mean(scores: str, smoothing: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (12, 5))
    votes = rng.random((3, 4))
    votes /= votes.sum(axis=1, keepdims=True)
    labels = np.eye(5)[rng.integers(5, size=3)]
    if scores == "softmax":
        windows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        p = (windows.reshape(3, 4, 5) * votes[..., None]).sum(axis=1)
        expected = -((labels * (1 - smoothing) + smoothing / 5) * np.log(p)).sum(axis=1)
    else:
        p = (1 / (1 + np.exp(-logits)).reshape(3, 4, 5) * votes[..., None]).sum(axis=1)
        smooth = labels * (1 - smoothing) + smoothing / 2
        expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(axis=1)
    recipe = make_recipe(scores, label_smoothing=smoothing)
    found = losses(recipe, labels.repeat(4, axis=0), votes.ravel(), logits)
    np.testing.assert_allclose(found, expected.repeat(4), rtol=1e-4)


def test_a_bag_of_certain_and_wrong_windows_has_a_finite_loss() -> None:
    logits = np.tile([[200.0, -200.0]], (4, 1))
    labels = np.tile([[0.0, 1.0]], (4, 1))
    np.testing.assert_allclose(
        losses(make_recipe(batch=4), labels, np.full(4, 0.25), logits), 400.0, rtol=1e-5
    )


def test_teachers_answer_for_each_window() -> None:
    rng = np.random.default_rng(4)
    logits, teacher = rng.normal(size=(2, 4, 3))
    answers = np.exp(teacher) / np.exp(teacher).sum(axis=1, keepdims=True)
    labels, votes = np.tile([[0.0, 1.0, 0.0]], (4, 1)), np.array([0.1, 0.2, 0.3, 0.4])
    recipe = make_recipe(batch=4, distill=0.7, temperature=2.0)
    scaled = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    soft = -(answers * np.log(scaled)).sum(axis=1)
    expected = 0.3 * losses(recipe, labels, votes, logits) + 0.7 * 4 * soft
    np.testing.assert_allclose(losses(recipe, labels, votes, logits, answers), expected, rtol=1e-4)


def test_windows_of_a_bag_are_of_one_clip_and_votes_follow_their_power(pool: FeaturePool) -> None:
    features, labels, votes = Batches(make_recipe(**PLAIN), pool, 1).bags(0)
    clips = {
        i: np.tile((pool.clips[1.0][i].log_mel + 8) / 4, (2, 1)) for i in pool.indices(1, held_out=False)
    }
    owners = []
    for window in features[..., 0]:
        owners.append(
            {
                i
                for i, clip in clips.items()
                for start in range(len(clip) // 2)
                if np.allclose(clip[start : start + 40], window, atol=2e-3)
            }
        )
    for bag in range(3):
        (clip,) = set.intersection(*owners[4 * bag : 4 * bag + 4])
        assert (labels[4 * bag : 4 * bag + 4].argmax(axis=1) == pool.targets[clip]).all()
        assert len({window.tobytes() for window in features[4 * bag : 4 * bag + 4]}) > 1
    roots = np.sqrt(np.exp(features[..., 0].astype(np.float64) * 4 - 8).sum(axis=(1, 2))).reshape(3, 4)
    np.testing.assert_allclose(votes.reshape(3, 4), roots / roots.sum(axis=1, keepdims=True), atol=2e-3)
    assert np.ptp(votes.reshape(3, 4), axis=1).max() > 0.02
    for name in VOTES:
        if not vote(name).weighs:
            _, _, equal = Batches(make_recipe(vote=name, **PLAIN), pool, 1).bags(0)
            assert set(equal) == {np.float32(0.25)}, name


def test_the_power_of_bands_weighs_windows_nearly_as_the_samples_do(pool: FeaturePool) -> None:
    recipe = make_recipe()
    spread = []
    for features in pool.clips[1.0]:
        starts = window_starts(len(features.log_mel), recipe)
        device = np.array([window_weight(features, start, recipe) for start in starts], dtype=float)
        power = [np.exp(features.log_mel[start : start + 40].astype(float)).sum() for start in starts]
        ours = np.sqrt(power)
        spread.append(np.abs(device / device.sum() - ours / ours.sum()).max())
    assert np.mean(spread) < 0.05


def test_the_microphone_changes_no_vote(pool: FeaturePool) -> None:
    _, _, plain = Batches(make_recipe(**PLAIN), pool, 1).bags(0)
    loud = PLAIN | {"gain_db": 20.0, "equaliser_db": 12.0, "mask_frames": 16}
    _, _, votes = Batches(make_recipe(**loud), pool, 1).bags(0)
    np.testing.assert_array_equal(votes, plain)


def test_mixed_bags_have_one_label(pool: FeaturePool) -> None:
    features, labels, votes = Batches(make_recipe(mix=1.0), pool, 1).bags(5)
    assert (np.ptp(labels.reshape(3, 4, 3), axis=1) == 0).all()
    assert ((labels > 0) & (labels < 1)).any()
    assert np.isfinite(features).all()
    np.testing.assert_allclose(votes.reshape(3, 4).sum(axis=1), 1.0, atol=1e-6)


def test_training_learns_on_bags_and_goes_on_with_the_same_bits(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe(steps=60, learning_rate=1e-2, class_weights=True, mix=0.0)
    checkpoint = tmp_path / "fold1.checkpoint"
    reports: list[Report] = []
    whole = train_network(recipe, pool, 1, progress=reports.append)
    assert reports[-1].loss < 0.7 * reports[0].loss
    assert whole.output.shape == (None, 3), "the network is the ordinary one: one window in, its logits out"
    stops = iter([False] * 7 + [True])
    with pytest.raises(Interrupted):
        train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a", stop=lambda: next(stops))
    resumed = train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "section, problem",
    [
        ({"training": {"batch": 10, "bag": 4}}, "batch = 10 is not a multiple of bag = 4"),
        (
            {"training": {"bag": 4}, "model": {"architecture": "forest"}},
            "a forest learns from single windows",
        ),
    ],
)
def test_impossible_bags_are_refused(section: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Recipe.model_validate({"name": "x", **section})


def test_recipes_without_bags_say_nothing_of_them() -> None:
    assert "bag" not in TrainingSpec().model_dump()
    assert TrainingSpec(bag=4).model_dump()["bag"] == 4
