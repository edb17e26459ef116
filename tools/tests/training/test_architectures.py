"""Every architecture converts to a network that the compiler streams by rows and that runs bit for bit in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.bench.model import bench_model
from stapes.compiler import compile_graph
from stapes.errors import RecipeError
from stapes.graph import read_tflite, simplify
from stapes.recipe import FrontendSpec, ModelSpec, Recipe, WindowSpec
from stapes.training.networks import build_network
from stapes.training.quantize import quantize

FRAMES, BANDS = 63, 20
MODELS = {
    "plain": {"architecture": "plain_cnn"},
    "plain, sliding": {"architecture": "plain_cnn", "time_padding": "valid"},
    "all bands": {"frequency": "conv"},
    "all bands, sliding": {"frequency": "conv", "time_padding": "valid"},
    "attention": {"pooling": "attention"},
    "attention, separable, all bands": {
        "architecture": "ds_cnn",
        "pooling": "attention",
        "frequency": "conv",
    },
    "separable": {"architecture": "ds_cnn"},
    "separable, sliding": {"architecture": "ds_cnn", "time_padding": "valid"},
    "residual": {"architecture": "res_ds_cnn", "filters": (8, 12, 12), "strides": (2, 2, 1)},
    "broadcast": {"architecture": "bc_resnet", "filters": (8, 12, 12), "strides": (2, 2, 1)},
}


def make_recipe(**model: object) -> Recipe:
    return Recipe(
        name="net",
        frontend=FrontendSpec(n_mels=BANDS, fmin=100.0),
        window=WindowSpec(frames=FRAMES, hop_frames=8),
        model=ModelSpec(**{"filters": (8, 12, 10), "strides": (2, 2, 2)} | model),
    )


def untrained(recipe: Recipe) -> bytes:
    """The int8 network with random weights and random statistics in its normalisations."""
    random = np.random.default_rng(1)
    model = build_network(recipe, 3)
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            size = layer.gamma.shape
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, size),
                    random.normal(0, 0.3, size),
                    random.normal(0, 0.3, size),
                    random.uniform(0.3, 2, size),
                ]
            )
    windows = random.normal(size=(20, FRAMES, BANDS, 1)).astype(np.float32)
    return quantize(model, recipe, windows)


@pytest.mark.parametrize("name", MODELS)
def test_the_firmware_computes_it_bit_for_bit(name: str, tmp_path: Path) -> None:
    recipe = make_recipe(**MODELS[name])
    network = untrained(recipe)
    bench = bench_model(network, "host", tmp_path, inputs=4)
    assert bench.equal, bench.different_layers
    whole = max(layer.rows * layer.row_bytes for layer in bench.plan.layers)
    assert not bench.plan.by_layers
    assert bench.plan.arena_bytes < whole, "less than its largest map: it runs row by row"
    sliding = compile_graph(simplify(read_tflite(network)), hop=recipe.window.hop_frames).slide
    assert (sliding is not None) == ("sliding" in name)


def test_residuals_are_added() -> None:
    for name, adds in (("residual", 2), ("broadcast", 3)):
        graph = simplify(read_tflite(untrained(make_recipe(**MODELS[name]))))
        assert [op.kind for op in graph.ops].count("ADD") == adds, name


def test_an_unpadded_network_sees_every_frame_of_its_window() -> None:
    """63 → 31 → 15 → 7 rows: each counts (3 rows of the last map need 15 rows of the one before, and so on)."""
    model = build_network(make_recipe(time_padding="valid"), 3)
    heights = [layer.output.shape[1] for layer in model.layers if layer.name.endswith("_relu")]
    assert heights == [31, 15, 7]
    widths = [layer.output.shape[2] for layer in model.layers if layer.name.endswith("_relu")]
    assert widths == [10, 5, 3], "frequency is padded as ever"


def test_a_window_that_is_too_short_is_refused() -> None:
    recipe = make_recipe(time_padding="valid", filters=(4,) * 6, strides=(2,) * 4 + (1, 1))
    with pytest.raises(RecipeError, match=r"model\.strides: layer 6 has stride 1, its input 1 x 2"):
        build_network(recipe, 3)


@pytest.mark.parametrize("architecture", ["res_ds_cnn", "bc_resnet"])
def test_residual_networks_are_padded(architecture: str) -> None:
    with pytest.raises(ValueError, match="time_padding"):
        make_recipe(architecture=architecture, time_padding="valid")


def test_attention_weighs_rows_and_says_what_it_cannot() -> None:
    """One row that scores far above the others is what is left of the time axis."""
    model = build_network(make_recipe(pooling="attention"), 3)
    attention = model.get_layer("attention")
    attention.set_weights([np.full((1, 1, 10, 1), 100.0), np.zeros(1)])
    import keras

    parts = keras.Model(model.input, [model.get_layer("rows").output, model.get_layer("flat").output])
    rows, pooled = parts.predict_on_batch(np.random.default_rng(1).normal(size=(2, FRAMES, BANDS, 1)))
    best = rows[np.arange(2), rows.sum(axis=2).argmax(axis=1)]
    np.testing.assert_allclose(pooled, best, atol=1e-3)
    for problem, options in {
        "needs all rows": {"time_padding": "valid"},
        "not for bc_resnet|not for crnn": {"architecture": "crnn"},
    }.items():
        with pytest.raises(ValueError, match=problem):
            make_recipe(pooling="attention", **options)
    with pytest.raises(ValueError, match=r"quantize_steps is not for pooling"):
        Recipe.model_validate(
            {"name": "x", "model": {"pooling": "attention"}, "training": {"quantize_steps": 1}}
        )


def test_recipes_without_attention_say_nothing_of_it() -> None:
    assert "pooling" not in ModelSpec().model_dump()
