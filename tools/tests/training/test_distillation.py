"""Learning from teachers: the loss by hand, teachers that stay as they are, folds that stay honest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

import stapes.training.loop as loop
from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import BundleError, RecipeError, StapesError
from stapes.recipe import Bundle, FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import (
    FeaturePool,
    FoldResult,
    Interrupted,
    Setup,
    build_pool,
    metrics_of,
    train_fold,
    train_folds,
    write_bundle,
)
from stapes.training.batches import Batches
from stapes.training.loop import train_network
from stapes.training.losses import compile_loss, pack
from stapes.training.networks import build_network
from stapes.training.quantize import calibration_windows, quantize
from stapes.training.teachers import Teacher, Teachers, open_teacher
from stapes.training.transfer import transfer

LABELS = ("clock_tick", "helicopter", "rooster")
Float64 = npt.NDArray[np.float64]


def make_recipe(steps: int = 6, training: dict[str, object] | None = None, **model: object) -> Recipe:
    settings = {"batch": 12, "warmup_steps": 2, "speeds": (1.0,), "mix": 0.5} | (training or {})
    return Recipe(
        name="small",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(**{"filters": (6, 8), "strides": (2, 2)} | model),
        training=TrainingSpec(steps=steps, **settings),
    )


def toml(recipe: Recipe) -> str:
    """What a teacher's recipe.toml says of its network."""
    sections = recipe.model_dump(mode="json", include={"frontend", "window", "model"})
    lines = [f"name = {json.dumps(recipe.name)}"]
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 15, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def networks(pool: FeaturePool) -> list[tuple[Recipe, bytes]]:
    """A wider and a deeper teacher, after a few steps."""
    found = []
    for recipe in (
        make_recipe(20, filters=(8, 12)),
        make_recipe(20, architecture="ds_cnn", filters=(8, 12, 12), strides=(2, 2, 1), time_padding="valid"),
    ):
        windows = calibration_windows(recipe, pool, 1)[:40]
        found.append((recipe, quantize(train_network(recipe, pool, 1), recipe, windows)))
    return found


def bundle_of(recipe: Recipe, networks: dict[int, bytes], directory: Path, pool: FeaturePool) -> Bundle:
    """A teacher's bundle, without having been trained."""
    text = toml(recipe)
    results = [FoldResult(fold, 3, 0.5, 0.5, 1, 1, 0.0, network) for fold, network in networks.items()]
    spec = recipe.dataset.model_copy(update={"test_fold": min(networks)})
    asked = recipe.model_copy(update={"dataset": spec})
    return write_bundle(directory, asked, text, pool.labels, results, metrics_of(asked, results))


@pytest.fixture
def bundles(pool: FeaturePool, networks: list[tuple[Recipe, bytes]], tmp_path: Path) -> list[Bundle]:
    return [
        bundle_of(recipe, {1: network}, tmp_path / f"teacher{number}", pool)
        for number, (recipe, network) in enumerate(networks)
    ]


def softmax(logits: Float64) -> Float64:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Float64 = powers / powers.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Float64) -> Float64:
    result: Float64 = 1 / (1 + np.exp(-logits))
    return result


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
@pytest.mark.parametrize("share, smoothing", [(0.8, 0.0), (0.3, 0.1), (1.0, 0.1), (0.0, 0.1)])
def test_the_loss_is_that_of_the_paper(scores: str, share: float, smoothing: float) -> None:
    rng = np.random.default_rng(1)
    temperature = 3.0
    recipe = make_recipe(
        training={"distill": share, "temperature": temperature, "label_smoothing": smoothing}, scores=scores
    )
    logits, teacher = rng.normal(0, 3, (2, 8, 5))
    labels = np.eye(5)[rng.integers(5, size=8)]
    if scores == "softmax":
        answers = softmax(teacher / temperature)
        smooth = labels * (1 - smoothing) + smoothing / 5
        hard = -(smooth * np.log(softmax(logits))).sum(axis=1)
        soft = -(answers * np.log(softmax(logits / temperature))).sum(axis=1)
    else:
        answers = sigmoid(teacher / temperature)
        smooth = labels * (1 - smoothing) + smoothing / 2
        p, q = sigmoid(logits), sigmoid(logits / temperature)
        hard = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(axis=1)
        soft = -(answers * np.log(q) + (1 - answers) * np.log(1 - q)).mean(axis=1)
    expected = (1 - share) * hard + share * temperature**2 * soft
    targets = pack(labels.astype(np.float32), answers.astype(np.float32))
    got = compile_loss(recipe, taught=True)(targets, logits.astype(np.float32))
    np.testing.assert_allclose(np.array(got), expected, rtol=1e-4)


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_teachers_answer_together(
    pool: FeaturePool, networks: list[tuple[Recipe, bytes]], scores: str
) -> None:
    recipe = make_recipe(training={"temperature": 4.0}, scores=scores)
    windows = calibration_windows(recipe, pool, 1)
    logits = []
    for own, network in networks:
        model = build_network(own, 3)
        transfer(model, network, windows)
        logits.append(np.array(model(windows[:8], training=False), dtype=np.float64))
    apply = softmax if scores == "softmax" else sigmoid
    expected = (apply(logits[0] / 4) + apply(logits[1] / 4)) / 2
    ensemble = Teachers([Teacher(*pair) for pair in networks], recipe, 3, windows)
    np.testing.assert_allclose(ensemble.answers(windows[:8]), expected, atol=2e-5)


