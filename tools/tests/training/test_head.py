"""`stapes train --backbone`: a network without its classifier, and a new head on its embeddings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mobilenet import mobilenet
from modelmaker import ModelMaker

from stapes.adopt import Embedder, cut, open_backbone
from stapes.compiler import compile_bundle
from stapes.datasets import open_dataset
from stapes.errors import ModelError, RecipeError
from stapes.graph import Quantization, Tensor, load_graph, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.recipe import Bundle, load_recipe
from stapes.reference import Reference, TflmOracle
from stapes.training import metrics_of, write_bundle
from stapes.training.embeddings import build_embeddings
from stapes.training.head import train_heads

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'train')")
pytest.importorskip("emlearn", reason="emlearn is not installed (extra 'train')")

RECIPE = """
name = "heard"

[dataset]
kind = "synthetic"
labels = ["rain", "dog", "clock_tick"]

[frontend]
frame_length = 400
hop_length = 160
spectrum = "magnitude"
mel_scale = "htk"
mel_norm = "none"
mel_lines = "mel"
fmin = 125.0
fmax = 7500.0
log_floor = 1e-3

[normalization]
mean = 0.0
std = 1.0

[window]
frames = 96
hop_frames = 48

[model]
architecture = "{architecture}"
head_c = 100.0
trees = 8
min_samples_leaf = 3

[training]
speeds = [1.0]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    mobilenet(tmp_path)
    for architecture in ("dense", "forest"):
        (tmp_path / f"{architecture}.toml").write_text(RECIPE.format(architecture=architecture))
    return tmp_path


@pytest.mark.parametrize("architecture", ["dense", "forest"])
def test_a_head_is_trained_on_what_the_device_computes(architecture: str, place: Path) -> None:
    recipe = load_recipe(place / f"{architecture}.toml")
    backbone = open_backbone(place / "mobilenet.tflite", recipe)
    assert backbone.embedding.elements == 24
    dataset = open_dataset(None, recipe.dataset, recipe.frontend.sample_rate)
    pool, results = train_heads(recipe, dataset, backbone, place / "cache", [1])
    (result,) = results
    assert result.int8_accuracy >= 0.6  # three kinds of sound on random features: a third by chance
    assert abs(result.int8_accuracy - result.float_accuracy) <= 0.34

    graph = simplify(read_tflite(result.network))
    embedding = next(op for op in graph.ops if op.kind == "MEAN").outputs[0]
    original = simplify(read_tflite((place / "mobilenet.tflite").read_bytes()))
    before = next(op for op in original.ops if op.kind == "MEAN").outputs[0]
    rows = np.random.default_rng(2).integers(-128, 128, (96, 64)).astype(np.int8)
    picture = [rows.reshape(1, 96, 64, 1)]
    embedded = Embedder(backbone)(rows)
    np.testing.assert_array_equal(run_graph(graph, picture)[embedding].reshape(-1), embedded)
    np.testing.assert_array_equal(run_graph(original, picture)[before].reshape(-1), embedded)
    if architecture == "dense":
        oracle = TflmOracle(result.network)
        index = oracle.graph.outputs[0]
        np.testing.assert_array_equal(oracle.run(picture)[index], run_graph(graph, picture)[graph.outputs[0]])

    # What was embedded is kept: again without a network.
    again = build_embeddings(recipe, dataset, backbone, place / "cache")
    assert again.key == pool.key
    for one, other in zip(pool.clips[1.0], again.clips[1.0], strict=True):
        np.testing.assert_array_equal(one.embeddings, other.embeddings)


