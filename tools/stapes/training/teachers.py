"""Trained networks that answer for every batch; another network learns from their answers (see `losses`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stapes.errors import BundleError, RecipeError
from stapes.recipe import Bundle, Recipe, load_recipe
from stapes.training.augment import Float32
from stapes.training.backend import import_keras
from stapes.training.networks import build_network
from stapes.training.pool import NONE_LEFT_OUT
from stapes.training.transfer import start_network, transfer


@dataclass(frozen=True)
class Teacher:
    """The int8 network of a bundle that left out the fold in training, and the recipe it was made with."""

    recipe: Recipe
    network: bytes


def open_teacher(bundle: Bundle, recipe: Recipe, labels: Sequence[str], fold: int) -> Teacher:
    """The bundle's network that left out `fold`, for a student of `recipe`.

    Raises `RecipeError` naming what differs where the two do not take the same windows or do not tell the same
    classes apart, and `BundleError` where every network of the bundle has met the clips of `fold`.
    """
    own, manifest = load_recipe(bundle.directory / "recipe.toml"), bundle.manifest
    same = {
        "labels": manifest.labels == tuple(labels),
        "[frontend]": manifest.frontend == recipe.frontend,
        "[normalization]": manifest.normalization == recipe.normalization,
        "window.frames": manifest.window.frames == recipe.window.frames,
        "model.scores": own.model.scores == recipe.model.scores,
    }
    differing = [name for name, equal in same.items() if not equal]
    if differing:
        raise RecipeError(
            f"the teacher {bundle.directory} differs from {recipe.name} in {', '.join(differing)}",
            hint="a teacher answers for the student's own windows: make these the same",
        )
    if "forest" in (own.model.architecture, recipe.model.architecture):
        raise RecipeError(
            f"the teacher {bundle.directory} and {recipe.name}: a forest neither teaches nor learns",
            hint="choose another [model] architecture",
        )
    name = f"folds/fold{fold}.tflite"
    if fold != NONE_LEFT_OUT and name not in manifest.files:
        raise BundleError(
            f"the teacher {bundle.directory} has no network that left out fold {fold} ({name} is missing)",
            hint="train it with `stapes train … --folds all`",
        )
    return Teacher(own, start_network(bundle, fold))


class Teachers:
    """An ensemble of float networks; none of their weights changes."""

    def __init__(self, teachers: Sequence[Teacher], recipe: Recipe, classes: int, windows: Float32) -> None:
        """`recipe` is the student's; `windows` are normalised training windows, as `transfer` takes them."""
        self._recipe, self._models = recipe, []
        for teacher in teachers:
            model = build_network(teacher.recipe, classes)
            transfer(model, teacher.network, windows)
            model.compile(jit_compile=False)
            self._models.append(model)

    def answers(self, features: Float32) -> Float32:
        """Mean over the teachers of softmax (or sigmoid) of logits / temperature: [batch, classes]."""
        ops = import_keras().ops
        logits = np.stack([ops.convert_to_numpy(model.predict_on_batch(features)) for model in self._models])
        scaled = logits.astype(np.float64) / self._recipe.training.temperature
        if self._recipe.model.scores == "sigmoid":
            # 1 / (1 + exp(-x)) without overflow.
            found = 0.5 * (1.0 + np.tanh(0.5 * scaled))
        else:
            powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
            found = powers / powers.sum(axis=-1, keepdims=True)
        mean: Float32 = found.mean(axis=0).astype(np.float32)
        return mean
