"""A classifier of the user's own, fitted on embeddings by scikit-learn, as the head of a backbone.

`stapes embed` gives the embeddings as int8; that is what trees compare and what dense layers multiply. A file of joblib
or pickle can run any code when it is read: it must be the user's own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.adopt import Backbone
from stapes.errors import ModelError, RecipeError, ToolError
from stapes.files import sha256
from stapes.graph import STATISTICS_LAG, Editor, Tensor, write_tflite
from stapes.packages import needed_for
from stapes.recipe import Recipe
from stapes.training.forest import encoded_nodes, statistics_graph
from stapes.training.head import Float64, Head, Int8, dense_layer, trees_behind

SUFFIXES = (".joblib", ".pkl", ".pickle", ".csv")
"""What is read as a classifier, not as a network."""

STATISTICS = "statistics"
"""The backbone that is no network."""

_TREES = ("RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier")
_LEAST_RANGE = 0.25


@dataclass(frozen=True, eq=False)
class OwnTrees:
    """Nodes int16 [n, 4], roots int32 [trees], as the forest operator has them."""

    nodes: npt.NDArray[np.int16]
    roots: npt.NDArray[np.int32]
    classes: int

    @property
    def parameters(self) -> int:
        """Four numbers a node."""
        return self.nodes.size

    def append(self, edit: Editor, source: int) -> int:
        """The forest operator."""
        return trees_behind(edit, source, self.nodes, self.roots, self.classes)

    def probabilities(self, embeddings: Int8) -> Float64:
        """Shares of the votes; float64 [windows, classes]."""
        found = np.zeros((len(embeddings), self.classes))
        for window, row in enumerate(embeddings):
            for at in self.roots:
                while True:
                    feature, threshold, *ways = (int(value) for value in self.nodes[at])
                    step = ways[0] if row[feature] < threshold else ways[1]
                    if step < 0:
                        found[window, -1 - step] += 1
                        break
                    at = at + step
        return found / len(self.roots)


@dataclass(frozen=True, eq=False)
class OwnLayers:
    """Dense layers with ReLU between them: weights float64 [units, inputs], biases [units], for int8 inputs as numbers.

    `centres` are the mean inputs of each layer over the windows that were at hand, `highest` its largest absolute
    outputs.
    """

    layers: tuple[tuple[Float64, Float64], ...]
    centres: tuple[Float64, ...]
    highest: tuple[float, ...]
    embedding: Tensor

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(weights.size + bias.size for weights, bias in self.layers)

    def append(self, edit: Editor, source: int) -> int:
        """FULLY_CONNECTED for each layer, and SOFTMAX."""
        scale, zero_point = self.embedding.scale, self.embedding.zero_point
        last = len(self.layers) - 1
        whole = zip(self.layers, self.centres, self.highest, strict=True)
        for number, ((weights, bias), centre, most) in enumerate(whole):
            if number == 0:  # the int8 number is real / scale + zero_point
                weights, bias = weights / scale, bias + weights.sum(axis=1) * zero_point
                centre = (centre - zero_point) * scale
            ends = (-most, most) if number == last else (0.0, most)
            source, scale = dense_layer(
                edit, source, scale, weights, bias, centre, ends, f"head/{number}", relu=number != last
            )
        made = edit.scores("head/scores", (1, len(self.layers[-1][1])))
        edit.op("SOFTMAX", (source,), (made,), beta=1.0)
        return made

    def probabilities(self, embeddings: Int8) -> Float64:
        """See `Head`."""
        logits = _outputs(self.layers, embeddings)[-1]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def statistics_backbone(recipe: Recipe) -> Backbone:
    """No network: the six integer statistics of every band over a window (docs/forest.md) as the embedding."""
    frames, bands = recipe.window.frames, recipe.frontend.n_features
    if frames <= STATISTICS_LAG:
        raise RecipeError(
            f"window.frames = {frames}: statistics need more than {STATISTICS_LAG} frames",
            hint="give --set window.frames=124, say",
        )
    graph = statistics_graph(frames, bands)
    return Backbone(STATISTICS, sha256(write_tflite(graph)), graph, ())


def read_head(
    path: Path, embedding: Tensor, windows: Callable[[], Int8] | None
) -> tuple[Head, tuple[str, ...] | None]:
    """The classifier in a file as a head for `embedding`, and its labels where it knows them.

    It is what scikit-learn or emlearn made, written by joblib or pickle, or a forest that emlearn saved as CSV.
    `windows` gives embeddings int8 [n, size] of real sounds; layers need it for the ranges of their outputs. Raises
    `ModelError`.
    """
    if path.suffix == ".csv":
        nodes, roots, leaves, features, classes = _emlearn_csv(path)
        _require_width(path, features, embedding)
        return _trees(path, nodes, roots, leaves, classes), None
    estimator = _load(path)
    steps, scaling = [estimator], None
    if type(estimator).__name__ == "Pipeline":
        *before, (_, last) = estimator.steps
        steps, scaling = [last], _scaling(path, [step for _, step in before], embedding.elements)
    (last,) = steps
    name = type(last).__name__
    labels = tuple(str(label) for label in last.classes_) if hasattr(last, "classes_") else None
    if labels is not None and all(label.lstrip("-").isdigit() for label in labels):
        labels = None
    if name in _TREES or hasattr(last, "forest_"):
        if scaling is not None:
            raise ModelError(
                f"{path}: trees behind a scaling", hint="trees need none: fit them on the embeddings"
            )
        if name in _TREES:
            _require_width(path, int(last.n_features_in_), embedding)
            with needed_for("trees of scikit-learn", "emlearn"):
                import emlearn

            classes, forest = (
                int(last.n_classes_),
                emlearn.convert(last, method="inline", dtype="int16_t").forest_,
            )
        else:
            forest = last.forest_
            classes = 1 + int(max(forest[2]))
        nodes, roots, leaves = forest
        return _trees(path, nodes, roots, leaves, classes), labels
    layers = _layers(path, last)
    if scaling is not None:
        factor, shift = scaling
        weights, bias = layers[0]
        layers[0] = (weights * factor, bias + weights @ shift)
    _require_width(path, layers[0][0].shape[1], embedding)
    if len(layers[-1][1]) == 1:  # one score for two classes
        weights, bias = layers[-1]
        layers[-1] = (np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2)
    if windows is None:
        raise ModelError(
            f"{path}: the ranges of its layers' outputs must be measured on sounds",
            hint="give --data DIR, recordings as it was fitted on",
        )
    heard = windows()
    outputs = _outputs(layers, heard)
    centres = tuple(values.mean(axis=0) for values in (heard.astype(np.float64), *outputs[:-1]))
    highest = tuple(max(float(np.abs(values).max()), _LEAST_RANGE) for values in outputs)
    return OwnLayers(tuple(layers), centres, highest, embedding), labels


def _load(path: Path) -> Any:
    with needed_for("reading a classifier", "joblib"):
        import joblib
    try:
        return joblib.load(path)
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror or error}", hint="give what joblib wrote"
        ) from error
    except ImportError as error:
        raise ToolError(
            f"{path} needs a package that is missing: {error}", hint="pip install 'stapes[train]'"
        ) from error
    except Exception as error:  # a pickle can fail in any way
        raise ModelError(
            f"{path} cannot be read: {type(error).__name__}",
            hint="write it with joblib.dump and the same scikit-learn",
        ) from error


def _trees(
    path: Path, nodes: Sequence[Sequence[Any]], roots: Sequence[int], leaves: Sequence[Any], classes: int
) -> OwnTrees:
    thresholds = [float(threshold) for _, threshold, *_ in nodes]
    if thresholds and not -128 <= min(thresholds) <= max(thresholds) <= 127:
        raise ModelError(
            f"{path}: its thresholds reach from {min(thresholds):g} to {max(thresholds):g}, and embeddings are int8",
            hint="fit it on the embeddings that `stapes embed` writes, as they are",
        )
    if any(int(leaf) != leaf or not 0 <= leaf < classes for leaf in leaves):
        raise ModelError(f"{path}: its leaves are no classes", hint="convert it without leaf_bits")
    encoded, starts = encoded_nodes(nodes, roots, leaves)
    return OwnTrees(encoded, starts, classes)


def _emlearn_csv(path: Path) -> tuple[list[list[Any]], list[int], list[int], int, int]:
    """What emlearn's `save(format="csv")` writes: ways on are relative there, leaves negative."""
    nodes: list[list[Any]] = []
    roots: list[int] = []
    leaves: list[int] = []
    single = {"f": 0, "c": 0, "lb": 0}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for kind, *values in csv.reader(file):
                if kind == "n":
                    feature, threshold, left, right = values
                    ways = [int(way) + len(nodes) if int(way) > 0 else int(way) for way in (left, right)]
                    nodes.append([int(feature), float(threshold), *ways])
                elif kind in ("r", "l"):
                    (roots if kind == "r" else leaves).append(int(values[0]))
                else:
                    single[kind] = int(values[0])
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="give what emlearn saved") from error
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} is no forest that emlearn saved: {error}", hint='save(format="csv")'
        ) from error
    ends = [-way for node in nodes for way in node[2:] if way < 0]
    if not nodes or not roots or single["lb"] or max(ends, default=0) > len(leaves):
        raise ModelError(
            f"{path} is no forest with a class at every leaf", hint="convert it without leaf_bits"
        )
    return nodes, roots, leaves, single["f"], single["c"]


