"""A new classifier on the embeddings of a backbone: one dense layer, or a forest; both are a few operators more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stapes.adopt import Backbone, open_backbone
from stapes.compiler import compile_graph
from stapes.datasets import Dataset
from stapes.definitions import limit
from stapes.errors import DataError, RecipeError
from stapes.graph import Editor, Graph, Quantization, Tensor, read_tflite, simplify, write_tflite
from stapes.int8 import run_graph
from stapes.progress import Progress, no_progress
from stapes.recipe import Recipe
from stapes.training.embeddings import EmbeddingPool, build_embeddings
from stapes.training.evaluate import decide
from stapes.training.folds import FoldResult
from stapes.training.forest import FOREST, forest_nodes, require_forest_packages
from stapes.training.pool import NONE_LEFT_OUT

Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]

_ITERATIONS = 2000

_LEAST_RANGE = 0.25
"""Of logits: below it no class is more likely than another, and a softmax wants no finer steps."""


class Head(Protocol):
    """A fitted classifier of embeddings."""

    @property
    def parameters(self) -> int:
        """Numbers that it learned."""

    def append(self, edit: Editor, source: int) -> int:
        """Put its operators behind the tensor `source`, [1, n]; the tensor of its scores."""

    def probabilities(self, embeddings: Int8) -> Float64:
        """In floating point, [windows, n] to [windows, classes]."""


@dataclass(frozen=True, eq=False)
class DenseHead:
    """`real = (embedding - zero_point) * scale`, scores = softmax(real @ weights.T + bias); float64 [classes, n]."""

    weights: Float64
    bias: Float64
    embedding: Tensor
    centre: Float64
    """Mean of the training windows' embeddings, real values [n]."""
    logits: tuple[float, float]
    """Least and greatest of the training windows."""

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights.size + self.bias.size

    def append(self, edit: Editor, source: int) -> int:
        """FULLY_CONNECTED, int8 weights with a scale a class, and SOFTMAX."""
        logits, _ = dense_layer(
            edit, source, self.embedding.scale, self.weights, self.bias, self.centre, self.logits, "head"
        )
        made = edit.scores("head/scores", (1, len(self.weights)))
        edit.op("SOFTMAX", (logits,), (made,), beta=1.0)
        return made

    def probabilities(self, embeddings: Int8) -> Float64:
        """See `Head`."""
        logits = _real(embeddings, self.embedding) @ self.weights.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class ForestHead:
    """Trees that compare the int8 values of an embedding."""

    forest: Any

    @property
    def parameters(self) -> int:
        """Four numbers a node."""
        return int(forest_nodes(self.forest)[0].size)

    def append(self, edit: Editor, source: int) -> int:
        """The forest operator."""
        return trees_behind(edit, source, *forest_nodes(self.forest), int(self.forest.n_classes_))

    def probabilities(self, embeddings: Int8) -> Float64:
        """See `Head`."""
        return np.asarray(self.forest.predict_proba(embeddings), np.float64)


def dense_layer(
    edit: Editor,
    source: int,
    scale: float,
    weights: Float64,
    bias: Float64,
    centre: Float64,
    ends: tuple[float, float],
    name: str,
    *,
    relu: bool = False,
) -> tuple[int, float]:
    """FULLY_CONNECTED of real weights [units, inputs] behind a tensor of `scale`, its output between `ends`.

    int8 weights with a scale a unit; `centre` [inputs] is the mean of the real inputs. Gives the output's tensor and
    its scale.
    """
    widest = np.maximum(np.abs(weights).max(axis=1), 1e-9)
    kernel_scale = (widest / 127).astype(np.float32).astype(np.float64)
    kernel = np.clip(np.rint(weights / kernel_scale[:, None]), -127, 127).astype(np.int8)
    # What rounding the weights adds on average belongs to the bias.
    bias = bias + (weights - kernel * kernel_scale[:, None]) @ centre
    product = (float(np.float32(scale)) * kernel_scale).astype(np.float32)
    offset = np.clip(np.rint(bias / product), -(2**31), 2**31 - 1).astype(np.int32)
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    step = float(np.float32(max(high - low, _LEAST_RANGE) / 255))
    zero_point = int(np.clip(np.rint(-128 - low / step), -128, 127))
    made = edit.tensor(_tensor(f"{name}/output", None, step, zero_point, (1, len(weights))))
    constants = (
        edit.tensor(_tensor(f"{name}/weights", kernel, kernel_scale, 0)),
        edit.tensor(_tensor(f"{name}/bias", offset, product, 0)),
    )
    edit.op(
        "FULLY_CONNECTED",
        (source, *constants),
        (made,),
        activation="RELU" if relu else "NONE",
        weights_format=0,
        keep_num_dims=0,
    )
    return made, step


