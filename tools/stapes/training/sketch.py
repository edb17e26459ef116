"""A recipe's network before training: random weights, the shapes and so the costs of the trained one."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from stapes.recipe import Recipe
from stapes.training.backend import require_packages
from stapes.training.forest import untrained_forest
from stapes.training.head import untrained_head
from stapes.training.networks import require_network

_CALIBRATION_WINDOWS = 4
_LEAST_SPREAD = 1e-4


def untrained_network(recipe: Recipe, classes: int, backbone: Path | None = None) -> bytes:
    """A full-int8 .tflite of the recipe's network; raises `RecipeError` where it cannot be built.

    In a process of its own: TensorFlow stays out of this one, and what it says while converting unsaid.
    """
    if backbone is not None:
        return untrained_head(recipe, classes, backbone)
    require_network(recipe)
    if recipe.model.architecture == "forest":
        return untrained_forest(recipe, classes)
    require_packages()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_hush) as executor:
        return executor.submit(_build, recipe, classes).result()


def _hush() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _build(recipe: Recipe, classes: int) -> bytes:
    from stapes.training.networks import build_network
    from stapes.training.quantize import quantize

    shape = (_CALIBRATION_WINDOWS, recipe.window.frames, recipe.frontend.n_features, 1)
    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model = build_network(recipe, classes)
    # Random weights of many layers leave next to nothing of their input, too little for the scale of a softmax's input.
    spread = float(np.std(model.predict_on_batch(windows)))
    if 0 < spread < _LEAST_SPREAD:
        scores = model.layers[-1]
        scores.kernel.assign(scores.kernel / spread)
    return quantize(model, recipe, windows)
