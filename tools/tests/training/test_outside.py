"""Training that begins with the first layers of an outside network, which takes sound: the same function at first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.adopt import Outside, open_outside
from stapes.datasets import Dataset, synthetic_clips
from stapes.errors import ModelError, RecipeError
from stapes.features import FixedFrontend
from stapes.features.mel import band_weights
from stapes.recipe import (
    FrontendSpec,
    ModelSpec,
    Normalization,
    Recipe,
    TrainingSpec,
    WindowSpec,
    load_recipe,
)
from stapes.training import FeaturePool, Setup, build_pool, train_fold, train_folds
from stapes.training.batches import Batches
from stapes.training.card import model_card
from stapes.training.networks import build_network
from stapes.training.transfer import begin_with

LABELS = ("clock_tick", "helicopter", "rooster")
FRAMES = 32
SPEC = FrontendSpec(
    frame_length=400,
    hop_length=160,
    spectrum="magnitude",
    n_mels=24,
    mel_scale="htk",
    mel_norm="none",
    mel_lines="mel",
    fmin=125.0,
    fmax=7500.0,
    log_floor=1e-3,
)
MODEL = {"architecture": "ds_cnn", "filters": (8, 32, 48), "strides": (2, 1, 2), "dropout": 0.0}


def make_recipe(frontend: dict[str, object] | None = None, **model: object) -> Recipe:
    return Recipe(
        name="begun",
        frontend=SPEC.model_copy(update=frontend or {}),
        normalization=Normalization(mean=0.0, std=1.0),
        window=WindowSpec(frames=FRAMES, hop_frames=8),
        model=ModelSpec(**MODEL | model),
        training=TrainingSpec(steps=2, batch=16, speeds=(1.0,)),
    )


def build_outside(spec: FrontendSpec) -> bytes:
    """As YAMNet is published: sound in, the front end inside, some weights int8 and some float, one layer more than the
    recipe's and another classifier."""
    import tensorflow as tf

    random = np.random.default_rng(1)
    samples = spec.frame_length + (FRAMES - 1) * spec.hop_length
    at = np.arange(FRAMES)[:, None] * spec.hop_length + np.arange(spec.frame_length)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.frame_length) / spec.frame_length))[None]
    turns = 2 * np.pi * np.outer(np.arange(spec.n_fft), np.arange(spec.n_fft // 2 + 1)) / spec.n_fft
    cos, sin, window = (values.astype(np.float32) for values in (np.cos(turns), np.sin(turns), window))
    bands = band_weights(spec, spec.n_fft).T.astype(np.float32)

    def drawn(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        weights = random.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
        return weights.astype(np.float32), random.uniform(-0.2, 0.2, shape[-1]).astype(np.float32)

    first, second, third, last = drawn(3, 3, 1, 8), drawn(1, 1, 8, 32), drawn(1, 1, 32, 48), drawn(48, 5)
    middle, strided = drawn(3, 3, 8, 1)[0] * 2, drawn(3, 3, 32, 1)[0] * 2

    @tf.function(input_signature=[tf.TensorSpec([1, samples], tf.float32)])
    def network(sound: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        frames = tf.gather(tf.reshape(sound, [samples]), at) * window
        padded = tf.pad(frames, [[0, 0], [0, spec.n_fft - spec.frame_length]])
        magnitude = tf.sqrt(tf.matmul(padded, cos) ** 2 + tf.matmul(padded, sin) ** 2)
        x = tf.math.log(tf.matmul(magnitude, bands) + np.float32(spec.log_floor))
        x = tf.reshape(x, [1, FRAMES, spec.n_mels, 1])
        x = tf.nn.relu(tf.nn.conv2d(x, first[0], 2, "SAME") + first[1])
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, middle, [1, 1, 1, 1], "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, second[0], 1, "SAME") + second[1])
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, strided, [1, 2, 2, 1], "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, third[0], 1, "SAME") + third[1])
        x = tf.reduce_mean(x, [1, 2])
        return x, tf.matmul(x, last[0]) + last[1]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


@pytest.fixture(scope="module")
def outside() -> Outside:
    return Outside("outside.tflite", build_outside(SPEC))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FeaturePool:
    dataset = Dataset(synthetic_clips(LABELS, 15, 16000, 1.5, seed=1), 16000)
    return build_pool(make_recipe(), dataset, tmp_path_factory.mktemp("cache"))


def windows(recipe: Recipe, pool: FeaturePool) -> np.ndarray:
    return Batches(recipe, pool, 1).batch(0)[0]


def test_it_hears_and_computes_what_the_outside_network_does(outside: Outside, pool: FeaturePool) -> None:
    import keras
    import tensorflow as tf

    recipe = make_recipe()
    model = build_network(recipe, 3)
    begin_with(model, outside, recipe, windows(recipe, pool))
    interpreter = tf.lite.Interpreter(model_content=outside.data)
    interpreter.allocate_tensors()
    embedding = next(
        place for place in interpreter.get_output_details() if place["shape"].tolist() == [1, 48]
    )
    frontend, short = FixedFrontend(SPEC), keras.Model(model.input, model.get_layer("mean_time").output)
    for clip in synthetic_clips(LABELS, 3, 16000, 1.5, seed=2):
        pcm = clip.pcm[: SPEC.samples(FRAMES)]
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], (pcm / 32768).astype(np.float32)[None]
        )
        interpreter.invoke()
        expected = interpreter.get_tensor(embedding["index"])[0]
        found = np.array(short(frontend.log_mel_float(pcm)[None, ..., None], training=False)).ravel()
        assert np.abs(expected).max() > 0.3
        # It rounds its tables and its activations to int8.
        np.testing.assert_allclose(found, expected, atol=0.08 * np.abs(expected).max())
        assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_batch_of_training_is_normalised_as_it_was(outside: Outside, pool: FeaturePool) -> None:
    """By its own statistics: those that the batch normalisation was put back with."""
    recipe = make_recipe()
    model, seen = build_network(recipe, 3), windows(recipe, pool)
    begin_with(model, outside, recipe, seen)
    plain, trained = (np.array(model(seen, training=training)) for training in (False, True))
    assert np.abs(trained - plain).mean() < 0.05 * plain.std()


@pytest.mark.parametrize(
    "model",
    [{"time_padding": "valid"}, {"strides": (2, 1, 4)}, {"filters": (8, 32)}, {"frequency": "conv"}],
)
def test_padding_the_last_stride_fewer_layers_and_another_end_are_fine(
    outside: Outside, pool: FeaturePool, model: dict[str, object]
) -> None:
    recipe = make_recipe(**({"strides": (2, 1)} if "filters" in model else {}) | model)
    network = build_network(recipe, 3)
    begin_with(network, outside, recipe, windows(recipe, pool))
    kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
    count = 2 * len(recipe.model.filters) - 1
    for kernel, layer in zip(kernels[:count], outside.layers(count), strict=True):
        np.testing.assert_array_equal(kernel, layer.kernel)


def test_the_lowest_bands_are_enough(outside: Outside) -> None:
    corners = 700 * (10 ** (np.linspace(185.1137, 2773.5625, 26) / 2595) - 1)
    outside.check_frontend(make_recipe({"n_mels": 20, "fmax": float(corners[21])}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hop_length": 320}, r"hop_length = 160 \(here 320\)"),
        (
            {"spectrum": "power", "log_floor": 1e-6},
            r"spectrum = magnitude \(here power\), log_floor = 0\.001 \(here 1e-06\)",
        ),
        ({"n_mels": 40}, r"n_mels = 24 \(here 40\)"),
        ({"log": "db"}, r"log = ln \(here db\)"),
        ({"fmax": 6000.0}, r"its mel bands are other ones than the recipe's from 125 to 6000 Hz"),
        ({"mel_lines": "hz"}, r"its mel bands are other ones.*lines hz"),
    ],
)
def test_another_front_end_is_refused(outside: Outside, changes: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        outside.check_frontend(make_recipe(changes))
    assert caught.value.message.startswith("--from outside.tflite: ")
    assert "\n" not in caught.value.message


def test_features_are_taken_as_they_are(outside: Outside) -> None:
    recipe = make_recipe().model_copy(update={"normalization": Normalization()})
    with pytest.raises(RecipeError, match=r"normalization\.mean = 0 \(here -8\), normalization\.std = 1"):
        outside.check_frontend(recipe)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"filters": (8, 32, 40)}, r"begins with the layers CONV_2D 3x3x1x8, .* 1x1x32x48, the recipe's are"),
        ({"architecture": "plain_cnn"}, "the recipe's are CONV_2D 3x3x1x8, CONV_2D 3x3x8x32"),
        ({"filters": (8, 32, 48, 48), "strides": (2, 1, 2, 1)}, "it begins with the layers"),
        ({"strides": (2, 2, 2)}, r"strides 2x2, 1x1, 1x1, 2x2, 1x1, the recipe's 2x2, 2x2"),
    ],
)
def test_other_layers_are_refused(
    outside: Outside, pool: FeaturePool, model: dict[str, object], said: str
) -> None:
    recipe = make_recipe(**model)
    with pytest.raises(RecipeError, match=said):
        begin_with(build_network(recipe, 3), outside, recipe, windows(make_recipe(), pool))