def trees_behind(
    edit: Editor, source: int, nodes: npt.NDArray[np.int16], roots: npt.NDArray[np.int32], classes: int
) -> int:
    """The forest operator behind a tensor of features; the tensor of its scores."""
    made = edit.scores("forest", (1, classes))
    constants = tuple(
        edit.tensor(Tensor(0, name, values.shape, values.dtype, data=values, type_name=kind))
        for name, values, kind in (("nodes", nodes, "INT16"), ("roots", roots, "INT32"))
    )
    edit.op(FOREST, (source, *constants), (made,))
    return made


def fit_dense(
    embeddings: Int8, targets: npt.NDArray[np.int64], classes: int, embedding: Tensor, recipe: Recipe
) -> DenseHead:
    """Multinomial logistic regression on standardised embeddings, by scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    real = _real(embeddings, embedding)
    mean, deviation = real.mean(axis=0), real.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    model = LogisticRegression(C=recipe.model.head_c, max_iter=_ITERATIONS, random_state=recipe.training.seed)
    model.fit((real - mean) / deviation, targets)
    weights, bias = model.coef_ / deviation, model.intercept_.copy()
    bias -= weights @ mean
    if classes == 2:  # scikit-learn has one score for two classes
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    logits = real @ weights.T + bias
    return DenseHead(weights, bias, embedding, mean, (float(logits.min()), float(logits.max())))


def fit_forest(
    embeddings: Int8, targets: npt.NDArray[np.int64], classes: int, embedding: Tensor, recipe: Recipe
) -> ForestHead:
    """A random forest on the int8 values themselves, by scikit-learn."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        recipe.model.trees,
        min_samples_leaf=recipe.model.min_samples_leaf,
        random_state=recipe.training.seed,
        n_jobs=1,
    )
    forest.fit(embeddings, targets)
    return ForestHead(forest)


_FITS: dict[str, Callable[..., Head]] = {"dense": fit_dense, "forest": fit_forest}


def require_head(recipe: Recipe, backbone: Backbone) -> None:
    """Raise `RecipeError` for a recipe that trains no head, or one that this backbone is too wide for."""
    if recipe.model.architecture not in _FITS:
        raise RecipeError(
            f'model.architecture = "{recipe.model.architecture}" trains a whole network, and --backbone brings one',
            hint=f"set it to {' or '.join(_FITS)}, or leave --backbone out",
        )
    most, size = limit("FOREST_FEATURES"), backbone.embedding.elements
    if recipe.model.architecture == "forest" and size > most:
        raise RecipeError(
            f"{backbone.name}: its embedding has {size} values, a forest takes {most}",
            hint='set model.architecture to "dense"',
        )
    require_forest_packages()


def with_head(backbone: Backbone, head: Head) -> bytes:
    """The .tflite of a backbone and a head."""
    return write_tflite(_append(backbone.graph, head))


def _append(graph: Graph, head: Head) -> Graph:
    edit = Editor(graph)
    source, tensor = graph.outputs[0], graph.tensor(graph.outputs[0])
    if tensor.shape != (1, tensor.elements):
        flat = edit.activation(tensor, "embedding", (1, tensor.elements))
        edit.op("RESHAPE", (source, edit.integers("embedding shape", (1, tensor.elements))), (flat,))
        source = flat
    return edit.finished(outputs=(head.append(edit, source),))


def train_heads(
    recipe: Recipe,
    dataset: Dataset,
    backbone: Backbone,
    cache: Path,
    folds: Sequence[int] | None = None,
    progress: Progress = no_progress,
    finished: Callable[[FoldResult], None] = lambda result: None,
    *,
    final: bool = False,
) -> tuple[EmbeddingPool, list[FoldResult]]:
    """One head a fold on the embeddings of the clips outside of it; the backbone is the same in all.

    A `final` one, the last, is of all clips.

    Interrupted, the next run takes from `cache` what was embedded. Raises `DataError` and `RecipeError`.
    """
    require_head(recipe, backbone)
    dataset.require_trainable(tagging=False)
    missing = sorted(set(folds or ()) - set(dataset.folds))
    if missing or len(dataset.folds) < 2:
        raise DataError(
            f"the data set has the folds {list(dataset.folds)}, not fold {missing or 'two of them'}",
            hint="choose one of them with --folds and dataset.test_fold",
        )
    pool = build_embeddings(recipe, dataset, backbone, cache, progress)
    results = []
    chosen = sorted(folds) if folds is not None else list(dataset.folds)
    for fold in [*chosen, *([NONE_LEFT_OUT] if final else [])]:
        results.append(_train(recipe, pool, backbone, fold))
        finished(results[-1])
    return pool, results


