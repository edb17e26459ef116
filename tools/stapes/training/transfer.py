"""Begin from another bundle, or with the first layers of an outside network: its weights, as floats, in a network that
can be trained again.

The weights of a converted network have their batch normalisation folded in. It is taken out again with the
statistics of training windows: a layer that gives `z + bias` with folded weights gives the same with
`mean = E[z]`, `variance = Var[z]`, `gamma = sqrt(variance + epsilon)`, `beta = bias + mean`, and a batch of
training sees normalised values as it would have without the folding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stapes.adopt import Outside
from stapes.errors import RecipeError
from stapes.graph import Graph, Op, read_tflite, simplify
from stapes.int8.recurrent import BIASES, GATES, RECURRENT
from stapes.recipe import Bundle, Recipe
from stapes.training.augment import Float32
from stapes.training.backend import import_keras
from stapes.training.networks import ALL_BANDS, ATTENTION

_KINDS = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
    "LSTM": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "Dense": "FULLY_CONNECTED",
}


Start = bytes | Outside
"""What a network begins with: an int8 network of its architecture, or the first layers of an outside one."""


def start_network(bundle: Bundle, fold: int) -> bytes:
    """The bundle's network that left out the same fold, so that no fold meets its own clips; else its only one."""
    return bundle.files.get(f"folds/fold{fold}.tflite", bundle.model)


def start_of(start: Bundle | Outside | None, fold: int) -> Start | None:
    """What the network of `fold` begins with."""
    return start_network(start, fold) if isinstance(start, Bundle) else start


def transfer(model: Any, network: bytes, windows: Float32) -> None:
    """Put the weights of an int8 network of the same architecture into `model`.

    `windows` are normalised training windows [n, frames, n_features, 1]. The window's length and the padding along time
    may differ. A dense layer with another number of classes stays as it is. Raises `RecipeError` for a network that
    is not of this recipe's architecture and width.
    """
    keras = import_keras()
    if any(isinstance(layer, keras.layers.GRU) for layer in model.layers):
        raise RecipeError(
            "a GRU cannot begin from another bundle, nor teach: its network holds the steps, not the layer",
            hint='set model.recurrent to "lstm"',
        )
    graph = simplify(read_tflite(network, "--from"))
    ops = [op for op in graph.ops if op.kind in _KINDS.values()]
    layers = [layer for layer in model.layers if type(layer).__name__ in _KINDS]
    found = [(op.kind, _kernel(graph, op)) for op in ops]
    wanted = [(_KINDS[type(layer).__name__], tuple(_weights_of(layer).shape)) for layer in layers]
    given = [(kind, kernel.shape) for kind, kernel in found]
    if given[:-1] != wanted[:-1] or given[-1][0] != wanted[-1][0]:
        raise RecipeError(
            f"--from: its network has the layers {_listed(given)}, the recipe's {_listed(wanted)}",
            hint="give [model] the architecture and the filters of that bundle",
        )
    for layer, op, (kind, kernel) in zip(layers, ops, found, strict=True):
        if kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            layer.set_weights([kernel, _gates(graph, op, RECURRENT).T, _gates(graph, op, BIASES)])
            continue
        bias = _bias(graph, op)
        if layer.name == ATTENTION:
            layer.set_weights([kernel, bias])
            continue
        if layer is layers[-1]:
            if kernel.shape == tuple(layer.kernel.shape):
                layer.set_weights([kernel, bias])
            continue
        _set_layer(model, layer, kernel, bias, windows)


def begin_with(model: Any, outside: Outside, recipe: Recipe, windows: Float32) -> None:
    """Put the first layers of an outside network into all layers of `model` up to its last map; the rest stays random.

    `windows` are normalised windows [n, frames, n_features, 1] as training sees them, augmented: what the batch
    normalisation is put back with. The padding along time and the stride of the last layer may differ. Raises
    `RecipeError` where the layers or the features are others than the recipe's, `ModelError` for a file that is no such
    network.
    """
    outside.check_frontend(recipe)
    ends = (ALL_BANDS, ATTENTION)
    layers = [layer for layer in model.layers if type(layer).__name__ in _KINDS and layer.name not in ends][
        :-1
    ]
    found = outside.layers(len(layers))
    wanted = [(_KINDS[type(layer).__name__], tuple(_weights_of(layer).shape)) for layer in layers]
    given = [(layer.kind, layer.kernel.shape) for layer in found]
    if given != wanted:
        raise RecipeError(
            f"--from {outside.name}: it begins with the layers {_listed(given)}, the recipe's are {_listed(wanted)}",
            hint="give [model] the architecture and the filters that this network begins with",
        )
    # Behind the last layer come means and a maximum, which a map with fewer places has too.
    last = layers.index(next(layer for layer in reversed(layers) if max(layer.kernel.shape[:2]) > 1))
    strides = [tuple(layer.strides) for layer in layers]
    if any(strides[i] != found[i].strides for i in range(len(layers)) if i != last):
        raise RecipeError(
            f"--from {outside.name}: its layers have the strides {_joined(found)}, the recipe's {_joined(layers)}",
            hint="give [model] the strides that this network begins with",
        )
    for layer, given_layer in zip(layers, found, strict=True):
        _set_layer(model, layer, given_layer.kernel, given_layer.bias, windows)


def _set_layer(model: Any, layer: Any, kernel: Float32, bias: Float32, windows: Float32) -> None:
    """Folded weights into a convolution and the batch normalisation behind it: see the top of this file."""
    keras = import_keras()
    layer.set_weights([kernel])
    normalization = next(node.operation for node in layer._outbound_nodes if "norm" in node.operation.name)
    before = keras.Model(model.input, layer.output)
    parts = [before(windows[i : i + 100], training=False) for i in range(0, len(windows), 100)]
    sums = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])
    mean, variance = sums.mean(axis=(0, 1, 2)), sums.var(axis=(0, 1, 2))
    gamma = np.sqrt(variance + normalization.epsilon)
    normalization.set_weights([gamma, bias + mean, mean, variance])


def freeze(model: Any) -> None:
    """Leave only the dense layer trainable: the rest is an embedding, its normalisation fixed."""
    for layer in model.layers[:-1]:
        layer.trainable = False


def _kernel(graph: Graph, op: Op) -> Float32:
    """As Keras keeps weights: [h, w, in, out]; [h, w, in, 1] of a depthwise layer; [in, out] of a dense one;
    [in, 4 * units] of an LSTM."""
    if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        return np.ascontiguousarray(_gates(graph, op, 1).T)
    weights = graph.tensor(op.inputs[1]).real_values()
    return np.ascontiguousarray(weights.transpose(1, 2, 3, 0) if weights.ndim == 4 else weights.T)


def _gates(graph: Graph, op: Op, first: int) -> Float32:
    """Weights or biases of the gates of an LSTM, in the order that Keras has too."""
    return np.concatenate([graph.tensor(op.inputs[first + gate]).real_values() for gate in range(len(GATES))])


def _weights_of(layer: Any) -> Any:
    return layer.cell.kernel if hasattr(layer, "cell") else layer.kernel


def _bias(graph: Graph, op: Op) -> Float32:
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return np.zeros(graph.tensor(op.outputs[0]).shape[-1], dtype=np.float32)
    return graph.tensor(op.inputs[2]).real_values()


def _listed(layers: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{kind} {'x'.join(map(str, shape))}" for kind, shape in layers)


def _joined(layers: Any) -> str:
    return ", ".join("x".join(map(str, layer.strides)) for layer in layers)
