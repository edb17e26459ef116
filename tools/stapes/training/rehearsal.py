"""Quantisation-aware training: the network as the device will compute it, its roundings included.

The last steps of training run through a twin of the network that shares its weights. In the twin, batch normalisation
is folded into the convolutions with its running statistics; folded weights are rounded to int8, symmetric in each
output channel; the input, what every ReLU gives, the means and the logits are rounded to int8, asymmetric, in ranges
that calibration windows gave beforehand. Roundings pass gradients on as if they were not there (the straight-through
estimator), clipping does not. After Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", CVPR 2018; scales are those of the TensorFlow Lite quantisation specification.
"""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from stapes.graph.int4 import CLIPS, GREATEST, largest
from stapes.training.augment import Float32
from stapes.training.backend import import_keras
from stapes.training.networks import mean_over_bands

_LEVELS = 255
_LEAST = 1e-8


class Rehearsal:
    """The twin of a Keras network of plain or separable convolutions; `model` gives logits, as the network does.

    With `int4`, the weights of the largest layers are rounded to four bits, as `stapes.graph.int4` says. `variables`
    are the scale and zero point of each rounding of an activation; nothing is learned until `calibrate` has set them.
    """

    def __init__(self, network: Any, int4: bool = False) -> None:
        keras = import_keras()
        layers, made = keras.layers, _layers()
        self._points: list[tuple[Any, Any]] = []

        def rounding(output: Any) -> Any:
            """A rounding whose range is that of `output`, a tensor of the network."""
            grid = made.RoundedActivation()
            self._points.append((output, grid))
            return grid

        first = rounding(network.input)
        weighted = [layer for layer in network.layers if hasattr(layer, "kernel")]
        places = largest([math.prod(layer.kernel.shape) for layer in weighted]) if int4 else ()
        narrow = [weighted[place] for place in places]

        def call(layer: Any, x: Any, **options: Any) -> Any:
            if layer is network.layers[1]:
                x = first(x)
            if isinstance(layer, layers.BatchNormalization):
                return x  # folded into the convolution before it
            if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
                return made.RoundedConvolution(layer, _next(layer), layer in narrow)(x)
            if isinstance(layer, layers.Dense):
                return rounding(layer.output)(made.RoundedDense(layer)(x))
            if isinstance(layer, layers.ReLU | mean_over_bands()):
                return rounding(layer.output)(layer(x))
            if isinstance(
                layer, layers.AveragePooling2D
            ):  # over time; with the scale of the maximum beside it
                return self._points[-1][1](layer(x))
            return layer(x, **options)

        self.model = keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)
        self._ranges = keras.Model(network.input, [output for output, _ in self._points])
        self.variables = [grid.grid for _, grid in self._points]

    def calibrate(self, windows: Float32) -> None:
        """Set every range to what the network gives for normalised training windows [n, frames, n_features, 1]."""
        ops = import_keras().ops
        extremes = np.zeros((len(self._points), 2))  # every range holds 0
        for start in range(0, len(windows), 100):
            for place, values in zip(
                extremes, self._ranges(windows[start : start + 100], training=False), strict=True
            ):
                found = ops.convert_to_numpy(values)
                place[:] = min(place[0], found.min()), max(place[1], found.max())
        for variable, (least, greatest) in zip(self.variables, extremes, strict=True):
            scale = max(greatest - least, _LEAST) / _LEVELS
            variable.assign([scale, round(-128 - least / scale)])


def _next(layer: Any) -> Any:
    """The layer of the network that takes what `layer` gives (in the network, not in its twin: that comes later)."""
    return layer._outbound_nodes[0].operation


@cache
def _layers() -> Any:
    """The twin's layers. Keras is imported when training starts, so its classes are made then."""
    keras = import_keras()
    ops = keras.ops
    base: Any = keras.layers.Layer

    def rounded(x: Any) -> Any:
        return x + ops.stop_gradient(ops.round(x) - x)

    def rounded_weights(kernel: Any, axes: tuple[int, ...]) -> Any:
        """To ±127 steps; `axes` are those that share a step."""
        step = ops.stop_gradient(
            ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True), _LEAST) / 127
        )
        return rounded(kernel / step) * step

    def rounded_to_int4(kernel: Any) -> Any:
        """To ±7 steps of each output channel, the last axis."""
        matrix = ops.stop_gradient(ops.reshape(kernel, (-1, kernel.shape[-1])))
        largest = ops.maximum(ops.max(ops.abs(matrix), axis=0), _LEAST)
        steps = ops.stack([clip * largest / GREATEST for clip in CLIPS])
        nearest = ops.clip(ops.round(matrix / steps[:, None]), -GREATEST, GREATEST) * steps[:, None]
        best = ops.argmin(ops.sum(ops.square(nearest - matrix), axis=1), axis=0)
        step = ops.sum(ops.one_hot(best, len(CLIPS), axis=0) * steps, axis=0)
        return rounded(ops.clip(kernel / step, -GREATEST, GREATEST)) * step

    class RoundedActivation(base):  # type: ignore[misc]
        """To the int8 values of one scale and zero point."""

        def __init__(self) -> None:
            super().__init__()
            self.grid = self.add_weight(shape=(2,), initializer="ones", trainable=False, name="grid")

        def call(self, x: Any) -> Any:
            scale, zero_point = self.grid[0], self.grid[1]
            return (rounded(ops.clip(x / scale + zero_point, -128, 127)) - zero_point) * scale

    class RoundedConvolution(base):  # type: ignore[misc]
        """A convolution with its batch normalisation folded in, the weights rounded."""

        def __init__(self, convolution: Any, norm: Any, int4: bool = False) -> None:
            super().__init__()
            self.convolution, self.norm, self.int4 = convolution, norm, int4

        def call(self, x: Any) -> Any:
            layer, norm = self.convolution, self.norm
            gain = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
            bias = norm.beta - norm.moving_mean * gain
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                kernel = rounded_weights(layer.kernel * gain[:, None], (0, 1, 3))
                return ops.depthwise_conv(x, kernel, layer.strides, layer.padding) + bias
            folded = layer.kernel * gain
            kernel = rounded_to_int4(folded) if self.int4 else rounded_weights(folded, (0, 1, 2))
            return ops.conv(x, kernel, layer.strides, layer.padding) + bias

    class RoundedDense(base):  # type: ignore[misc]
        """A dense layer, its weights rounded."""

        def __init__(self, dense: Any) -> None:
            super().__init__()
            self.dense = dense

        def call(self, x: Any) -> Any:
            return ops.matmul(x, rounded_weights(self.dense.kernel, (0,))) + self.dense.bias

    return SimpleNamespace(
        RoundedActivation=RoundedActivation, RoundedConvolution=RoundedConvolution, RoundedDense=RoundedDense
    )
