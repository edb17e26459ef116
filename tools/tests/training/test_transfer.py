"""Training that begins with another bundle's network: the same function first, then only what was asked changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import RecipeError
from stapes.graph import read_tflite
from stapes.int8 import run_graph
from stapes.recipe import Bundle, BundleManifest, FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import FeaturePool, build_pool, train_fold
from stapes.training.loop import train_network
from stapes.training.networks import build_network
from stapes.training.quantize import calibration_windows
from stapes.training.transfer import start_network, transfer

LABELS = ("clock_tick", "helicopter", "rooster")


def make_recipe(steps: int = 60, training: dict[str, object] | None = None, **model: object) -> Recipe:
    return Recipe(
        name="small",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=39, hop_frames=20),
        model=ModelSpec(**{"filters": (8, 12, 12), "strides": (2, 2, 1)} | model),
        training=TrainingSpec(
            steps=steps, batch=16, warmup_steps=5, speeds=(1.0,), mix=0.3, **(training or {})
        ),
    )


def save(recipe: Recipe, directory: Path, files: dict[str, bytes]) -> Bundle:
    manifest = BundleManifest(
        name="source",
        labels=LABELS,
        frontend=recipe.frontend,
        normalization=recipe.normalization,
        window=recipe.window,
        decision=recipe.decision,
    )
    return Bundle.save(directory, manifest, files)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 30, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def network(pool: FeaturePool, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    recipe = make_recipe(architecture="ds_cnn")
    return train_fold(recipe, pool, 1, tmp_path_factory.mktemp("work")).network


def test_it_computes_what_the_int8_network_computes(pool: FeaturePool, network: bytes) -> None:
    recipe = make_recipe(architecture="ds_cnn", dropout=0.0)
    model = build_network(recipe, 3, probabilities=True)
    windows = calibration_windows(recipe, pool, 1)
    transfer(model, network, windows)
    graph = read_tflite(network)
    source = graph.tensor(graph.inputs[0])
    quantized = np.clip(np.rint(windows / source.scale) + source.zero_point, -128, 127).astype(np.int8)
    scores = [run_graph(graph, [window[None]])[graph.outputs[0]][0] for window in quantized]
    expected = (np.array(scores).astype(float) + 128) / 256
    got = model.predict_on_batch(windows)
    assert np.abs(got - expected).mean() < 0.02
    assert np.abs(got - expected).max() < 0.15

    # As a batch of training is normalised by its own statistics, all windows together give nearly the same.
    trained = np.array(model(windows, training=True))
    assert (trained.argmax(axis=1) == got.argmax(axis=1)).mean() > 0.9


def test_another_padding_along_time_is_fine(pool: FeaturePool, network: bytes) -> None:
    recipe = make_recipe(architecture="ds_cnn", time_padding="valid")
    model = build_network(recipe, 3)
    random = [np.array(value) for value in model.get_weights()]
    transfer(model, network, calibration_windows(recipe, pool, 1))
    assert all(
        not np.array_equal(old, new)
        for old, new in zip(random, model.get_weights(), strict=True)
        if old.size > 3  # the classes' biases may well be 0
    )


@pytest.mark.parametrize("wrong", [{"filters": (8, 12, 14)}, {"architecture": "plain_cnn"}])
def test_another_network_is_refused(pool: FeaturePool, network: bytes, wrong: dict[str, object]) -> None:
    recipe = make_recipe(**({"architecture": "ds_cnn"} | wrong))
    with pytest.raises(RecipeError, match="--from: its network has the layers CONV_2D 3x3x1x8"):
        transfer(build_network(recipe, 3), network, calibration_windows(recipe, pool, 1))


def test_other_classes_get_a_dense_layer_of_their_own(pool: FeaturePool, network: bytes) -> None:
    recipe = make_recipe(architecture="ds_cnn")
    model = build_network(recipe, 5)
    before = np.array(model.layers[-1].kernel)
    transfer(model, network, calibration_windows(recipe, pool, 1))
    assert np.array_equal(model.layers[-1].kernel, before)


def test_freezing_trains_the_dense_layer_only(pool: FeaturePool, network: bytes) -> None:
    recipe = make_recipe(3, {"freeze": True}, architecture="ds_cnn")
    start = build_network(recipe, 3)
    transfer(start, network, calibration_windows(recipe, pool, 1))
    trained = train_network(recipe, pool, 1, start=network)
    for old, new in zip(start.layers, trained.layers, strict=True):
        same = [np.array_equal(a, b) for a, b in zip(old.get_weights(), new.get_weights(), strict=True)]
        assert all(same) == (new.name != "scores"), new.name


def test_a_fold_begins_with_the_network_that_left_it_out(tmp_path: Path) -> None:
    recipe = make_recipe()
    bundle = save(recipe, tmp_path, {"model.tflite": b"one", "folds/fold2.tflite": b"two"})
    assert [start_network(bundle, fold) for fold in (1, 2)] == [b"one", b"two"]


def test_what_training_began_with_is_part_of_what_is_kept(
    pool: FeaturePool, network: bytes, tmp_path: Path
) -> None:
    recipe = make_recipe(2, architecture="ds_cnn")
    bundle = save(recipe, tmp_path / "source", {"model.tflite": network})
    first = train_fold(recipe, pool, 1, tmp_path / "work")
    second = train_fold(recipe, pool, 1, tmp_path / "work", start=bundle)
    assert first.network != second.network
    assert train_fold(recipe, pool, 1, tmp_path / "work", start=bundle) == second
