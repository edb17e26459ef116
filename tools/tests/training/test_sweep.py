"""The search: honest folds, impossible and too large trials refused, taken up where it was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from sound_trees import write_noise

from stapes.datasets import noise_clips, open_dataset
from stapes.errors import RecipeError, StapesError, ToolError
from stapes.recipe import DatasetSpec, Recipe
from stapes.training.sweep import Found, Range, _name, content_hash, for_search, sweep, varied

RECIPE = Recipe(name="x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.mix=0.3..0.9", Range("training.mix", 0.3, 0.9)),
        ("training.learning_rate=1e-4..1e-2:log", Range("training.learning_rate", 1e-4, 1e-2, True)),
        ("training.steps=100..400", Range("training.steps", 100, 400)),
        ("model.filters=[[8, 16], [4]]", Range("model.filters", choices=("[8, 16]", "[4]"))),
        ('decision.vote=["mean", "energy"]', Range("decision.vote", choices=('"mean"', '"energy"'))),
    ],
)
def test_ranges(text: str, expected: Range) -> None:
    assert Range.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a=", "a=1", "a=2..1", "a=x..y", "a=0..1:log", "a=1..2:lin", "a=[]", "=1..2"]
)
def test_bad_ranges(text: str) -> None:
    with pytest.raises(RecipeError, match="not a range") as caught:
        Range.parse(text)
    assert "KEY=LOW" in caught.value.hint


def test_keys_are_changed_and_checked() -> None:
    found = varied(RECIPE, {"training.mix": 0.5, "model.filters": [4, 8], "model.strides": [2, 2]})
    assert (found.training.mix, found.model.filters) == (0.5, (4, 8))
    assert found.training.steps == RECIPE.training.steps
    with pytest.raises(RecipeError, match=r"training\.colour: unknown key"):
        varied(RECIPE, {"training.colour": 1})
    with pytest.raises(RecipeError, match="filters has 1 entries"):
        varied(RECIPE, {"model.filters": [4]})


def test_the_test_fold_is_left_out_of_every_trial() -> None:
    found = for_search(RECIPE, (1, 2, 3, 4, 5)).dataset
    assert (found.test_fold, found.skip_folds) == (2, (1,))
    found = for_search(RECIPE, (1, 2, 3, 4, 5), validate=5).dataset
    assert (found.test_fold, found.skip_folds) == (5, (1,))
    speech = Recipe(name="x", dataset=DatasetSpec(skip_folds=(2,)))
    with pytest.raises(RecipeError, match="no fold"):
        for_search(speech, (1, 2, 3))
    for wrong in (1, 9):
        with pytest.raises(RecipeError, match=f"no fold {wrong} to validate on"):
            for_search(RECIPE, (1, 2, 3), validate=wrong)


pytestmark = pytest.mark.filterwarnings("ignore")


def optuna() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed (extra 'scale')")


MIX = (Range("training.mix", 0.0, 1.0),)


def near(recipe: Recipe, place: Path) -> float:
    return 1.0 - abs(recipe.training.mix - 0.7)


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_the_best_is_found_and_kept(tmp_path: Path, storage: str) -> None:
    optuna()
    url = f"sqlite:///{tmp_path}/sweep.db" if storage == "sqlite" else ""

    def search(trials: int) -> tuple[Found, list[int]]:
        told: list[int] = []
        found = sweep(
            RECIPE, MIX, trials, tmp_path, near, storage=url, tell=lambda number, *rest: told.append(number)
        )
        return found, told

    first, told = search(4)
    assert told == [0, 1, 2, 3]
    assert (first.trials, first.refused) == (4, 0)
    assert first.recipe.training.mix == first.changed["training.mix"]
    assert first.score == pytest.approx(near(first.recipe, tmp_path))
    again, told = search(4)
    assert told == [] and again == first, "four were asked for, four are there"
    more, told = search(12)
    assert len(told) == 8
    assert more.score >= first.score


def test_an_interrupted_trial_is_taken_up_in_its_directory(tmp_path: Path) -> None:
    optuna()
    begun: list[tuple[float, Path]] = []

    def interrupted(recipe: Recipe, place: Path) -> float:
        begun.append((recipe.training.mix, place))
        if len(begun) == 3:
            raise KeyboardInterrupt
        return near(recipe, place)

    with pytest.raises(KeyboardInterrupt):
        sweep(RECIPE, MIX, 5, tmp_path, interrupted)
    found = sweep(RECIPE, MIX, 5, tmp_path, interrupted)
    assert found.trials == 5
    assert begun[3] == begun[2], "the same values in the same place: training goes on from its checkpoint"
    assert len(begun) == 6


def test_impossible_and_too_large_trials_are_refused_and_counted(tmp_path: Path) -> None:
    optuna()
    ranges = (Range.parse("model.filters=[[8, 8], [64, 64], [4]]"),)
    base = varied(RECIPE, {"model.filters": [8, 8], "model.strides": [2, 2]})

    def limited(recipe: Recipe, place: Path) -> float:
        if recipe.model.filters[0] > 32:
            raise RecipeError("flash: over the budget")
        return 0.5

    found = sweep(base, ranges, 12, tmp_path, limited)
    assert found.changed == {"model.filters": [8, 8]}
    assert found.trials + found.refused == 12
    assert found.refused > 0

    def never(recipe: Recipe, place: Path) -> float:
        raise RecipeError("flash: over the budget")

    with pytest.raises(StapesError, match="all 2 trials were refused, the last: flash"):
        sweep(base, (Range("training.mix", 0.0, 1.0),), 2, tmp_path, never)


def test_another_search_in_the_same_place_is_its_own(tmp_path: Path) -> None:
    optuna()
    sweep(RECIPE, MIX, 2, tmp_path, near)
    other = sweep(RECIPE, (Range("training.mix", 0.0, 0.5),), 2, tmp_path, near)
    assert other.trials == 2
    told: list[float | None] = []
    for data in ("some recordings", "others"):
        sweep(
            RECIPE, MIX, 2, tmp_path, near, data=data, tell=lambda number, changed, score: told.append(score)
        )
    assert len(told) == 4, "trials of other recordings say nothing"


def test_a_search_is_of_its_recordings(tmp_path: Path) -> None:
    for label in ("dog", "fan"):
        for number in range(3):
            write_noise(tmp_path / label / f"{number}.wav", 0.2, seed=ord(label[0]) + number)

    def found(directory: Path = tmp_path, folds: int = 3, noise: Path | None = None) -> str:
        dataset = open_dataset(directory, DatasetSpec(kind="folders", folds=folds), 16000)
        return content_hash(dataset, noise_clips(noise, 16000) if noise else ())

    first = found()
    assert found() == first
    assert len({first, found(folds=2), found(noise=tmp_path / "dog"), found(noise=tmp_path / "fan")}) == 4
    names = {_name(RECIPE, MIX, data) for data in ("", first, found(folds=2))}
    assert len(names) == 3
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert found(moved) == first, "where they lie does not matter"
    write_noise(moved / "dog" / "1.wav", 0.2, seed=99)
    assert found(moved) != first


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ToolError, match=r"stapes\[scale\]"):
        sweep(RECIPE, MIX, 1, tmp_path, near)
