"""The search for a board: what does not fit is never trained, resumed, the test fold unseen, the front written."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stapes.bench import cost
from stapes.cli.app import app
from stapes.cli.search import CostAndScore
from stapes.errors import RecipeError, StapesError, TooLargeError
from stapes.recipe import Recipe, load_recipe
from stapes.training import Setup
from stapes.training.search import propose, search
from stapes.training.sweep import varied

RECIPE = Recipe(name="x")
pytestmark = pytest.mark.filterwarnings("ignore")


class First:
    """In a trial's place: always the first choice or the least, but for what is given."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:
        return self.given.get(name, choices[0])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self.given.get(name, low))


def test_windows_last_as_long_and_share_rows() -> None:
    """Another hop of the front end, the same seconds; windows a multiple of the strides' product apart."""
    found = propose(First(overlap=2, layers=5, strided=3, growth=2.0), RECIPE)
    spec, window = RECIPE.frontend, RECIPE.window
    assert found["model.strides"] == [2, 2, 2, 1, 1]
    assert found["model.filters"] == [4, 8, 16, 32, 64]
    assert found["window.hop_frames"] % 8 == 0
    seconds = found["window.frames"] * found["frontend.hop_length"]
    assert seconds == pytest.approx(window.frames * spec.hop_length, rel=0.02)


def test_every_bound_is_a_possible_recipe() -> None:
    for given in ({}, {"bands": 40, "layers": 5, "strided": 4, "first_filters": 32, "growth": 2.0}):
        varied(RECIPE, propose(First(**given), RECIPE))


def sized(recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
    filters = sum(recipe.model.filters)
    return filters / 1000, 100 * filters, 10 * filters, 1000.0 * filters


def test_the_front_and_what_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed (extra 'scale')")

    asked: list[Recipe] = []

    def limited(recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
        asked.append(recipe)
        if len(asked) % 4 == 1:
            raise TooLargeError("the firmware does not fit", {"FLASH": 8})
        if len(asked) % 4 == 2:
            raise RecipeError("RAM: over the budget")
        return sized(recipe, place)

    found = search(RECIPE, 16, tmp_path, limited)
    assert (len(found.candidates), found.refused, len(asked)) == (8, 8, 16)
    assert all(each.on_front for each in found.candidates), "the larger, the better: none beats another"
    for each in found.candidates:
        assert sized(each.recipe, tmp_path)[:2] == (each.accuracy, each.flash_bytes)

    def never(recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
        raise TooLargeError("the firmware does not fit", {"FLASH": 8})

    with pytest.raises(StapesError, match="all 2 trials were refused, the last: the firmware does not fit"):
        search(RECIPE, 2, tmp_path / "never", never)


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed (extra 'scale')")
    places: list[Path] = []

    def interrupted(recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
        places.append(place)
        if len(places) == 2:
            raise KeyboardInterrupt
        return sized(recipe, place)

    with pytest.raises(KeyboardInterrupt):
        search(RECIPE, 3, tmp_path, interrupted)
    assert len(search(RECIPE, 3, tmp_path, interrupted).candidates) == 3
    assert places[2] == places[1], "the same trial in the same place: training goes on from its checkpoint"
    assert len(places) == 4
    assert len(search(RECIPE, 3, tmp_path, interrupted).candidates) == 3
    assert len(places) == 4, "three were asked for, three are there"


def test_what_does_not_fit_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights or arena over the budget: not even built; the application over it: built, not trained."""
    happened: list[str] = []
    plan = cost.Cost(2, 10, 10, 1.0, weights_bytes=3000, arena_bytes=500)

    def built(found: cost.Cost, *_: Any, **__: Any) -> cost.Cost:
        happened.append("built")
        return replace(found, flash_bytes=30_000, ram_bytes=9_000)

    def counted(found: cost.Cost, *_: Any, **__: Any) -> cost.Cost:
        happened.append("counted")
        return replace(found, instructions_per_second=1e6)

    def trained(_: object, recipe: Recipe, place: Path) -> float:
        happened.append("trained")
        return 0.75

    monkeypatch.setattr("stapes.training.untrained_network", lambda *_: b"")
    monkeypatch.setattr("stapes.bench.cost.plan_cost", lambda *_: plan)
    monkeypatch.setattr("stapes.bench.cost.measure_image", built)
    monkeypatch.setattr("stapes.bench.cost.measure_instructions", counted)
    monkeypatch.setattr("stapes.cli.sweep.FoldScore.train", trained)
    path = tmp_path / "r.toml"

    def judge(**budget: Any) -> tuple[float, float, float, float]:
        happened.clear()
        limits = "\n".join(f"{key} = {json.dumps(value)}" for key, value in budget.items())
        path.write_text(f'name = "x"\n[dataset]\nkind = "synthetic"\n[budget]\n{limits}\n')
        return CostAndScore(Setup(None, tmp_path))(load_recipe(path), tmp_path)

    for budget, until in (
        ({"flash": "2 KiB"}, []),
        ({"ram": "400 B"}, []),
        ({"flash": "20 KiB"}, ["built"]),
        ({"ram": "8 KiB"}, ["built"]),
        ({"cpu": 0.001}, ["built", "counted"]),
    ):
        with pytest.raises(RecipeError, match="the budget is"):
            judge(**budget)
        assert happened == until
    assert judge(flash="30 KiB", ram="9 KiB", cpu=0.5) == (0.75, 30_000, 9_000, 1e6)
    assert happened == ["built", "counted", "trained"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are told the board's limits and never the test fold; the front's recipes have it again."""
    pytest.importorskip("optuna", reason="Optuna is not installed (extra 'scale')")
    asked: list[Recipe] = []

    def judge(_: object, recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
        asked.append(recipe)
        return sized(recipe, place)

    monkeypatch.setattr(CostAndScore, "__call__", judge)
    path = tmp_path / "r.toml"
    path.write_text('name = "x"\n[dataset]\nkind = "synthetic"\n')
    out = tmp_path / "out"
    (out).mkdir()
    (out / "front-9.toml").write_text("of an earlier search")
    result = CliRunner().invoke(
        app,
        [
            *("search", str(path), "--board", "stm32f072b_discovery", "--ram", "8 KiB", "--trials", "3"),
            *("--out", str(out), "--json", str(tmp_path / "j.json")),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    hidden = load_recipe(path).dataset.test_fold
    for recipe in asked:
        assert recipe.dataset.test_fold != hidden and hidden in recipe.dataset.skip_folds
        assert (recipe.budget.flash_bytes, recipe.budget.ram_bytes) == (131_072, 8192)
    found = json.loads((tmp_path / "j.json").read_text())
    assert (found["trained"], found["refused"]) == (3, 0)
    assert sorted(out.glob("front-*.toml")) == sorted(Path(row["recipe"]) for row in found["front"])
    for row in found["front"]:
        assert tomllib.loads(Path(row["recipe"]).read_text())["budget"]["board"] == "stm32f072b_discovery"
        assert load_recipe(Path(row["recipe"])).dataset.test_fold == hidden
    assert "<svg" in (out / "front.svg").read_text()
