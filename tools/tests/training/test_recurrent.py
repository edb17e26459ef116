"""Convolutions with a GRU or an LSTM behind them: they learn, and the device computes the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.bench.model import bench_model
from stapes.compiler import Plan, compile_graph
from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import RecipeError, ToolError
from stapes.graph import read_tflite, simplify
from stapes.int8 import initial_state, run_graph
from stapes.recipe import FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.targets import require_target
from stapes.training import FeaturePool, build_pool, train_fold
from stapes.training.backend import make_deterministic
from stapes.training.folds import FoldResult
from stapes.training.networks import build_network, count_macs
from stapes.training.quantize import calibration_windows, quantize
from stapes.training.transfer import transfer

LABELS = ("clock_tick", "helicopter", "rooster")


def make_recipe(recurrent: str = "lstm", steps: int = 80, frames: int = 40, **training: object) -> Recipe:
    return Recipe(
        name="small",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=frames, hop_frames=20),
        model=ModelSpec(architecture="crnn", filters=(6, 8), strides=(2, 2), recurrent=recurrent, units=12),
        training=TrainingSpec(
            **{"steps": steps, "batch": 16, "warmup_steps": 5, "speeds": (1.0,), "mix": 0.0} | training
        ),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 20, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", params=["lstm", "gru"])
def trained(
    request: pytest.FixtureRequest, pool: FeaturePool, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, FoldResult]:
    recipe = make_recipe(request.param)
    return recipe, train_fold(recipe, pool, 1, tmp_path_factory.mktemp("work"))


def plan_of(recipe: Recipe) -> Plan:
    """The plan of a network with random weights."""
    make_deterministic(1)
    windows = np.random.default_rng(1).normal(size=(2, recipe.window.frames, 20, 1)).astype(np.float32)
    return compile_graph(simplify(read_tflite(quantize(build_network(recipe, 3), recipe, windows))))


def test_it_learns_and_the_int8_network_follows(trained: tuple[Recipe, FoldResult]) -> None:
    recipe, result = trained
    assert result.float_accuracy >= 0.9
    assert result.int8_accuracy >= 0.9
    kinds = {op.kind for op in simplify(read_tflite(result.network)).ops}
    assert ("UNIDIRECTIONAL_SEQUENCE_LSTM" in kinds) == (recipe.model.recurrent == "lstm")


@pytest.mark.parametrize("target", ["host", "qemu:mps2-an386"])
def test_the_target_computes_it_bit_for_bit(
    trained: tuple[Recipe, FoldResult], target: str, tmp_path: Path
) -> None:
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    bench = bench_model(trained[1].network, target, tmp_path, inputs=4)
    assert bench.equal, bench.different_layers


def test_memory_follows_kernels_and_state_and_not_the_window() -> None:
    """An LSTM is one layer, whatever the window; the steps of a GRU are layers, with counters of 4 B each."""
    plans = {
        (kind, frames): plan_of(make_recipe(kind, frames=frames))
        for kind in ("lstm", "gru")
        for frames in (40, 80)
    }
    assert not any(plan.by_layers for plan in plans.values())
    assert plans["lstm", 80].arena_bytes == plans["lstm", 40].arena_bytes
    assert len(plans["lstm", 80].layers) == len(plans["lstm", 40].layers)
    bytes_and_layers = [(plan.arena_bytes, len(plan.layers)) for plan in (plans["gru", 40], plans["gru", 80])]
    more, layers = np.diff(bytes_and_layers, axis=0)[0]
    assert more == 4 * layers
    assert 120 <= layers <= 140, "about 13 a step"


def test_macs_are_counted() -> None:
    # 40 x 20 → 20 x 10 x 6 → 10 rows of 5 x 8; 12 units with 4 or 3 gates; 12 → 3.
    front = 20 * 10 * 6 * 9 + 10 * 5 * 8 * 9 * 6
    for kind, gates in (("lstm", 4), ("gru", 3)):
        model = build_network(make_recipe(kind), 3)
        assert count_macs(model) == front + 10 * gates * 12 * (40 + 12) + 12 * 3


def test_training_can_begin_with_an_lstm_and_not_with_a_gru(
    pool: FeaturePool, trained: tuple[Recipe, FoldResult]
) -> None:
    recipe, result = trained
    model, windows = build_network(recipe, 3, probabilities=True), calibration_windows(recipe, pool, 1)
    if recipe.model.recurrent == "gru":
        with pytest.raises(RecipeError, match="a GRU cannot begin from another bundle"):
            transfer(model, result.network, windows)
        return
    transfer(model, result.network, windows)
    graph = read_tflite(result.network)
    source = graph.tensor(graph.inputs[0])
    quantized = np.clip(np.rint(windows / source.scale) + source.zero_point, -128, 127).astype(np.int8)
    scores = [
        run_graph(graph, [window[None]], initial_state(graph))[graph.outputs[0]][0] for window in quantized
    ]
    expected = (np.array(scores).astype(float) + 128) / 256
    got = model.predict_on_batch(windows)
    assert np.abs(got - expected).mean() < 0.02
    assert np.abs(got - expected).max() < 0.15


def test_recipes_of_other_networks_say_nothing_of_it() -> None:
    assert {"recurrent", "units"} <= set(ModelSpec(architecture="crnn").model_dump())
    for architecture in ("plain_cnn", "forest", "dense", "imported"):
        assert not {"recurrent", "units"} & set(ModelSpec(architecture=architecture).model_dump())


@pytest.mark.parametrize(
    "section, problem",
    [
        ({"model": {"time_padding": "valid"}}, "crnn begins every window with an empty state"),
        ({"training": {"quantize_steps": 5}}, "quantize_steps is for plain_cnn and ds_cnn, not for crnn"),
    ],
)
def test_what_it_cannot_have_is_refused(section: dict[str, dict[str, object]], problem: str) -> None:
    model = {"architecture": "crnn", **section.get("model", {})}
    with pytest.raises(ValueError, match=problem):
        Recipe.model_validate({"name": "x", **section, "model": model})
