"""Random forests on statistics of the features: the baseline that every network must beat, for the smallest parts.

scikit-learn grows the trees, emlearn turns them into nodes and leaves; the model is a .tflite file with two custom
operators (`stapes.int8.forest`), so that all that follows from a bundle is the same as for a network.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import RecipeError
from stapes.graph import STATISTICS_KINDS, Graph, Op, Quantization, Tensor, read_tflite, write_tflite
from stapes.int8 import run_graph
from stapes.packages import require
from stapes.recipe import Recipe
from stapes.training.batches import normalize
from stapes.training.evaluate import clip_accuracy
from stapes.training.pool import FeaturePool
from stapes.training.transform import Transform

Int8 = npt.NDArray[np.int8]

INPUT_SCALE = 1 / 32
"""Of the normalised features: with zero point 0 they reach from -4 to 4 standard deviations."""

_NOISE_WINDOWS = 4000

STATISTICS, FOREST = "CUSTOM:stapes_statistics", "CUSTOM:stapes_forest"


def require_forest_packages() -> None:
    """Raise `ToolError` where scikit-learn or emlearn is missing."""
    require("training a forest", "sklearn", "emlearn")


def forest_nodes(forest: Any) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Nodes int16 [n, 4] and roots int32 [trees] of a fitted RandomForestClassifier, as emlearn flattens them.

    The thresholds become integers first: `x <= t` is `x < floor(t) + 1` for the integers that the features are, while
    emlearn alone would cut the fraction off and compare with `<`.
    """
    import emlearn

    return encoded_nodes(*emlearn.convert(forest, method="inline", dtype="int16_t").forest_)


def encoded_nodes(
    nodes: Sequence[Sequence[Any]], roots: Sequence[int], leaves: Sequence[Any]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """The same from emlearn's lists: nodes of feature, threshold and two children, the negative ones leaves."""
    encoded = [
        [
            feature,
            int(np.floor(threshold)) + 1,
            *(child - index if child >= 0 else -1 - int(leaves[-1 - child]) for child in children),
        ]
        for index, (feature, threshold, *children) in enumerate(nodes)
    ]
    if len(encoded) >= 1 << 15:
        raise RecipeError(
            f"model: the forest has {len(encoded)} nodes, {(1 << 15) - 1} at most",
            hint="take fewer trees or a larger min_samples_leaf",
        )
    return np.array(encoded, dtype=np.int16), np.array(roots, dtype=np.int32)


def forest_model(forest: Any, frames: int, bands: int) -> bytes:
    """The .tflite file of a fitted forest: int8 [1, frames, bands, 1] to int8 [1, classes]."""
    nodes, roots = forest_nodes(forest)
    tensors = (
        _activation(0, "features", (1, frames, bands, 1), INPUT_SCALE, 0),
        _activation(1, "statistics", (1, STATISTICS_KINDS * bands), 1.0, 0),
        Tensor(2, "nodes", nodes.shape, nodes.dtype, data=nodes, type_name="INT16"),
        Tensor(3, "roots", roots.shape, roots.dtype, data=roots, type_name="INT32"),
        _activation(4, "forest", (1, int(forest.n_classes_)), 2.0**-8, -128),
    )
    ops = (Op(0, STATISTICS, (0,), (1,)), Op(1, FOREST, (1, 2, 3), (4,)))
    return write_tflite(Graph(tensors, ops, (0,), (4,), ""))


def _activation(index: int, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    quantization = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))
    return Tensor(index, name, shape, np.dtype(np.int8), quantization, type_name="INT8")


def statistics_graph(frames: int, bands: int) -> Graph:
    """From features int8 [1, frames, bands, 1] to statistics int8 [1, 6 * bands]."""
    tensors = (
        _activation(0, "features", (1, frames, bands, 1), INPUT_SCALE, 0),
        _activation(1, "statistics", (1, STATISTICS_KINDS * bands), 1.0, 0),
    )
    return Graph(tensors, (Op(0, STATISTICS, (0,), (1,)),), (0,), (1,), "")


def statistics_of(windows: npt.NDArray[np.float32]) -> Int8:
    """The device's statistics of normalised windows float32[n, frames, bands(, 1)]; int8[n, 6 * bands]."""
    count, frames, bands = windows.shape[:3]
    graph = statistics_graph(frames, bands)
    rows = (
        np.clip(np.rint(windows / INPUT_SCALE), -128, 127).astype(np.int8).reshape(count, 1, frames, bands, 1)
    )
    found: Int8 = np.stack([run_graph(graph, [row])[1].reshape(-1).astype(np.int8) for row in rows])
    return found


