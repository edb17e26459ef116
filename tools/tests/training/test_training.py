"""The loop on a small synthetic data set: it learns, goes on where it was stopped, ends in a bundle."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import RecipeError
from stapes.graph import check_supported, read_tflite, simplify
from stapes.recipe import (
    Bundle,
    DatasetSpec,
    FrontendSpec,
    LiveSpec,
    ModelSpec,
    Recipe,
    TrainingSpec,
    WindowSpec,
)
from stapes.training import (
    FeaturePool,
    Interrupted,
    Report,
    Setup,
    build_pool,
    metrics_of,
    train_fold,
    train_folds,
    write_bundle,
)
from stapes.training.batches import Batches
from stapes.training.bundle import imported_bundle
from stapes.training.loop import Average, learning_rate, train_network
from stapes.training.networks import build_network, count_macs
from stapes.training.pool import NONE_LEFT_OUT
from stapes.training.quantize import calibration_windows, quantize

LABELS = ("clock_tick", "helicopter", "rooster")


def make_recipe(steps: int = 40, **model: object) -> Recipe:
    return Recipe(
        name="small",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(**{"filters": (8, 12), "strides": (2, 2)} | model),
        training=TrainingSpec(steps=steps, batch=16, warmup_steps=5, speeds=(1.0, 1.1), mix=0.3),
    )


def with_training(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update=changes)})


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 30, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def weights(model: object) -> list[np.ndarray]:
    return [np.array(value) for value in model.get_weights()]  # type: ignore[attr-defined]


def test_it_learns_and_the_int8_network_follows(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe(150)
    result = train_fold(recipe, pool, 1, tmp_path)
    assert result.clips == 6
    assert result.float_accuracy >= 0.8
    assert result.int8_accuracy >= 0.8
    graph = simplify(read_tflite(result.network, "small"))
    check_supported(graph)
    features, scores = graph.tensor(graph.inputs[0]), graph.tensor(graph.outputs[0])
    assert features.shape == (1, 40, 20, 1)
    assert scores.shape == (1, 3)
    assert features.dtype == scores.dtype == np.int8
    assert (scores.scale, scores.zero_point) == (1 / 256, -128)
    assert {op.kind for op in graph.ops} == {
        "CONV_2D",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "MEAN",
        "SOFTMAX",
    }, "batch normalisation is folded, no shape arithmetic is left"


def test_the_same_seed_gives_the_same_network_another_seed_another(pool: FeaturePool) -> None:
    recipe = make_recipe(6)
    first, second = (weights(train_network(recipe, pool, 1)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    third = weights(train_network(with_training(recipe, seed=2), pool, 1))
    assert not all(np.array_equal(a, b) for a, b in zip(first, third, strict=True))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_an_interrupted_training_ends_with_the_same_bits(
    pool: FeaturePool, tmp_path: Path, average: float
) -> None:
    recipe, checkpoint = with_training(make_recipe(14), average=average), tmp_path / "fold1.checkpoint"
    whole = weights(train_network(recipe, pool, 1))
    for stop_after in (5, 4):
        steps = iter([False] * stop_after + [True])
        with pytest.raises(Interrupted):
            train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a", stop=lambda: next(steps))  # noqa: B023
        assert checkpoint.is_file()
    seen: list[int] = []

    def count() -> bool:
        seen.append(1)
        return False

    resumed = weights(train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a", stop=count))
    assert len(seen) == 14 - 5 - 4, "it went on, it did not start again"
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize("damage", ["identity", "cut", "empty"])
def test_a_checkpoint_that_does_not_fit_is_ignored(pool: FeaturePool, tmp_path: Path, damage: str) -> None:
    recipe, checkpoint = make_recipe(4), tmp_path / "fold1.checkpoint"
    steps = iter([False, False, True])
    with pytest.raises(Interrupted):
        train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a", stop=lambda: next(steps))
    content = checkpoint.read_bytes()
    if damage != "identity":
        checkpoint.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    seen: list[int] = []

    def count() -> bool:
        seen.append(1)
        return False

    train_network(
        recipe, pool, 1, checkpoint=checkpoint, identity="b" if damage == "identity" else "a", stop=count
    )
    assert len(seen) == 4


def test_a_finished_fold_is_not_trained_again(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe(3)
    first = train_fold(recipe, pool, 1, tmp_path)
    assert not (tmp_path / "fold1.checkpoint").exists()

    def fail() -> bool:
        raise AssertionError("trained again")

    assert train_fold(recipe, pool, 1, tmp_path, stop=fail) == first
    listening = recipe.model_copy(update={"live": LiveSpec(gate=True)})
    assert train_fold(listening, pool, 1, tmp_path, stop=fail) == first, (
        "how it listens is no matter of training"
    )
    (tmp_path / "fold1.tflite").write_bytes(b"damaged")
    with pytest.raises(AssertionError, match="trained again"):
        train_fold(recipe, pool, 1, tmp_path, stop=fail)
    with pytest.raises(AssertionError, match="trained again"):
        train_fold(make_recipe(4), pool, 1, tmp_path, stop=fail)


def test_progress_tells_loss_and_step(pool: FeaturePool) -> None:
    reports = []
    train_network(make_recipe(20), pool, 2, progress=reports.append)
    assert [(r.fold, r.step, r.steps) for r in reports] == [(2, 10, 20), (2, 20, 20)]
    assert all(0.0 < r.loss < 5.0 for r in reports)


def test_the_average_is_exponential_and_forgets_the_beginning() -> None:
    import keras

    values = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    weight = keras.Variable(np.full(4, 1e6, np.float32))
    average = Average([weight], 0.99)
    expected = np.full(4, 1e6)
    for step, value in enumerate(values, start=1):
        weight.assign(value)
        average.update(step)
        if step % 10 == 0:
            kept = min(0.99**10, step / 10 / (9 + step / 10))
            expected = kept * expected + (1 - kept) * value
    average.apply()
    np.testing.assert_allclose(np.array(weight), expected, rtol=1e-4)
    assert np.abs(expected).max() < 3, "nothing is left of the first weights"


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    settings = TrainingSpec(steps=100, warmup_steps=10, learning_rate=1e-2)
    rates = [learning_rate(step, settings) for step in range(101)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) * 1e-3)
    assert rates[10] == max(rates) == pytest.approx(1e-2)
    assert rates[55] == pytest.approx(5e-3)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("architecture", ["plain_cnn", "ds_cnn"])
def test_every_architecture_converts_to_what_the_compiler_takes(pool: FeaturePool, architecture: str) -> None:
    recipe = make_recipe(architecture=architecture)
    model = build_network(recipe, 3)
    network = quantize(model, recipe, calibration_windows(recipe, pool, 1)[:20])
    graph = simplify(read_tflite(network, architecture))
    check_supported(graph)
    kinds = [op.kind for op in graph.ops]
    assert kinds.count("DEPTHWISE_CONV_2D") == (architecture == "ds_cnn")


def test_macs_are_counted() -> None:
    # 40 x 20 → 20 x 10 x 8 → 10 x 5 x 12; then 24 → 3.
    assert count_macs(build_network(make_recipe(), 3)) == 20 * 10 * 8 * 9 + 10 * 5 * 12 * 9 * 8 + 24 * 3


def test_too_many_strides_are_refused() -> None:
    recipe = make_recipe(filters=(4,) * 7, strides=(2,) * 7)
    with pytest.raises(RecipeError, match=r"model\.strides: layer 6 has stride 2"):
        build_network(recipe, 3)


def test_calibration_sees_training_folds_only(pool: FeaturePool) -> None:
    recipe = make_recipe()
    windows = calibration_windows(recipe, pool, 1)[..., 0]
    assert len(windows) == len(pool.indices(1, held_out=False)) * 2
    for index in pool.indices(1, held_out=True):
        held_out = (pool.clips[1.0][index].log_mel[:40] + 8.0) / 4.0
        assert np.abs(windows - held_out).max(axis=(1, 2)).min() > 0.1


def test_the_bundle_holds_everything(pool: FeaturePool, tmp_path: Path) -> None:
    recipe = make_recipe(3)
    results = [train_fold(recipe, pool, fold, tmp_path / "work") for fold in (1, 2)]
    metrics = metrics_of(recipe, results)
    write_bundle(tmp_path / "b", recipe, 'name = "small"\n', pool.labels, results, metrics)
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.model == results[0].network
    assert (tmp_path / "b" / "folds" / "fold2.tflite").read_bytes() == results[1].network
    assert set(bundle.manifest.files) >= {
        "recipe.toml",
        "model.tflite",
        "folds/fold1.tflite",
        "folds/fold2.tflite",
    }
    assert bundle.manifest.labels == LABELS
    assert bundle.metrics()["float"]["per_fold"] == [r.float_accuracy for r in results]
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert f"{100 * metrics['int8']['accuracy_mean']:.2f} %" in card


def test_the_final_network_learns_from_all_and_the_figures_are_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[int, list[int]] = {}

    class Watched(Batches):
        def __init__(self, recipe: Recipe, pool: FeaturePool, fold: int) -> None:
            super().__init__(recipe, pool, fold)
            heard[fold] = [int(clip) for clip in self._train]

    monkeypatch.setattr("stapes.training.loop.Batches", Watched)
    recipe = make_recipe(3).model_copy(update={"dataset": DatasetSpec(kind="synthetic", labels=LABELS)})
    setup = Setup(data=None, cache=tmp_path / "cache", final=True)
    with monkeypatch.context() as patched:
        patched.setattr("stapes.training.folds.open_crew", SameProcess)
        pool, results = train_folds(recipe, setup, tmp_path / "work")
    assert [result.fold for result in results] == [1, 2, 3, 4, 5, NONE_LEFT_OUT]
    assert heard[NONE_LEFT_OUT] == list(range(30)) and len(heard[1]) == 24
    metrics = metrics_of(recipe, results, pool.content)
    assert metrics["folds"] == [1, 2, 3, 4, 5] and len(metrics["int8"]["per_fold"]) == 5
    assert metrics["final"] is True
    bundle = write_bundle(tmp_path / "b", recipe, 'name = "small"\n', pool.labels, results, metrics)
    assert bundle.model == results[-1].network not in {result.network for result in results[:-1]}
    assert [name for name in bundle.files if name.startswith("folds/")] == [
        f"folds/fold{n}.tflite" for n in range(1, 6)
    ]
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert "learned from the recordings of all folds" in card and "--folds all --final`" in card
    assert "is the network that left out fold" not in card


@pytest.mark.parametrize(
    ("dataset", "live", "labels", "expected"),
    [
        ({}, {}, ("dog", "nothing"), "nothing"),
        ({}, {}, ("dog", "rain"), ""),
        ({}, {"other": "rain"}, ("nothing", "rain"), "rain"),
        ({"labels": ("dog",), "other": "rest"}, {}, ("dog", "nothing", "rest"), "rest"),
    ],
)
def test_the_class_that_is_never_an_event_comes_from_the_labels(
    dataset: dict[str, Any], live: dict[str, Any], labels: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    update = {"dataset": DatasetSpec(**dataset), "live": LiveSpec(**live)}
    bundle = imported_bundle(make_recipe().model_copy(update=update), labels, b"", tmp_path)
    assert bundle.manifest.live.other == expected


class SameProcess:
    """A crew of nobody: each fold is trained where it is asked for."""

    def __init__(self, jobs: int, ray: str | None) -> None:
        pass

    def __enter__(self) -> SameProcess:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def reports(self) -> list[Report]:
        return []

    def submit(self, work: Callable[..., object], *arguments: object) -> Future[object]:
        future: Future[object] = Future()
        future.set_result(work(*arguments, lambda report: None, lambda: False))
        return future


RECIPE = """
name = "command"
[dataset]
kind = "synthetic"
[frontend]
n_mels = 20
fmin = 100.0
[window]
frames = 100
hop_frames = 50
[model]
filters = [4, 4]
strides = [4, 4]
[training]
steps = {steps}
batch = 4
speeds = [1.0]
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_when_told_to_and_goes_on(tmp_path: Path, stop: signal.Signals) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.format(steps=100000))
    command = [
        sys.executable,
        "-m",
        "stapes",
        "train",
        "recipe.toml",
        "--out",
        "b",
        "--cache",
        "cache",
        "--jobs",
        "2",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    process = subprocess.Popen(
        [*command, "--folds", "all"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background may ignore SIGINT; a program inherits that.
        preexec_fn=lambda: signal.signal(stop, signal.SIG_DFL) and None,
    )
    work = tmp_path / "b.work"
    deadline = time.monotonic() + 300
    while not list(work.glob("*.checkpoint")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.2)
    process.send_signal(stop)
    try:
        _, text = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + stop
    assert "Traceback" not in text
    checkpoints = {path.name: np.load(path)["step"] for path in work.glob("*.checkpoint")}
    assert set(checkpoints) == {"fold1.checkpoint", "fold2.checkpoint"}
    assert max(checkpoints.values()) >= 200
    assert not (tmp_path / "b").exists()

    (tmp_path / "recipe.toml").write_text(RECIPE.format(steps=4))
    done = subprocess.run(
        [*command, "--json", "out.json", "--seeds", "2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "fold 1: float" in done.stdout
    figures = json.loads((tmp_path / "out.json").read_text())
    for kind in ("float", "int8"):
        assert set(figures[kind]) == {"accuracy_mean", "accuracy_sd", "per_fold"}
    assert figures["seeds"]["seeds"] == [1, 2]
    bundle, other = Bundle.load(tmp_path / "b"), Bundle.load(work / "seed2/bundle")
    assert bundle.manifest.name == other.manifest.name == "command"
    assert bundle.model != other.model
    means = figures["seeds"]["int8"]["per_seed"]
    assert means == [figures["int8"]["accuracy_mean"], other.metrics()["int8"]["accuracy_mean"]]
    card = (tmp_path / "b/MODEL_CARD.md").read_text()
    assert f"| 2 | {100 * other.metrics()['float']['accuracy_mean']:.2f} % | {100 * means[1]:.2f} % |" in card


@pytest.mark.slow
def test_a_recipe_can_begin_with_another_one(tmp_path: Path) -> None:
    text = RECIPE.format(steps=3)
    (tmp_path / "first.toml").write_text(text.replace('"command"', '"padded"'))
    text = text.replace("strides = [4, 4]", 'strides = [4, 4]\ntime_padding = "valid"')
    (tmp_path / "recipe.toml").write_text(text + 'start = "first.toml"\n')
    command = [sys.executable, "-m", "stapes", "train", "recipe.toml", "--out", "b", "--cache", "cache"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("first.toml first") < done.stdout.index("recipe.toml now")
    bundle, first = Bundle.load(tmp_path / "b"), Bundle.load(tmp_path / "b.work/start/bundle")
    assert bundle.metrics()["from"] == first.manifest.name == "padded"
    assert (tmp_path / "b/first.toml").read_text() == (tmp_path / "first.toml").read_text()
    assert "first.toml" in bundle.manifest.files
    assert "Began with the weights of the bundle padded" in (tmp_path / "b/MODEL_CARD.md").read_text()