def _train(recipe: Recipe, pool: EmbeddingPool, backbone: Backbone, fold: int) -> FoldResult:
    started = time.monotonic()
    inside = pool.indices(fold, held_out=False)
    parts = [(clips[clip].embeddings, pool.targets[clip]) for clips in pool.clips.values() for clip in inside]
    embeddings = np.concatenate([part for part, _ in parts])
    targets = np.concatenate([np.full(len(part), target) for part, target in parts])
    classes = len(pool.labels)
    absent = sorted(set(range(classes)) - set(targets.tolist()))
    if absent:
        raise RecipeError(
            f"no clip of {', '.join(pool.labels[index] for index in absent)} outside of fold {fold}",
            hint="choose another dataset.test_fold",
        )
    head = _FITS[recipe.model.architecture](embeddings, targets, classes, backbone.embedding, recipe)
    network = with_head(backbone, head)
    held_out = pool.indices(fold, held_out=True)
    plan = compile_graph(simplify(read_tflite(network)), recipe.name)
    return FoldResult(
        fold=fold,
        clips=len(held_out),
        float_accuracy=_accuracy(head.probabilities, recipe, pool, held_out),
        int8_accuracy=_accuracy(_Int8Head(backbone.embedding, head), recipe, pool, held_out),
        macs=plan.macs,
        parameters=head.parameters,
        seconds=time.monotonic() - started,
        network=network,
    )


class _Int8Head:
    """A head's operators alone, in the device's arithmetic."""

    def __init__(self, embedding: Tensor, head: Head) -> None:
        source = Tensor(
            0,
            "embedding",
            (1, embedding.elements),
            np.dtype(np.int8),
            embedding.quantization,
            type_name="INT8",
        )
        self._graph = _append(Graph((source,), (), (0,), (0,), ""), head)

    def __call__(self, embeddings: Int8) -> Float64:
        index = self._graph.outputs[0]
        scores = [run_graph(self._graph, [row[None]])[index].reshape(-1) for row in embeddings]
        return np.stack(scores).astype(np.float64) + 128


def _accuracy(
    scores: Callable[[Int8], Float64], recipe: Recipe, pool: EmbeddingPool, clips: npt.NDArray[np.int64]
) -> float:
    if not len(clips):
        return 0.0
    hits = []
    for clip in clips:
        heard = pool.clips[1.0][clip]
        decided = decide(scores(heard.embeddings), heard.weights.astype(np.float64), recipe.decision)
        hits.append(decided == pool.targets[clip])
    return float(np.mean(hits))


def untrained_head(recipe: Recipe, classes: int, path: Path) -> bytes:
    """The network of a backbone with a head that learned noise: the shapes, and so the costs, of the trained one."""
    backbone = open_backbone(path, recipe)
    require_head(recipe, backbone)
    count = max(200, 20 * classes)
    noise = np.random.default_rng(0).integers(-128, 128, (count, backbone.embedding.elements)).astype(np.int8)
    fit = _FITS[recipe.model.architecture]
    quick = recipe.model_copy(update={"model": recipe.model.model_copy(update={"head_c": 1e-4})})
    return with_head(backbone, fit(noise, np.arange(count) % classes, classes, backbone.embedding, quick))


def _real(embeddings: Int8, embedding: Tensor) -> Float64:
    return np.asarray((embeddings.astype(np.float64) - embedding.zero_point) * embedding.scale)


def _tensor(
    name: str,
    data: npt.NDArray[Any] | None,
    scale: float | npt.NDArray[np.floating[Any]],
    zero_point: int,
    shape: tuple[int, ...] = (),
) -> Tensor:
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    zero_points = np.full(len(scales), zero_point, np.int64)
    quantization = Quantization(scales, zero_points, 0 if len(scales) > 1 else None)
    dtype = np.dtype(np.int8) if data is None else data.dtype
    kind = "INT32" if dtype == np.int32 else "INT8"
    return Tensor(0, name, shape if data is None else data.shape, dtype, quantization, data, kind)


__all__ = ["DenseHead", "ForestHead", "train_heads", "untrained_head", "with_head"]
