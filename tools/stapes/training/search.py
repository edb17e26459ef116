"""Searching for a front end and a network that fit a board: several objectives, by the mechanism of `sweep`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stapes.files import canonical_json, sha256
from stapes.recipe import Recipe
from stapes.training.sweep import refused_trials, trained_trials, try_out, varied

Judge = Callable[[Recipe, Path], tuple[float, float, float, float]]
"""Accuracy, flash in bytes, RAM in bytes, instructions a second of a recipe.

Raises `RecipeError` or `TooLargeError`, untrained, for one that is impossible, over its budget or too large.
"""

_DIRECTIONS = ("maximize", "minimize", "minimize", "minimize")
_MOST_FILTERS = 128


@dataclass(frozen=True)
class Candidate:
    """A trained trial."""

    name: str
    recipe: Recipe
    changed: dict[str, Any]
    accuracy: float
    """Of the int8 network on the validation fold, 0 to 1."""
    flash_bytes: int
    ram_bytes: int
    instructions_per_second: float
    on_front: bool
    """No other is at least as good in all four and better in one."""
    accuracy_sd: float = 0.0
    """Of one fold there is none; for the drawing."""
    best_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Searched:
    """All trials of a search: `candidates` were trained, `refused` never."""

    candidates: tuple[Candidate, ...]
    refused: int


def search(
    recipe: Recipe,
    trials: int,
    directory: Path,
    judge: Judge,
    *,
    data: str = "",
    tell: Callable[[int, dict[str, Any], tuple[float, ...] | None], None] = lambda number, changed, values: (
        None
    ),
) -> Searched:
    """Search until `trials` trials are done, earlier ones of the same search included.

    `recipe` is that of `for_search`, with the budget in it. An interrupted trial is taken up again, as in `sweep`.
    `data` is the hash of the recordings. Raises `StapesError` where every trial was refused.
    """
    content = sha256(canonical_json(["search", recipe.model_dump(mode="json"), data]))
    study = try_out(
        f"{recipe.name}-{content[:12]}",
        lambda trial: propose(trial, recipe),
        judge,
        recipe,
        trials,
        directory,
        directions=_DIRECTIONS,
        tell=tell,
    )
    front = {trial.number for trial in study.best_trials}
    candidates = tuple(
        Candidate(
            name=f"trial {trial.number}",
            recipe=varied(recipe, trial.user_attrs["changed"]),
            changed=trial.user_attrs["changed"],
            accuracy=trial.values[0],
            flash_bytes=int(trial.values[1]),
            ram_bytes=int(trial.values[2]),
            instructions_per_second=trial.values[3],
            on_front=trial.number in front,
        )
        for trial in trained_trials(study)
    )
    return Searched(candidates, len(refused_trials(study)))


def propose(trial: Any, recipe: Recipe) -> dict[str, Any]:
    """Keys of front end and network for an Optuna trial; windows last as long as the recipe's, up to rounding.

    Windows begin a multiple of the strides' product apart, so that those of `time_padding = "valid"` share rows.
    """
    spec = recipe.frontend
    bands = trial.suggest_categorical("bands", (20, 24, 32, 40))
    overlap = trial.suggest_categorical("overlap", (1, 2))
    architecture = trial.suggest_categorical("architecture", ("plain_cnn", "ds_cnn"))
    padding = trial.suggest_categorical("time_padding", ("same", "valid"))
    layers = trial.suggest_int("layers", 2, 5)
    strided = trial.suggest_int("strided", 1, 4)
    first = trial.suggest_int("first_filters", 4, 32, step=4)
    growth = trial.suggest_categorical("growth", (1.0, 1.25, 1.5, 2.0))
    hop_length = spec.frame_length // overlap
    strides = [2 if number < strided else 1 for number in range(layers)]
    product = math.prod(strides)
    faster = spec.hop_length / hop_length
    return {
        "frontend.n_mels": bands,
        "frontend.hop_length": hop_length,
        "window.frames": max(1, round(recipe.window.frames * faster)),
        "window.hop_frames": product * max(1, round(recipe.window.hop_frames * faster / product)),
        "model.architecture": architecture,
        "model.filters": [
            min(_MOST_FILTERS, 4 * round(first * growth**number / 4)) for number in range(layers)
        ],
        "model.strides": strides,
        "model.time_padding": padding,
    }
