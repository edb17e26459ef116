"""A bundle's network as a graph that fits its front end and its labels."""

from __future__ import annotations

import numpy as np

from stapes.definitions import limit, limits
from stapes.errors import BundleError
from stapes.graph.ir import Graph
from stapes.graph.reader import read_tflite
from stapes.graph.simplify import simplify
from stapes.graph.support import check_supported
from stapes.recipe import Bundle


def load_graph(bundle: Bundle) -> Graph:
    """The bundle's network as a graph.

    Raises `ModelError` when it is corrupt or unsupported, `BundleError` when it does not fit front end or labels.
    """
    count = len(bundle.manifest.labels)
    if count > limit("CLASSES"):
        raise BundleError(
            f"{bundle.directory}: {limits()['CLASSES'].exceeded(count)}", hint="leave out some of the labels"
        )
    graph = simplify(read_tflite(bundle.model, str(bundle.directory / "model.tflite")))
    check_supported(graph)
    manifest = bundle.manifest
    expected = (1, manifest.window.frames, manifest.frontend.n_features, 1)
    shape = graph.tensor(graph.inputs[0]).shape
    # A network with state is kept as it came, with axes of one where its converter put them.
    fits = shape == expected or (graph.states and _long(shape) == _long(expected))
    if len(graph.inputs) != 1 or not fits:
        raise BundleError(
            f"{bundle.directory}: the network takes {list(shape)}, the window gives {list(expected)}",
            hint="train the bundle again",
        )
    outputs = graph.tensor(graph.outputs[0])
    if len(graph.outputs) != 1 or int(np.prod(outputs.shape)) != count:
        raise BundleError(
            f"{bundle.directory}: the network gives {list(outputs.shape)}, there are {count} labels",
            hint="train the bundle again",
        )
    return graph


def _long(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]
