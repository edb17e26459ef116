"""The networks. Time is the first axis everywhere: the device runs them row by row as audio arrives."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from stapes.errors import RecipeError
from stapes.recipe import ModelSpec, Recipe
from stapes.training.backend import import_keras
from stapes.training.recurrent import recurrent

_MOMENTUM = 0.9
ALL_BANDS = "all_bands"
"""The layer of `frequency = "conv"`."""
ATTENTION = "attention"
"""The layer that scores rows, of `pooling = "attention"`."""


def require_network(recipe: Recipe) -> None:
    """Raise `RecipeError` for a recipe that trains no network of its own."""
    kind = recipe.model.architecture
    if kind == "dense":
        raise RecipeError(
            'model.architecture = "dense" needs a backbone', hint="give stapes train --backbone MODEL"
        )
    if kind == "imported":
        raise RecipeError(
            'model.architecture = "imported": there is nothing to train',
            hint='to train a new head on that network, set it to "dense" and give its bundle with --backbone',
        )


def build_network(
    recipe: Recipe, classes: int, *, batch: int | None = None, probabilities: bool = False
) -> Any:
    """A Keras model [batch, frames, n_features, 1] → [batch, classes]: logits, or `probabilities`.

    A 3x3 convolution, then one block of the architecture for every further entry of `filters`; then the mean
    over frequency, or a convolution over all bands; then mean and maximum over time side by side, which lets a
    short event count as much as a steady sound (or the mean of the rows weighted by attention; of `crnn` instead the
    last state of a recurrent layer over the rows); then one dense layer.
    With a `batch`, the layers are those that are converted. Raises `RecipeError` when the strides leave no map to pool.
    """
    keras = import_keras()
    layers = keras.layers
    spec = recipe.model
    inputs = keras.Input(
        (recipe.window.frames, recipe.frontend.n_features, 1), batch_size=batch, name="features"
    )
    x = inputs
    block = _BLOCKS[spec.architecture]
    for number, (filters, stride) in enumerate(zip(spec.filters, spec.strides, strict=True), start=1):
        least = 3 if spec.time_padding == "valid" else 1
        if x.shape[1] < max(stride, least) or x.shape[2] < stride:
            raise RecipeError(
                f"model.strides: layer {number} has stride {stride}, its input {x.shape[1]} x {x.shape[2]}",
                hint="use fewer or smaller strides",
            )
        x = (block if number > 1 else _plain)(x, filters, stride, spec, number)
    height, width, channels = x.shape[1:]
    if spec.architecture == "crnn":
        x = layers.Reshape((height, width * channels), name="rows")(x)
        x = recurrent(x, spec, converting=batch is not None)
    else:
        x = _end_time(_end_frequency(x, spec), spec)
    x = layers.Dropout(spec.dropout, name="dropout")(x)
    x = layers.Dense(classes, name="scores")(x)
    if probabilities:
        x = layers.Activation(spec.scores, name="probabilities")(x)
    return keras.Model(inputs, x, name=recipe.name)


def _end_frequency(x: Any, spec: ModelSpec) -> Any:
    """[batch, rows, bands, channels] → [batch, rows, 1, channels]."""
    layers = import_keras().layers
    width, channels = x.shape[2:]
    if spec.frequency == "mean":
        return mean_over_bands()(name="mean_frequency")(x)
    x = layers.Conv2D(channels, (1, width), use_bias=False, name=ALL_BANDS)(x)
    return _relu(_normalize(x, ALL_BANDS), ALL_BANDS)


def _end_time(x: Any, spec: ModelSpec) -> Any:
    """[batch, rows, 1, channels] → [batch, 2 * channels], or with attention [batch, channels]."""
    layers = import_keras().layers
    height, _, channels = x.shape[1:]
    if spec.pooling == "attention":
        scores = layers.Conv2D(1, 1, name=ATTENTION)(x)
        weights = layers.Softmax(name="attention_weights")(
            layers.Reshape((1, height), name="rows_scores")(scores)
        )
        rows = layers.Reshape((height, channels), name="rows")(x)
        weighted = layers.Dot((2, 1), name="weighted_mean")([weights, rows])
        return layers.Reshape((channels,), name="flat")(weighted)
    mean = layers.AveragePooling2D((height, 1), name="mean_time")(x)
    peak = layers.MaxPooling2D((height, 1), name="max_time")(x)
    x = layers.Concatenate(name="mean_and_max")([mean, peak])
    return layers.Reshape((2 * channels,), name="flat")(x)


def _plain(x: Any, filters: int, stride: int, spec: ModelSpec, number: int) -> Any:
    """A 3x3 convolution, batch normalisation, ReLU."""
    keras = import_keras()
    x, padding = _pad(x, stride, spec, f"conv{number}")
    x = keras.layers.Conv2D(
        filters, 3, strides=stride, padding=padding, use_bias=False, name=f"conv{number}"
    )(x)
    return _relu(_normalize(x, f"conv{number}"), f"conv{number}")


def _separable(x: Any, filters: int, stride: int, spec: ModelSpec, number: int) -> Any:
    """A strided depthwise 3x3 and a pointwise convolution, each with batch normalisation and ReLU."""
    x = _depthwise(x, stride, spec, number)
    return _relu(_pointwise(x, filters, f"pointwise{number}"), f"pointwise{number}")


def _residual(x: Any, filters: int, stride: int, spec: ModelSpec, number: int) -> Any:
    """A separable block with its input added before the last ReLU.

    Where channels or the size change, the input comes through a strided pointwise convolution.
    """
    keras = import_keras()
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _pointwise(x, filters, f"shortcut{number}", stride)
    x = _pointwise(_depthwise(x, stride, spec, number), filters, f"pointwise{number}")
    return _relu(keras.layers.Add(name=f"add{number}")([x, shortcut]), f"add{number}")


def _broadcast(x: Any, filters: int, stride: int, spec: ModelSpec, number: int) -> Any:
    """After Kim, Chang, Lee, Sung, "Broadcasted residual learning", Interspeech 2021.

    A depthwise convolution over frequency; its mean over frequency goes through one over time and comes back
    to every band. With ReLU for swish, plain for sub-spectral normalisation, and strides along time too.
    """
    keras = import_keras()
    layers = keras.layers
    shortcut = x if stride == 1 and x.shape[-1] == filters else None
    if x.shape[-1] != filters:
        x = _relu(_pointwise(x, filters, f"widen{number}"), f"widen{number}")
    kernel = (3 if stride > 1 else 1, 3)
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"frequency{number}"
    )(x)
    x = _normalize(x, f"frequency{number}")
    y = mean_over_bands()(name=f"mean{number}")(x)
    y = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False, name=f"time{number}")(y)
    y = _relu(_normalize(y, f"time{number}"), f"time{number}")
    y = _relu(_pointwise(y, filters, f"pointwise{number}"), f"pointwise{number}")
    x = layers.Add(name=f"broadcast{number}")([x, y])
    if shortcut is not None:
        x = layers.Add(name=f"add{number}")([x, shortcut])
    return _relu(x, f"add{number}")


_BLOCKS: dict[str, Callable[[Any, int, int, ModelSpec, int], Any]] = {
    "plain_cnn": _plain,
    "crnn": _plain,
    "ds_cnn": _separable,
    "res_ds_cnn": _residual,
    "bc_resnet": _broadcast,
}


def _depthwise(x: Any, stride: int, spec: ModelSpec, number: int) -> Any:
    keras = import_keras()
    name = f"depthwise{number}"
    x, padding = _pad(x, stride, spec, name)
    x = keras.layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=name)(x)
    return _relu(_normalize(x, name), name)


def _pointwise(x: Any, filters: int, name: str, stride: int = 1) -> Any:
    keras = import_keras()
    return _normalize(keras.layers.Conv2D(filters, 1, strides=stride, use_bias=False, name=name)(x), name)


def _pad(x: Any, stride: int, spec: ModelSpec, name: str) -> tuple[Any, str]:
    """What a 3x3 layer reads, and its padding. Frequency is padded either way, as TensorFlow's `same` does."""
    if spec.time_padding == "same":
        return x, "same"
    keras = import_keras()
    width = x.shape[2]
    total = max(0, (math.ceil(width / stride) - 1) * stride + 3 - width)
    sides = (total // 2, total - total // 2)
    return keras.layers.ZeroPadding2D(((0, 0), sides), name=f"{name}_pad")(x), "valid"


def _normalize(x: Any, name: str) -> Any:
    return _batch_normalization()(momentum=_MOMENTUM, name=f"{name}_norm")(x)


def _relu(x: Any, name: str) -> Any:
    return import_keras().layers.ReLU(name=f"{name}_relu")(x)


@cache
def mean_over_bands() -> Any:
    """The class of a layer [batch, rows, bands, channels] → [batch, rows, 1, channels]: the mean.

    It becomes MEAN, whose two ends have scales of their own. An AVERAGE_POOL_2D has one scale, and the converter takes
    that of the means: of the map before, every value above the largest mean would be lost.
    """
    keras = import_keras()
    base: Any = keras.layers.Layer

    class MeanOverBands(base):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return keras.ops.mean(inputs, axis=2, keepdims=True)

    return MeanOverBands


def _batch_normalization() -> Any:
    """Keras' layer; on TensorFlow with its fused kernel, which makes a step on a CPU a quarter shorter."""
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        return keras.layers.BatchNormalization
    import tensorflow as tf

    base: Any = keras.layers.BatchNormalization

    class FusedBatchNormalization(base):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not (training and self.trainable):
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
                inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
            )
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
            return outputs

    return FusedBatchNormalization


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one window: convolutions, recurrent and dense layers."""
    total = 0
    for layer in model.layers:
        cell = getattr(layer, "cell", None)
        if cell is not None:
            weights = math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)
            total += layer.input.shape[1] * weights
            continue
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(int(length) for length in kernel.shape)
    return total