def test_training_minimises_exactly_that_and_changes_no_teacher(
    pool: FeaturePool, networks: list[tuple[Recipe, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss that the first step reports, by hand, class weights included; the teachers' weights before and after."""
    recipe = make_recipe(10, {"class_weights": True, "learning_rate": 1e-12}, dropout=0.0)
    kept: list[Teachers] = []

    class Kept(Teachers):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            kept.append(self)
            self.before = [model.get_weights() for model in self._models]

    class Uneven(Batches):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            self.class_weights = np.array([3.0, 0.5, 1.0], dtype=np.float32)

    monkeypatch.setattr(loop, "Teachers", Kept)
    monkeypatch.setattr(loop, "Batches", Uneven)
    reports: list[loop.Report] = []
    teachers = [Teacher(*pair) for pair in networks]
    student = train_network(recipe, pool, 1, teachers=teachers, progress=reports.append)
    ensemble, uneven = kept[0], Uneven(recipe, pool, 1)
    expected = []
    for step in range(10):
        features, labels = uneven.batch(step)
        # Nothing learns at this rate, but batches are normalised by their own statistics.
        logits = np.array(student(features, training=True), dtype=np.float64)
        answers = ensemble.answers(features)
        hard = -(labels * np.log(softmax(logits))).sum(axis=1)
        soft = -(answers * np.log(softmax(logits / 2))).sum(axis=1)
        expected.append(np.mean((0.2 * hard + 0.8 * 4 * soft) * (labels @ uneven.class_weights)))
    assert reports[0].loss == pytest.approx(np.mean(expected), rel=1e-3)
    for model, before in zip(ensemble._models, ensemble.before, strict=True):  # type: ignore[attr-defined]
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_a_student_of_a_strict_teacher_agrees_with_it(
    pool: FeaturePool, networks: list[tuple[Recipe, bytes]]
) -> None:
    """With the teacher alone in the loss, the student comes closer to its answers than one that saw labels only."""
    recipe = make_recipe(60, {"distill": 1.0, "learning_rate": 1e-2}, dropout=0.0, filters=(8, 12))
    teacher = Teacher(*networks[0])
    windows = calibration_windows(recipe, pool, 1)
    wanted = Teachers([teacher], recipe, 3, windows).answers(windows)

    def distance(model: object) -> float:
        logits = np.array(model.predict_on_batch(windows), dtype=np.float64)  # type: ignore[attr-defined]
        return float(np.abs(softmax(logits / 2) - wanted).mean())

    taught = distance(train_network(recipe, pool, 1, teachers=[teacher]))
    alone = distance(train_network(recipe, pool, 1))
    assert taught < 0.6 * alone, (taught, alone)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_an_interrupted_lesson_ends_with_the_same_bits(
    pool: FeaturePool, networks: list[tuple[Recipe, bytes]], tmp_path: Path, average: float
) -> None:
    recipe, checkpoint = make_recipe(12, {"average": average}), tmp_path / "fold1.checkpoint"
    teachers = [Teacher(*pair) for pair in networks]
    whole = train_network(recipe, pool, 1, teachers=teachers).get_weights()
    stops = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        train_network(
            recipe, pool, 1, teachers=teachers, checkpoint=checkpoint, identity="a", stop=lambda: next(stops)
        )
    seen: list[int] = []

    def count() -> bool:
        seen.append(1)
        return False

    resumed = train_network(
        recipe, pool, 1, teachers=teachers, checkpoint=checkpoint, identity="a", stop=count
    ).get_weights()
    assert len(seen) == 12 - 5
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))
    alone = train_network(recipe, pool, 1).get_weights()
    assert not all(np.array_equal(a, b) for a, b in zip(whole, alone, strict=True))


def test_without_weight_teachers_change_nothing(
    pool: FeaturePool, networks: list[tuple[Recipe, bytes]]
) -> None:
    """The student begins with the same random weights and sees the same batches, taught or not."""
    recipe = make_recipe(6, {"distill": 0.0})
    taught = train_network(recipe, pool, 1, teachers=[Teacher(*networks[0])]).get_weights()
    alone = train_network(recipe, pool, 1).get_weights()
    for a, b in zip(taught, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_whoever_taught_is_part_of_what_is_kept(
    pool: FeaturePool, bundles: list[Bundle], tmp_path: Path
) -> None:
    recipe = make_recipe(2)
    alone = train_fold(recipe, pool, 1, tmp_path / "work")
    taught = train_fold(recipe, pool, 1, tmp_path / "work", teachers=bundles)
    assert taught.network != alone.network
    assert train_fold(recipe, pool, 1, tmp_path / "work", teachers=bundles) == taught
    other = train_fold(recipe, pool, 1, tmp_path / "work", teachers=bundles[:1])
    assert other.network != taught.network


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "frontend": ({"frontend": FrontendSpec(n_mels=20, fmin=50.0)}, "[frontend]"),
    "window": ({"window": WindowSpec(frames=41, hop_frames=20)}, "window.frames"),
    "scores": ({"model": ModelSpec(filters=(6, 8), strides=(2, 2), scores="sigmoid")}, "model.scores"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_teacher_of_other_windows_is_refused(pool: FeaturePool, bundles: list[Bundle], name: str) -> None:
    changes, problem = WRONG[name]
    with pytest.raises(RecipeError) as caught:
        open_teacher(bundles[0], make_recipe().model_copy(update=changes), pool.labels, 1)
    assert caught.value.message.endswith(f"differs from small in {problem}")
    assert "\n" not in str(caught.value)


def test_a_teacher_of_other_classes_is_refused(bundles: list[Bundle]) -> None:
    with pytest.raises(RecipeError, match="differs from small in labels"):
        open_teacher(bundles[0], make_recipe(), (*LABELS[:2], "cat"), 1)


def test_a_teacher_that_has_met_the_fold_is_refused(pool: FeaturePool, bundles: list[Bundle]) -> None:
    with pytest.raises(BundleError, match="no network that left out fold 2"):
        open_teacher(bundles[0], make_recipe(), pool.labels, 2)


def test_each_fold_has_its_own_teacher(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe()
    bundle = bundle_of(recipe, {1: b"one", 2: b"two"}, tmp_path / "b", pool)
    assert [open_teacher(bundle, recipe, LABELS, fold).network for fold in (1, 2)] == [b"one", b"two"]


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"training": {"teachers": ["a.toml", "a.toml"]}}, "teachers holds a repeated recipe"),
        ({"training": {"teachers": ["../a.toml"]}}, "pattern"),
        ({"training": {"teachers": ["a.toml"]}, "model": {"architecture": "forest"}}, "a forest learns from"),
    ],
)
def test_impossible_lessons_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Recipe.model_validate({"name": "x", **changes})


