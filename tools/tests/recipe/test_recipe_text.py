"""A recipe written as TOML reads back as the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from stapes.recipe import PcenSpec, Recipe, load_recipe, recipe_text

ROOT = Path(__file__).parents[3]
RECIPES = sorted(ROOT.glob("models/*/*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_committed_recipes_come_back(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    (tmp_path / "recipe.toml").write_text(recipe_text(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.toml") == recipe


def test_odd_labels_numbers_and_tables_come_back(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "odd",
            "dataset": {"labels": ['a "b"', "ü = 1", "c\\d", "e.f"], "skip_folds": [2, 3]},
            "frontend": {"pcen": PcenSpec(eps=1e-9).model_dump(), "log_floor": 1e-20},
            "live": {"thresholds": {'a "b"': 0.25, "e.f": 1e-7, "plain": 1.0}, "gate": True},
            "model": {"architecture": "imported"},
        }
    )
    (tmp_path / "recipe.toml").write_text(recipe_text(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.toml") == recipe
