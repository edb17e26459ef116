"""The networks. Time is the first axis everywhere: the device runs them row by row as audio arrives."""

from __future__ import annotations

import math
from typing import Any

from stapes.errors import RecipeError
from stapes.recipe import Recipe
from stapes.training.backend import import_keras

_MOMENTUM = 0.9


def build_network(recipe: Recipe, classes: int, *, batch: int | None = None, softmax: bool = False) -> Any:
    """A Keras model [batch, frames, n_mels, 1] → [batch, classes]: logits, or probabilities with `softmax`.

    3x3 convolutions with batch normalisation and ReLU; then the mean over frequency; then mean and maximum
    over time side by side, which lets a short event count as much as a steady sound; then one dense layer.
    Raises `RecipeError` when the strides leave no map to pool.
    """
    keras = import_keras()
    layers = keras.layers
    spec = recipe.model
    inputs = keras.Input((recipe.window.frames, recipe.frontend.n_mels, 1), batch_size=batch, name="features")
    x = inputs
    for number, (filters, stride) in enumerate(zip(spec.filters, spec.strides, strict=True), start=1):
        if stride > min(x.shape[1:3]):
            raise RecipeError(
                f"model.strides: layer {number} has stride {stride}, its input {x.shape[1]} x {x.shape[2]}",
                hint="use fewer or smaller strides",
            )
        if spec.architecture == "ds_cnn" and number > 1:
            x = layers.DepthwiseConv2D(
                3, strides=stride, padding="same", use_bias=False, name=f"depthwise{number}"
            )(x)
            x = _normalize(x, f"depthwise{number}")
            x = layers.Conv2D(filters, 1, use_bias=False, name=f"pointwise{number}")(x)
            x = _normalize(x, f"pointwise{number}")
        else:
            x = layers.Conv2D(
                filters, 3, strides=stride, padding="same", use_bias=False, name=f"conv{number}"
            )(x)
            x = _normalize(x, f"conv{number}")
    height, width = x.shape[1:3]
    x = layers.AveragePooling2D((1, width), name="mean_frequency")(x)
    mean = layers.AveragePooling2D((height, 1), name="mean_time")(x)
    peak = layers.MaxPooling2D((height, 1), name="max_time")(x)
    x = layers.Concatenate(name="mean_and_max")([mean, peak])
    x = layers.Reshape((2 * spec.filters[-1],), name="flat")(x)
    x = layers.Dropout(spec.dropout, name="dropout")(x)
    x = layers.Dense(classes, name="scores")(x)
    if softmax:
        x = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, x, name=recipe.name)


def _normalize(x: Any, name: str) -> Any:
    keras = import_keras()
    x = _batch_normalization()(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _batch_normalization() -> Any:
    """Keras' layer; on TensorFlow with its fused kernel, which makes a step on a CPU a quarter shorter."""
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        return keras.layers.BatchNormalization
    import tensorflow as tf

    base: Any = keras.layers.BatchNormalization

    class FusedBatchNormalization(base):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training:
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
                inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
            )
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
            return outputs

    return FusedBatchNormalization


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one window: convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(int(length) for length in kernel.shape)
    return total
