"""A bundle's network as a graph that fits its front end and its labels."""

from __future__ import annotations

import numpy as np

from stapes.errors import BundleError
from stapes.graph.ir import Graph
from stapes.graph.reader import read_tflite
from stapes.graph.simplify import simplify
from stapes.graph.support import check_supported
from stapes.recipe import Bundle


def load_graph(bundle: Bundle) -> Graph:
    """The bundle's network as a graph; raises `ModelError` when corrupt, unsupported or not fit for the front end."""
    graph = simplify(read_tflite(bundle.model, str(bundle.directory / "model.tflite")))
    check_supported(graph)
    manifest = bundle.manifest
    expected = (1, manifest.window.frames, manifest.frontend.n_features, 1)
    shape = graph.tensor(graph.inputs[0]).shape
    if len(graph.inputs) != 1 or shape != expected:
        raise BundleError(
            f"{bundle.directory}: the network takes {list(shape)}, the window gives {list(expected)}",
            hint="train the bundle again",
        )
    outputs = graph.tensor(graph.outputs[0])
    if len(graph.outputs) != 1 or int(np.prod(outputs.shape)) != len(manifest.labels):
        raise BundleError(
            f"{bundle.directory}: the network gives {list(outputs.shape)}, there are {len(manifest.labels)} labels",
            hint="train the bundle again",
        )
    return graph