def _layers(path: Path, estimator: Any) -> list[tuple[Float64, Float64]]:
    """Weights [units, inputs] and biases [units] of what multiplies."""
    name = type(estimator).__name__
    if name == "LogisticRegression":
        return [(np.asarray(estimator.coef_, np.float64), np.asarray(estimator.intercept_, np.float64))]
    if name == "MLPClassifier":
        weights, biases, activations = estimator.coefs_, estimator.intercepts_, [estimator.activation]
    elif hasattr(estimator, "weights") and hasattr(estimator, "activations"):  # emlearn.net.Wrapper
        weights, biases = estimator.weights, estimator.biases
        activations = list(estimator.activations)[:-1]
    else:
        raise ModelError(
            f"{path}: a {name} cannot be a head",
            hint=f"give a {', '.join(_TREES)}, an MLPClassifier, a LogisticRegression, or what emlearn.convert "
            "made of one",
        )
    others = sorted({str(kind) for kind in activations} - {"relu"}) if len(weights) > 1 else []
    if others:
        raise ModelError(
            f"{path}: its hidden layers end in {', '.join(others)}", hint='fit it with activation="relu"'
        )
    return [
        (np.asarray(kernel, np.float64).T, np.asarray(bias, np.float64).reshape(-1))
        for kernel, bias in zip(weights, biases, strict=True)
    ]


