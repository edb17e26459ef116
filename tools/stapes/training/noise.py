"""The noise that a recipe asks for and the recordings that a command gives: neither goes without the other."""

from __future__ import annotations

from pathlib import Path

from stapes.datasets import Clip, noise_clips
from stapes.errors import RecipeError
from stapes.recipe import Recipe


def open_noise(recipe: Recipe, directory: Path | None) -> list[Clip]:
    """The recordings for `training.noise_sampled`; none where the recipe does without.

    Raises `RecipeError` where it does not and there is no directory, `DataError` for one without recordings.
    """
    if not recipe.training.noise_sampled:
        return []
    if directory is None:
        raise RecipeError(
            f"training.noise_sampled = {recipe.training.noise_sampled:g} takes recordings of noise, none are given",
            hint="add --noise DIR, or leave the key out",
        )
    return noise_clips(directory, recipe.frontend.sample_rate)


def require_use(directory: Path | None, *, used: bool) -> None:
    """Raise `RecipeError` for recordings of noise that nothing asks for."""
    if directory is not None and not used:
        raise RecipeError(
            f"--noise {directory}: the recipe puts no recorded noise under its sounds",
            hint="set training.noise_sampled, or leave --noise out",
        )
