"""The first convolutions of an outside network, of int8, float or mixed weights: another network begins with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.adopt.network import read_network
from stapes.errors import ModelError, RecipeError
from stapes.features.mel import band_weights
from stapes.files import sha256
from stapes.graph import Graph, Op, read_tflite
from stapes.recipe import FrontendSpec, Recipe

Float32 = npt.NDArray[np.float32]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_BETWEEN = ("RELU", "RELU6", "PAD", "QUANTIZE", "DEQUANTIZE")
"""What may lie between two convolutions of a chain."""

_BAND_ERROR = 0.008
"""Largest difference of a mel weight from the recipe's, as a share of the largest weight: int8 rounds them."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution, its batch normalisation folded in."""

    kind: str
    """CONV_2D or DEPTHWISE_CONV_2D."""
    kernel: Float32
    """[height, width, inputs, outputs]; of a depthwise one [height, width, channels, 1]."""
    bias: Float32
    strides: tuple[int, int]


@dataclass(frozen=True)
class Outside:
    """A .tflite of others, whatever its edges are: features, or sound with the front end inside."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Of the file."""
        return sha256(self.data)

    @cached_property
    def _graph(self) -> Graph:
        return read_tflite(self.data, self.name)

    def layers(self, count: int) -> list[Layer]:
        """The first `count` convolutions from the input on, fewer where the chain ends before.

        Raises `ModelError` where there is none.
        """
        graph = self._graph
        found: list[Layer] = []
        op: Op | None = self._first()
        while op is not None and len(found) < count:
            found.append(_layer(graph, op))
            op = _following(graph, op)
        return found

    def check_frontend(self, recipe: Recipe) -> None:
        """Raise `RecipeError` where the first convolution was trained on other features than the recipe's.

        Of a network that takes sound everything is compared that its operators tell; the recipe may have its lowest
        bands only. One that takes features is held to their number: what they are its user knows.
        """
        spec = recipe.frontend
        told = self._told(spec)
        own = spec.model_dump() | {
            f"normalization.{key}": value for key, value in recipe.normalization.model_dump().items()
        }
        wrong = [
            f"{key} = {value:g} (here {own[key]:g})"
            if isinstance(value, float)
            else f"{key} = {value} (here {own[key]})"
            for key, value in told.items()
            if not _same(value, own[key])
        ]
        if wrong:
            raise RecipeError(
                f"--from {self.name}: it was trained on other features: {', '.join(wrong)}",
                hint="give the recipe the front end of that network (docs/training.md has YAMNet's)",
            )

    def _first(self) -> Op:
        op = next((op for op in self._graph.ops if op.kind in _CONVOLUTIONS), None)
        if op is None:
            raise ModelError(
                f"--from {self.name}: it has no convolution to begin with",
                hint="give a network of convolutions, or a bundle of this architecture",
            )
        return op

    def _told(self, spec: FrontendSpec) -> dict[str, Any]:
        """Keys of the recipe's front end and normalisation with the values that the file tells."""
        graph, first = self._graph, self._first()
        width = graph.tensor(first.inputs[0]).shape[2]
        before = graph.ops[: graph.ops.index(first)]
        if not any(op.kind == "LOG" for op in before):
            return {"n_mels": width}
        bands = next((op for op in reversed(before) if op.kind == "FULLY_CONNECTED"), None)
        if bands is None or graph.tensor(bands.inputs[1]).data is None:
            raise ModelError(
                f"--from {self.name}: it takes sound, and its mel bands are not found",
                hint="give a network that begins with features",
            )
        weights = graph.tensor(bands.inputs[1]).real_values()
        n_fft = 2 * (weights.shape[1] - 1)
        # Convolutions slide over the bands, so the lowest ones do.
        bands_here = min(spec.n_mels, len(weights))
        told: dict[str, Any] = {"n_mels": bands_here, "n_fft": n_fft, "log": "ln"}
        told["spectrum"] = "magnitude" if any(op.kind == "SQRT" for op in before) else "power"
        if len(bands.inputs) > 2 and bands.inputs[2] >= 0:
            told["log_floor"] = float(graph.tensor(bands.inputs[2]).real_values().max())
        window = next(
            (w for op in before if op.kind == "MUL" for w in _constants(graph, op) if w.size > 1), None
        )
        if window is not None:
            told["frame_length"] = window.size
            frames = graph.tensor(bands.outputs[0]).shape[0]
            samples = graph.tensor(graph.inputs[0]).elements
            if frames > 1:
                told["hop_length"] = round((samples - window.size) / (frames - 1))
        told |= {"normalization.mean": 0.0, "normalization.std": 1.0}
        if spec.n_mels == bands_here and spec.n_fft == n_fft:
            ours = band_weights(spec, n_fft)
            if np.abs(weights[:bands_here] - ours).max() > _BAND_ERROR * ours.max():
                raise RecipeError(
                    f"--from {self.name}: its mel bands are other ones than the recipe's from {spec.fmin:g} to "
                    f"{spec.fmax:g} Hz ({spec.mel_scale}, norm {spec.mel_norm}, lines {spec.mel_lines})",
                    hint="give the recipe the front end of that network (docs/training.md has YAMNet's)",
                )
        return told


def open_outside(path: Path) -> Outside:
    """The network in a .tflite; raises `ModelError`."""
    return Outside(path.name, read_network(path))


def _same(told: Any, own: Any) -> bool:
    return bool(np.isclose(told, own, rtol=1e-2)) if isinstance(told, float) else bool(told == own)


def _constants(graph: Graph, op: Op) -> Iterator[Float32]:
    for index in op.inputs:
        if index >= 0 and graph.tensor(index).data is not None:
            yield graph.tensor(index).real_values()


def _layer(graph: Graph, op: Op) -> Layer:
    kernel = _weights(graph, op.inputs[1])
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias = _weights(graph, op.inputs[2])
    else:
        bias = np.zeros(graph.tensor(op.outputs[0]).shape[-1], dtype=np.float32)
    strides = op.integer("stride_h"), op.integer("stride_w")
    return Layer(op.kind, np.ascontiguousarray(kernel.transpose(1, 2, 3, 0)), bias, strides)


def _weights(graph: Graph, index: int) -> Float32:
    """Real values of a constant, or of one that a DEQUANTIZE in front of the layer turns into floats."""
    maker = next((op for op in graph.ops if op.kind == "DEQUANTIZE" and index in op.outputs), None)
    return graph.tensor(maker.inputs[0] if maker else index).real_values()


def _following(graph: Graph, op: Op) -> Op | None:
    """The next convolution of the chain; None where it branches or goes on with something else."""
    while True:
        readers = [reader for reader in graph.ops if op.outputs[0] in reader.inputs]
        if len(readers) != 1:
            return None
        (op,) = readers
        if op.kind in _CONVOLUTIONS:
            return op
        if op.kind not in _BETWEEN:
            return None