def train_forest(recipe: Recipe, pool: FeaturePool, fold: int) -> tuple[Any, bytes]:
    """Grow the forest on the clips outside of `fold`, at every playing speed; the estimator and its model."""
    require_forest_packages()
    from sklearn.ensemble import RandomForestClassifier

    spec = recipe.frontend
    key, values = ("n_mfcc", "MFCC") if spec.n_mfcc else ("n_mels", "bands")
    if STATISTICS_KINDS * spec.n_features > 256:
        raise RecipeError(
            f"model: a forest takes 256 statistics, {spec.n_features} {values} give "
            f"{STATISTICS_KINDS * spec.n_features}",
            hint=f"set frontend.{key} to {256 // STATISTICS_KINDS} or less",
        )
    transform = Transform(spec)
    features: list[Int8] = []
    targets: list[npt.NDArray[np.int64]] = []
    for speed, clips in sorted(pool.clips.items()):
        # The vote hears every window; the forest learns from fewer of the resampled ones, which are much the same.
        hop = recipe.window.hop_frames * (1 if speed == 1.0 else 2)
        for clip in pool.indices(fold, held_out=False):
            rows = transform.of_clip(clips[clip].log_mel)
            starts = range(0, len(rows) - recipe.window.frames + 1, hop)
            if len(starts):
                windows = np.stack([rows[start : start + recipe.window.frames] for start in starts])
                features.append(statistics_of(normalize(windows, recipe)))
                targets.append(np.full(len(starts), pool.targets[clip]))
    forest = RandomForestClassifier(
        recipe.model.trees,
        min_samples_leaf=recipe.model.min_samples_leaf,
        random_state=recipe.training.seed,
        n_jobs=1,
    )
    forest.fit(np.concatenate(features), np.concatenate(targets))
    missing = sorted(set(range(len(pool.labels))) - set(forest.classes_.tolist()))
    if missing:
        raise RecipeError(
            f"no clip of {', '.join(pool.labels[index] for index in missing)} outside of fold {fold}",
            hint="choose another dataset.test_fold",
        )
    return forest, forest_model(forest, recipe.window.frames, recipe.frontend.n_features)


def forest_fold(recipe: Recipe, pool: FeaturePool, fold: int) -> dict[str, Any]:
    """Grow and judge one fold's forest; what `FoldResult` holds of it."""
    started = time.monotonic()
    forest, model = train_forest(recipe, pool, fold)
    graph = read_tflite(model)
    held_out = pool.indices(fold, held_out=True)

    def probabilities(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.floating[Any]]:
        found: npt.NDArray[np.float64] = forest.predict_proba(statistics_of(windows))
        return found

    def votes(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.floating[Any]]:
        rows = np.clip(np.rint(windows / INPUT_SCALE), -128, 127).astype(np.int8)
        found = [run_graph(graph, [row[None]])[graph.outputs[0]].reshape(-1) for row in rows]
        return np.stack(found).astype(np.float64) + 128

    nodes = graph.tensor(2).data
    assert nodes is not None
    return {
        "fold": fold,
        "clips": len(held_out),
        "float_accuracy": clip_accuracy(probabilities, recipe, pool, held_out),
        "int8_accuracy": clip_accuracy(votes, recipe, pool, held_out),
        "macs": 0,
        "parameters": int(nodes.size),
        "seconds": time.monotonic() - started,
        "network": model,
    }


def untrained_forest(recipe: Recipe, classes: int) -> bytes:
    """A forest that learned noise: about as many nodes as one of this recipe may have."""
    require_forest_packages()
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(0)
    inputs = random.integers(-128, 128, (_NOISE_WINDOWS, STATISTICS_KINDS * recipe.frontend.n_features))
    model = recipe.model
    forest = RandomForestClassifier(model.trees, min_samples_leaf=model.min_samples_leaf, random_state=0)
    forest.fit(inputs, np.arange(_NOISE_WINDOWS) % classes)
    return forest_model(forest, recipe.window.frames, recipe.frontend.n_features)


__all__ = ["forest_fold", "forest_model", "forest_nodes", "statistics_of", "train_forest", "untrained_forest"]