def test_a_search_says_that_it_trains_no_teachers(tmp_path: Path) -> None:
    recipe = make_recipe(training={"teachers": ("big.toml",)})
    with pytest.raises(StapesError, match=r"training\.teachers: big\.toml would have to be trained first"):
        train_folds(recipe, Setup(None, tmp_path, (1,)), tmp_path)


def test_recipes_without_teachers_say_nothing_of_them() -> None:
    asked = TrainingSpec().model_dump()
    assert not {"teachers", "distill", "temperature"} & asked.keys()
    assert {"teachers", "distill"} <= TrainingSpec(teachers=("a.toml",), distill=0.5).model_dump().keys()


RECIPE = """
name = "NAME"
[dataset]
kind = "synthetic"
[frontend]
n_mels = 20
fmin = 100.0
[window]
frames = 100
hop_frames = 50
[model]
filters = [4, WIDTH]
strides = [4, 4]
[training]
steps = 3
batch = 4
speeds = [1.0]
"""


@pytest.mark.slow
def test_the_command_trains_teachers_first_or_takes_bundles(tmp_path: Path) -> None:
    for name, width in (("big", "6"), ("student", "4")):
        (tmp_path / f"{name}.toml").write_text(RECIPE.replace("NAME", name).replace("WIDTH", width))
    taught = tmp_path / "recipe.toml"
    taught.write_text((tmp_path / "student.toml").read_text() + 'teachers = ["big.toml"]\n')
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}

    def train(recipe: str, out: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stapes", "train", recipe, "--out", out, "--cache", "cache", *more]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = train("recipe.toml", "b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("big.toml first") < done.stdout.index("recipe.toml now")
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.metrics()["teachers"] == ["big"]
    assert "from" not in bundle.metrics()
    assert (tmp_path / "b/big.toml").read_text() == (tmp_path / "big.toml").read_text()
    card = (tmp_path / "b/MODEL_CARD.md").read_text()
    assert "Taught by the bundle big: their answers to every batch, at the temperature 2, have" in card

    done = train("student.toml", "c", "--teacher", "b.work/teacher1/bundle")
    assert done.returncode == 0, done.stderr
    assert Bundle.load(tmp_path / "c").model == bundle.model, "the same teacher either way"

    taught.write_text((tmp_path / "student.toml").read_text() + 'teachers = ["recipe.toml"]\n')
    done = train("recipe.toml", "d")
    assert done.returncode == 1
    assert "recipe.toml waits for this recipe" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
