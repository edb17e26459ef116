"""Quantisation-aware steps: the twin computes what the converted int8 network computes, and trains its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

import tensorflow as tf

from stapes.datasets import Dataset, synthetic_clips
from stapes.graph import Graph, read_tflite
from stapes.graph.int4 import int4_steps
from stapes.int8 import run_graph
from stapes.recipe import FrontendSpec, ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import FeaturePool, Interrupted, build_pool
from stapes.training.backend import make_deterministic
from stapes.training.evaluate import windows_of
from stapes.training.loop import train_network
from stapes.training.networks import build_network, count_macs
from stapes.training.quantize import calibration_windows, quantize
from stapes.training.rehearsal import Rehearsal, _layers

LABELS = ("clock_tick", "helicopter", "rooster")
NETWORKS: dict[str, dict[str, object]] = {
    "plain": {"filters": (4, 6), "strides": (2, 2)},
    "plain valid": {"filters": (4, 6, 6), "strides": (2, 1, 2), "time_padding": "valid"},
    "all bands": {"filters": (4, 6, 6), "strides": (2, 1, 2), "frequency": "conv"},
    "separable": {"architecture": "ds_cnn", "filters": (4, 6, 8), "strides": (2, 2, 1)},
    "plain int4": {"filters": (4, 6, 8), "strides": (2, 2, 1)},
    "separable int4": {"architecture": "ds_cnn", "filters": (4, 6, 8), "strides": (2, 2, 1)},
    "separable valid": {
        "architecture": "ds_cnn",
        "filters": (4, 6),
        "strides": (2, 2),
        "time_padding": "valid",
    },
}


def make_recipe(steps: int = 40, network: str = "plain", **training: object) -> Recipe:
    training.setdefault("weights", "int4" if network.endswith("int4") else "int8")
    return Recipe(
        name="small",
        frontend=FrontendSpec(n_mels=20, fmin=100.0),
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(**NETWORKS[network]),  # type: ignore[arg-type]
        training=TrainingSpec(
            **{"steps": steps, "batch": 12, "warmup_steps": 2, "speeds": (1.0,)} | training  # type: ignore[arg-type]
        ),
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 15, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def numpy(tensor: Any) -> npt.NDArray[np.float64]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def int8_logits(graph: Graph, windows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], float]:
    """Real logits of the int8 network, and their step."""
    source = graph.tensor(graph.inputs[0])
    (index,) = next(op for op in graph.ops if op.kind == "SOFTMAX").inputs
    logits = graph.tensor(index)
    quantized = np.clip(np.rint(windows / source.scale) + source.zero_point, -128, 127).astype(np.int8)
    found = np.array([run_graph(graph, [window[None]])[index][0] for window in quantized], dtype=np.float64)
    return (found - logits.zero_point) * logits.scale, float(logits.scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_twin_computes_what_the_int8_network_computes(pool: FeaturePool, name: str) -> None:
    """Within about half an int8 step of a logit on average; the float network is further away."""
    recipe = make_recipe(network=name)
    model, windows = train_network(recipe, pool, 1), calibration_windows(recipe, pool, 1)
    graph = read_tflite(quantize(model, recipe, windows))
    int4 = recipe.training.weights == "int4"
    assert {graph.tensor(op.inputs[1]).type_name for op in graph.ops if op.kind == "CONV_2D"} == (
        {"INT8", "INT4"} if int4 else {"INT8"}
    )
    twin = Rehearsal(model, int4)
    twin.calibrate(windows)
    expected, step = int8_logits(graph, windows)
    difference = np.abs(numpy(twin.model(windows, training=False)) - expected)
    assert difference.mean() < 0.75 * step
    assert difference.max() < 3 * step
    from_float = np.abs(numpy(model(windows, training=False)) - expected)
    assert difference.mean() < 0.9 * from_float.mean(), from_float.mean() / step
    assert expected.std() > 10 * step, "the logits have something to say"

    # The rounding of the input, of each ReLU, of the mean over frequency and of the logits has the converter's scale
    # and zero point.
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED")
    tensors = [graph.inputs[0], *(op.outputs[0] for op in graph.ops if op.kind in kinds)]
    wanted = [(graph.tensor(index).scale, graph.tensor(index).zero_point) for index in tensors]
    np.testing.assert_allclose([numpy(grid) for grid in twin.variables], wanted, rtol=1e-5)


def test_what_is_louder_than_every_mean_is_not_lost() -> None:
    """A band that is loud by itself: the map in front of the mean over frequency keeps its own range."""
    recipe = make_recipe()
    model = build_network(recipe, 3)
    windows = np.zeros((20, 40, 20, 1), np.float32)
    windows[:, :, 3] = np.random.default_rng(1).normal(3, 1, (20, 40, 1))
    graph = read_tflite(quantize(model, recipe, windows))
    mean = next(op for op in graph.ops if op.kind == "MEAN")
    assert graph.tensor(mean.inputs[0]).scale > 2 * graph.tensor(mean.outputs[0]).scale
    last = model.get_layer("conv2_relu").output
    import keras

    largest = numpy(keras.Model(model.input, last)(windows)).max()
    assert graph.tensor(mean.inputs[0]).scale * 255 == pytest.approx(largest, rel=0.01)


def test_the_twin_has_the_network_s_weights_and_leaves_it_as_it_is(pool: FeaturePool) -> None:
    recipe = make_recipe(2)
    model = train_network(recipe, pool, 1)
    names, macs = [layer.name for layer in model.layers], count_macs(model)
    before = [np.array(value) for value in model.get_weights()]
    twin = Rehearsal(model)
    for ours, theirs in zip(model.trainable_variables, twin.model.trainable_variables, strict=True):
        assert ours is theirs
    assert [layer.name for layer in model.layers] == names
    assert count_macs(model) == macs
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_roundings_by_hand_and_their_gradients() -> None:
    grid = _layers().RoundedActivation()
    grid.grid.assign([0.5, -28.0])
    x = tf.constant([-60.0, -50.0, -0.3, 0.0, 0.2, 0.26, 7.1, 77.5, 90.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = grid(x)
    np.testing.assert_allclose(numpy(y), [-50.0, -50.0, -0.5, 0.0, 0.0, 0.5, 7.0, 77.5, 77.5])
    np.testing.assert_array_equal(numpy(tape.gradient(y, x))[[0, 2, 4, 5, 6, 8]], [0, 1, 1, 1, 1, 0])


@pytest.mark.parametrize("depthwise", [False, True])
def test_folded_weights_have_127_steps_in_each_channel(depthwise: bool) -> None:
    """A 1x1 image of ones under a 1x1 kernel shows the folded, rounded kernel and the bias."""
    import keras

    rng = np.random.default_rng(1)
    channels, out = 3, 3 if depthwise else 4
    kind = keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D
    layer = kind(1, use_bias=False) if depthwise else kind(out, 1, use_bias=False)
    norm = keras.layers.BatchNormalization()
    norm(layer(np.zeros((1, 1, 1, channels), np.float32)))
    kernel = rng.normal(size=layer.kernel.shape).astype(np.float32)
    layer.set_weights([kernel])
    gamma, beta, mean = rng.normal(size=(3, out)).astype(np.float32)
    variance = rng.uniform(0.5, 2.0, out).astype(np.float32)
    norm.set_weights([gamma, beta, mean, variance])
    gain = gamma / np.sqrt(variance + norm.epsilon)
    flat = kernel[0, 0, :, 0][None] if depthwise else kernel[0, 0]
    folded = flat * gain
    step = np.abs(folded).max(axis=0) / 127
    rounded = np.rint(folded / step) * step
    folded_layer = _layers().RoundedConvolution(layer, norm)
    for channel in range(channels):
        image = np.zeros((1, 1, 1, channels), np.float32)
        image[..., channel] = 1.0
        weights = np.where(np.arange(out) == channel, rounded[0], 0) if depthwise else rounded[channel]
        expected = weights + beta - mean * gain
        np.testing.assert_allclose(numpy(folded_layer(image))[0, 0, 0], expected, atol=1e-5)


def test_weights_of_four_bits_have_the_converter_s_steps() -> None:
    """A 1x1 kernel whose largest weight is far from the others: it is clipped, as in the file."""
    import keras

    rng = np.random.default_rng(2)
    layer, norm = keras.layers.Conv2D(5, 1, use_bias=False), keras.layers.BatchNormalization()
    norm(layer(np.zeros((1, 1, 1, 40), np.float32)))
    kernel = rng.normal(size=layer.kernel.shape).astype(np.float32)
    kernel[0, 0, 0] *= 3
    layer.set_weights([kernel])
    norm.set_weights([np.full(5, np.sqrt(1 + norm.epsilon)), *np.zeros((2, 5)), np.ones(5)])
    real = kernel[0, 0].T
    step = int4_steps(real)[:, None]
    assert (step[:, 0] < np.abs(real).max(axis=1) / 7 * 0.99).any()
    expected = np.clip(np.rint(real / step), -7, 7) * step
    images = np.eye(40, dtype=np.float32)[:, None, None]
    got = numpy(_layers().RoundedConvolution(layer, norm, True)(images))[:, 0, 0]
    np.testing.assert_allclose(got.T, expected, atol=1e-5)


def test_every_weight_learns_and_the_statistics_rest(pool: FeaturePool) -> None:
    recipe = make_recipe(12, network="separable", quantize_steps=12, weight_decay=0.0)
    model = train_network(recipe, pool, 1)
    make_deterministic(1001)
    begun = build_network(recipe, 3)
    moving = [value for value in model.variables if "moving" in value.path]
    assert moving
    for value in moving:
        # All steps rounded: the statistics are still those of an untrained network.
        assert (numpy(value) == (1.0 if "variance" in value.path else 0.0)).all()
    for old, new in zip(begun.trainable_variables, model.trainable_variables, strict=True):
        assert not np.array_equal(numpy(old), numpy(new)), new.path


def test_rounded_steps_lower_the_loss_of_the_rounded_network(pool: FeaturePool) -> None:
    import keras

    recipe = make_recipe(20, network="separable")
    model, windows = train_network(recipe, pool, 1), calibration_windows(recipe, pool, 1)
    twin = Rehearsal(model)
    twin.calibrate(windows)
    _, _, clips = windows_of(pool, recipe, pool.indices(1, held_out=False))
    labels = np.eye(3, dtype=np.float32)[pool.targets[clips]]
    twin.model.compile(keras.optimizers.Adam(1e-2), keras.losses.CategoricalCrossentropy(from_logits=True))
    losses = []
    for _ in range(30):
        twin.model.reset_metrics()
        losses.append(float(twin.model.train_on_batch(windows, labels)))
    assert losses[-1] < 0.8 * losses[0]


def stopped_after(recipe: Recipe, pool: FeaturePool, steps: int, checkpoint: Path) -> None:
    stops = iter([False] * steps + [True])
    with pytest.raises(Interrupted):
        train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a", stop=lambda: next(stops))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_interrupted_before_at_and_after_the_beginning_it_ends_with_the_same_bits(
    pool: FeaturePool, tmp_path: Path, average: float
) -> None:
    recipe = make_recipe(14, quantize_steps=8, average=average)
    whole = train_network(recipe, pool, 1).get_weights()
    checkpoint = tmp_path / "fold1.checkpoint"
    for steps in (3, 3, 4):
        stopped_after(recipe, pool, steps, checkpoint)
    resumed = train_network(recipe, pool, 1, checkpoint=checkpoint, identity="a").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))
    plain = train_network(make_recipe(14, average=average), pool, 1).get_weights()
    assert not all(np.array_equal(a, b) for a, b in zip(whole, plain, strict=True))


def test_the_steps_before_are_those_of_ordinary_training(pool: FeaturePool, tmp_path: Path) -> None:
    for name, recipe in (("plain", make_recipe(14)), ("rounded", make_recipe(14, quantize_steps=8))):
        stopped_after(recipe, pool, 6, tmp_path / name)
    with np.load(tmp_path / "plain") as plain, np.load(tmp_path / "rounded") as rounded:
        assert len(rounded.files) == len(plain.files) + 5, "input, two ReLUs, mean, logits"
        assert all(np.array_equal(plain[name], rounded[name]) for name in plain.files)


@pytest.mark.parametrize(
    "section, problem",
    [
        ({"training": {"steps": 10, "quantize_steps": 11}}, "quantize_steps = 11 is more than steps = 10"),
        (
            {"training": {"quantize_steps": 5}, "model": {"architecture": "bc_resnet"}},
            "quantize_steps is for plain_cnn and ds_cnn, not for bc_resnet",
        ),
        (
            {"training": {"weights": "int4"}, "model": {"architecture": "crnn"}},
            'weights = "int4" is for plain_cnn, ds_cnn, res_ds_cnn, bc_resnet, not for crnn',
        ),
    ],
)
def test_impossible_rehearsals_are_refused(section: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Recipe.model_validate({"name": "x", **section})


def test_recipes_without_it_say_nothing_of_it() -> None:
    assert not {"quantize_steps", "weights"} & set(TrainingSpec().model_dump())
    assert TrainingSpec(quantize_steps=4).model_dump()["quantize_steps"] == 4
