"""Clip accuracy of a network while training is at hand: window scores, then the vote over a clip's windows.

The vote is the device's own (`stapes.reference.vote`) on scores in floating point; the device's integers are
evaluated by `stapes evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.recipe import Recipe
from stapes.recipe.recipe import DecisionSpec
from stapes.reference import vote
from stapes.training.augment import Float32, Int64
from stapes.training.backend import import_keras
from stapes.training.batches import normalize
from stapes.training.pool import FeaturePool
from stapes.training.shards import Features
from stapes.training.transform import Transform

_STEPS = 1 << 20
"""In which confidences are compared."""


def window_starts(frames: int, recipe: Recipe) -> range:
    """First frames of the windows of a clip with `frames` frames."""
    return range(0, frames - recipe.window.frames + 1, recipe.window.hop_frames)


def window_weight(features: Features, start: int, recipe: Recipe) -> int:
    """The window's weight in the vote, at least 1."""
    square_sum = int(features.after[start + recipe.window.frames - 1] - features.before[start])
    return vote(recipe.decision.vote).weight(square_sum, recipe.window_samples)


def windows_of(
    pool: FeaturePool, recipe: Recipe, clips: Int64
) -> tuple[Float32, npt.NDArray[np.float64], Int64]:
    """Normalised windows float32[n, frames, n_features, 1], their weights [n], the clip of each [n]."""
    windows, weights, owners = [], [], []
    transform = Transform(recipe.frontend)
    for clip in clips:
        features = pool.clips[1.0][clip]
        values = transform.of_clip(features.log_mel)
        for start in window_starts(len(features.log_mel), recipe):
            windows.append(values[start : start + recipe.window.frames])
            weights.append(window_weight(features, start, recipe))
            owners.append(clip)
    stacked = normalize(np.stack(windows), recipe)[..., None]
    return stacked, np.array(weights, dtype=np.float64), np.array(owners, dtype=np.int64)


def decide(
    scores: npt.NDArray[np.floating[Any]], weights: npt.NDArray[np.float64], rule: DecisionSpec
) -> int:
    """The class that windows with these scores [n, classes] and weights [n] decide on; n ≥ 1. -1 is unknown."""
    chosen = vote(rule.vote)
    best = chosen.best(scores, weights)
    confidence = chosen.scores(scores, weights, _STEPS, _STEPS)[best]
    # A sum in floating point may miss by its rounding what it should just reach.
    return best if confidence + 1 >= chosen.threshold(rule.min_confidence, _STEPS) else -1


def clip_tags(
    scores: npt.NDArray[np.floating[Any]], weights: npt.NDArray[np.float64], thresholds: Sequence[float]
) -> npt.NDArray[np.bool_]:
    """Which classes windows with these scores [n, classes] and weights [n] reach on average: bool[classes]."""
    mean = (scores * weights[:, None]).sum(axis=0) / weights.sum()
    tags: npt.NDArray[np.bool_] = mean >= np.array(thresholds) - 1e-9  # a sum may miss by its rounding
    return tags


def clip_accuracy(
    scores: Callable[[Float32], npt.NDArray[np.floating[Any]]],
    recipe: Recipe,
    pool: FeaturePool,
    clips: Int64,
) -> float:
    """Share of `clips` (0 of none) for which the vote of `scores(windows)` [n, classes], 0 to 1, says a class of the
    clip; with tagging, all of the clip's classes and no other.
    """
    if not len(clips):
        return 0.0
    windows, weights, owners = windows_of(pool, recipe, clips)
    found = scores(windows)
    if recipe.tagging:
        least = recipe.live.thresholds_of(pool.labels)
        tags = [clip_tags(found[owners == clip], weights[owners == clip], least) for clip in clips]
        return float((np.stack(tags) == pool.labels_of(clips)).all(axis=1).mean())
    decided = [decide(found[owners == clip], weights[owners == clip], recipe.decision) for clip in clips]
    hits = [best >= 0 and bool(has[best]) for best, has in zip(decided, pool.labels_of(clips), strict=True)]
    return float(np.mean(hits))


def float_accuracy(model: Any, recipe: Recipe, pool: FeaturePool, clips: Int64) -> float:
    """Clip accuracy of a Keras model that gives logits."""
    keras = import_keras()

    def scores(windows: Float32) -> npt.NDArray[np.floating[Any]]:
        parts = [model.predict_on_batch(windows[i : i + 100]) for i in range(0, len(windows), 100)]
        logits = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]).astype(np.float64)
        if recipe.model.scores == "sigmoid":
            tags: npt.NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits))
            return tags
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: npt.NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    return clip_accuracy(scores, recipe, pool, clips)