def _scaling(path: Path, steps: Sequence[Any], size: int) -> tuple[Float64, Float64]:
    """`x * factor + shift` of the scalings in front of a classifier."""
    factor, shift = np.ones(size), np.zeros(size)
    for step in steps:
        name = type(step).__name__
        if name == "StandardScaler":
            scale = np.ones(size) if step.scale_ is None else np.asarray(step.scale_)
            mean = np.zeros(size) if step.mean_ is None else np.asarray(step.mean_)
            factor, shift = factor / scale, (shift - mean) / scale
        elif name == "MinMaxScaler":
            factor, shift = factor * step.scale_, shift * step.scale_ + step.min_
        else:
            raise ModelError(
                f"{path}: a {name} in front of the classifier",
                hint="use StandardScaler or MinMaxScaler, or none",
            )
    return factor, shift


def _outputs(layers: Sequence[tuple[Float64, Float64]], embeddings: Int8) -> list[Float64]:
    """Of each layer, [windows, units]."""
    found: list[Float64] = []
    values = embeddings.astype(np.float64)
    for number, (weights, bias) in enumerate(layers):
        values = values @ weights.T + bias
        if number < len(layers) - 1:
            values = np.maximum(values, 0.0)
        found.append(values)
    return found


def _require_width(path: Path, size: int, embedding: Tensor) -> None:
    if size != embedding.elements:
        raise ModelError(
            f"{path}: fitted on {size} values, the embedding has {embedding.elements}",
            hint="fit it on what `stapes embed` writes for this backbone",
        )
