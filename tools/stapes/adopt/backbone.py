"""A network without its classifier: what is left gives embeddings, int8 as the device computes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.adopt.fit import check_fit
from stapes.adopt.network import adopt, read_network
from stapes.errors import ModelError, RecipeError
from stapes.files import sha256
from stapes.graph import Graph, Tensor, up_to, write_tflite
from stapes.int8 import run_graph
from stapes.recipe import Bundle, FrontendSpec, Normalization, Recipe
from stapes.reference import TflmOracle

_BEHIND = ("SOFTMAX", "LOGISTIC", "RESHAPE", "SQUEEZE", "QUANTIZE")
"""What may follow a classifier."""

_CLASSIFIERS = ("FULLY_CONNECTED", "CONV_2D")
_ALIASES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


@dataclass(frozen=True, eq=False)
class Backbone:
    """From features int8 [1, frames, n_features, 1] to an embedding, the only output of `graph`."""

    name: str
    sha256: str
    """Of the file that came."""
    graph: Graph
    notes: tuple[str, ...]

    @property
    def embedding(self) -> Tensor:
        """The output: its scale and zero point are those of the embedding."""
        return self.graph.tensor(self.graph.outputs[0])

    @property
    def frames(self) -> int:
        """Of a window."""
        return self.graph.tensor(self.graph.inputs[0]).shape[1]


class Embedder:
    """Runs a backbone: the TFLM interpreter where it is installed, else the NumPy operators, which are equal."""

    def __init__(self, backbone: Backbone) -> None:
        self._graph = backbone.graph
        ours = any(op.kind.startswith("CUSTOM:") for op in backbone.graph.ops)
        tflm = TflmOracle.available() and not ours
        self._oracle = TflmOracle(write_tflite(backbone.graph)) if tflm else None

    def __call__(self, rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """The embedding int8 [n] of a window int8 [frames, n_features]."""
        graph = self._graph
        inputs = [np.ascontiguousarray(rows).reshape(graph.tensor(graph.inputs[0]).shape)]
        found = self._oracle.run(inputs) if self._oracle else run_graph(graph, inputs)
        return np.asarray(found[graph.outputs[0]], dtype=np.int8).reshape(-1)


def open_backbone(path: Path, recipe: Recipe) -> Backbone:
    """The backbone in a .tflite, or in a bundle, for the features and windows of `recipe`.

    Raises `ModelError` and `BundleError` as `adopt`, `RecipeError` where the recipe asks for other windows or features.
    """
    if path.is_dir():
        bundle = Bundle.load(path)
        manifest, data = bundle.manifest, bundle.model
        differences = [
            *_differences("frontend", manifest.frontend, recipe.frontend),
            *_differences("normalization", manifest.normalization, recipe.normalization),
        ]
        if differences:
            raise RecipeError(
                f"{path}: made for other features: {'; '.join(differences)}",
                hint="give the recipe the [frontend] and the [normalization] of that bundle",
            )
    else:
        data = read_network(path)
    network = adopt(data, path.name, recipe.frontend, scores="as-is")
    notes = check_fit(recipe, network.graph.tensor(network.graph.inputs[0]), path.name)
    if network.frames != recipe.window.frames:
        raise RecipeError(
            f"window.frames = {recipe.window.frames}: the backbone {path.name} takes windows of {network.frames}",
            hint=f"set window.frames to {network.frames}",
        )
    return Backbone(path.name, sha256(data), cut(network.graph, path.name), (*network.notes, *notes))


def cut(graph: Graph, name: str) -> Graph:
    """`graph` without its last dense layer and what follows it; all of it where it has none.

    Raises `ModelError` for a network whose classifier hangs on a whole map.
    """
    index = graph.outputs[0]
    for op in _back(graph, index, _BEHIND):
        index = op
    maker = next((op for op in graph.ops if index in op.outputs), None)
    if maker is not None and maker.kind in _CLASSIFIERS:
        index = maker.inputs[0]
        for op in _back(graph, index, _ALIASES):
            index = op
    else:
        index = graph.outputs[0]
    tensor = graph.tensor(index)
    if max(tensor.shape) != tensor.elements:
        raise ModelError(
            f"{name}: before its classifier is the map {tensor.name.partition(';')[0]} of {list(tensor.shape)}, no "
            "embedding",
            hint="give a network that pools over time and frequency before its last dense layer",
        )
    return up_to(graph, index)


def _back(graph: Graph, index: int, kinds: tuple[str, ...]) -> Iterator[int]:
    """The tensors that lead to `index` through operators of these kinds."""
    while True:
        maker = next((op for op in graph.ops if index in op.outputs), None)
        if maker is None or maker.kind not in kinds:
            return
        index = maker.inputs[0]
        yield index


def _differences(
    section: str, theirs: FrontendSpec | Normalization, ours: FrontendSpec | Normalization
) -> list[str]:
    return [
        f"{section}.{key} is {getattr(theirs, key)} there and {getattr(ours, key)} here"
        for key in type(ours).model_fields
        if getattr(theirs, key) != getattr(ours, key)
    ]