def test_embeddings_are_those_of_the_reference(place: Path) -> None:
    """A bundle's windows and weights, as check and evaluate compute them, against the pool's."""
    recipe = load_recipe(place / "dense.toml")
    backbone = open_backbone(place / "mobilenet.tflite", recipe)
    dataset = open_dataset(None, recipe.dataset, recipe.frontend.sample_rate)
    pool, (result,) = train_heads(recipe, dataset, backbone, place / "cache", [1])
    metrics = metrics_of(recipe, [result], pool.content)
    metrics["backbone"] = {"file": backbone.name, "sha256": backbone.sha256, "embedding": 24, "notes": []}
    bundle = write_bundle(place / "bundle", recipe, "name = 'heard'\n", pool.labels, [result], metrics)
    assert "logistic regression" in (place / "bundle/MODEL_CARD.md").read_text()
    reference = Reference(bundle)
    embedding = next(op for op in reference.graph.ops if op.kind == "MEAN").outputs[0]
    windows = list(reference.windows(dataset.clips[0].pcm))
    kept = pool.clips[1.0][0]
    assert [window.weight for window in windows] == kept.weights.tolist()
    for window, row in zip(windows, kept.embeddings, strict=True):
        np.testing.assert_array_equal(np.asarray(window.activations[embedding]).reshape(-1), row)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_from_a_network_over_a_head_to_a_check(
    place: Path, monkeypatch: pytest.MonkeyPatch, run_stapes: Any
) -> None:
    """import, train --backbone on that bundle, check on the host and in QEMU: equal in every stage."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))

    def run(*arguments: str) -> str:
        status, text = run_stapes(*arguments)
        assert status == 0, text
        return text

    run("import", "mobilenet.tflite", "--frontend", "yamnet", "--labels", "labels.txt", "--out", "mobile")
    run("cost", "dense.toml", "--backbone", "mobile", "--classes", "3", "--no-measure", "--json", "cost.json")
    manifest = Bundle.load(place / "mobile").manifest
    assert manifest.frontend == load_recipe(place / "dense.toml").frontend
    run("train", "dense.toml", "--backbone", "mobile", "--out", "heard", "--folds", "1", "--jobs", "1")
    bundle = Bundle.load(place / "heard")
    assert (
        bundle.manifest.labels == ("clock_tick", "dog", "rain")
        and bundle.metrics()["backbone"]["embedding"] == 24
    )
    load_graph(bundle)
    cost, plan = json.loads((place / "cost.json").read_text()), compile_bundle(bundle)
    assert (cost["macs_per_window"], cost["arena_bytes"]) == (plan.macs, plan.arena_bytes)
    targets = ["host"]
    if shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc"):
        targets.append("qemu:netduinoplus2")
    for target in targets:
        run("check", "heard", "--target", target, "--clips", "2", "--json", "check.json")
        found = json.loads((place / "check.json").read_text())
        assert found["features_equal"] and found["layers_equal"] and found["scores_equal"], target


def test_what_cannot_be_a_backbone_is_said(place: Path) -> None:
    recipe = load_recipe(place / "dense.toml")
    whole = recipe.model_copy(update={"model": recipe.model.model_copy(update={"architecture": "ds_cnn"})})
    backbone = open_backbone(place / "mobilenet.tflite", recipe)
    dataset = open_dataset(None, recipe.dataset, 16000)
    with pytest.raises(RecipeError, match="trains a whole network"):
        train_heads(whole, dataset, backbone, place / "cache")
    longer = recipe.model_copy(update={"window": recipe.window.model_copy(update={"frames": 98})})
    with pytest.raises(
        RecipeError, match=r"window\.frames = 98: the backbone mobilenet\.tflite takes windows of 96"
    ):
        open_backbone(place / "mobilenet.tflite", longer)
    flat = ModelMaker(1).input((1, 96, 64, 1), 0.05, 20).conv_2d(2, stride=(2, 2)).reshape((1, 48 * 32 * 2))
    with pytest.raises(ModelError, match="no embedding"):
        cut(simplify(read_tflite(flat.fully_connected(3).build())), "flat.tflite")


def test_a_forest_takes_no_wide_embedding(place: Path) -> None:
    recipe = load_recipe(place / "forest.toml")
    maker = ModelMaker(1).input((1, 96, 64, 1), 0.05, 20).conv_2d(300, stride=(8, 8))
    maker.reduce("MEAN", (1, 2), scale=0.05, zero_point=0).fully_connected(3)
    (place / "wide.tflite").write_bytes(maker.build())
    backbone = open_backbone(place / "wide.tflite", recipe)
    dataset = open_dataset(None, recipe.dataset, 16000)
    with pytest.raises(RecipeError, match="its embedding has 300 values, a forest takes 256"):
        train_heads(recipe, dataset, backbone, place / "cache")


def test_two_classes_have_two_scores() -> None:
    from stapes.training.head import fit_dense

    quantization = Quantization(np.array([0.1], np.float32), np.array([-128], np.int64))
    embedding = Tensor(0, "e", (1, 4), np.dtype(np.int8), quantization, type_name="INT8")
    random = np.random.default_rng(1)
    values = random.integers(-128, 128, (60, 4)).astype(np.int8)
    targets = (values[:, 1] > 0).astype(np.int64)

    class Asked:
        class model:
            head_c = 1.0

        class training:
            seed = 1

    head = fit_dense(values, targets, 2, embedding, Asked)  # type: ignore[arg-type]
    assert head.weights.shape == (2, 4)
    assert np.mean(head.probabilities(values).argmax(axis=1) == targets) > 0.9