def test_a_file_that_is_no_network_of_convolutions(tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def dense(x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, np.ones((4, 3), np.float32))

    converter = tf.lite.TFLiteConverter.from_concrete_functions([dense.get_concrete_function()])
    (tmp_path / "dense.tflite").write_bytes(converter.convert())
    with pytest.raises(ModelError, match=r"--from dense\.tflite: it has no convolution"):
        open_outside(tmp_path / "dense.tflite").check_frontend(make_recipe())
    with pytest.raises(ModelError, match="cannot read"):
        open_outside(tmp_path / "missing.tflite")


def test_a_fold_begins_with_it_and_the_card_says_so(
    outside: Outside, pool: FeaturePool, tmp_path: Path
) -> None:
    recipe = make_recipe()
    begun = train_fold(recipe, pool, 1, tmp_path, start=outside)
    assert train_fold(recipe, pool, 1, tmp_path, start=outside) == begun
    assert train_fold(recipe, pool, 1, tmp_path).network != begun.network
    metrics = {
        "folds": [1],
        "float": {"per_fold": [0.5], "accuracy_mean": 0.5, "accuracy_sd": 0.0},
        "parameters": begun.parameters,
        "macs_per_window": begun.macs,
        "model_bytes": len(begun.network),
        "from": outside.name,
        "from_sha256": outside.sha256,
    }
    card = model_card(recipe, LABELS, metrics)
    assert (
        f"Began with the first 3 layers of outside.tflite (SHA-256 {outside.sha256}), a network of others"
        in card
    )
    assert "--from outside.tflite --out BUNDLE" in card


def test_what_the_recipe_begins_with_must_be_there(tmp_path: Path) -> None:
    training = TrainingSpec(start="outside.tflite")
    with pytest.raises(RecipeError, match=r"training\.start: outside\.tflite is not there to begin with"):
        train_folds(
            make_recipe().model_copy(update={"training": training}), Setup(None, tmp_path, (1,)), tmp_path
        )


def test_the_committed_recipe_begins_with_yamnet() -> None:
    models = os.environ.get("STAPES_MODELS")
    if not models or not (Path(models) / "teacher/yamnet.tflite").exists():
        pytest.skip("STAPES_MODELS=DIR with teacher/yamnet.tflite is not set")
    recipe = load_recipe(Path(__file__).parents[3] / "models/esc10-pretrained/recipe.toml")
    network = open_outside(Path(models) / "teacher/yamnet.tflite")
    network.check_frontend(recipe)
    assert [layer.kernel.shape for layer in network.layers(11)][-1] == (1, 1, 256, 256)
    assert recipe.training.start == network.name
