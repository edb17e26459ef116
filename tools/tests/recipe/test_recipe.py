"""Recipes: every key is checked, every problem named at once, and the page about them is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from stapes.errors import RecipeError
from stapes.files import canonical_json, sha256
from stapes.recipe import Recipe, load_recipe
from stapes.recipe.reference import recipe_reference

ROOT = Path(__file__).parents[3]


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def test_only_a_name_is_needed(tmp_path: Path) -> None:
    assert load(tmp_path, 'name = "x"') == Recipe(name="x")


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        """
        name = "my-sounds_2"
        [dataset]
        subset = "all"
        test_fold = 3
        [frontend]
        sample_rate = 8000
        fmax = 4000
        [normalization]
        mean = -5
        [window]
        frames = 50
        [model]
        filters = [4, 8]
        strides = [2, 1]
        [training]
        speeds = [1, 1.1]
        [decision]
        vote = "mean"
        """,
    )
    assert recipe.dataset.test_fold == 3
    assert recipe.frontend.fmax == 4000.0
    assert recipe.model.filters == (4, 8)
    assert recipe.training.speeds == (1.0, 1.1)
    assert recipe.normalization.mean == -5.0
    assert recipe.window_samples == 512 + 49 * 320


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "name: Field required"),
        ('name = "X"', "name: "),
        ('name = "../x"', "name: "),
        ('name = "x"\ncolour = 1', "colour: unknown key"),
        ('name = "x"\n[training]\nstep = 1', "training.step: unknown key"),
        ('name = "x"\n[training]\nsteps = "64"', "training.steps: "),
        ('name = "x"\n[training]\nsteps = 2.5', "training.steps: "),
        ('name = "x"\n[training]\nsteps = true', "training.steps: "),
        ('name = "x"\n[training]\nsteps = 0', "training.steps: "),
        ('name = "x"\n[training]\nseed = -1', "training.seed: "),
        ('name = "x"\n[training]\nspeeds = []', "training.speeds: "),
        ('name = "x"\n[training]\nspeeds = [1.0, 0.0]', "training.speeds.1: "),
        ('name = "x"\n[training]\nlearning_rate = inf', "training.learning_rate: "),
        ('name = "x"\n[training]\nmix = 1.5', "training.mix: "),
        ('name = "x"\n[normalization]\nmean = nan', "normalization.mean: "),
        ('name = "x"\n[normalization]\nstd = 0.0', "normalization.std: "),
        ('name = "x"\n[model]\nfilters = [8, "9"]\nstrides = [1, 1]', "model.filters.1: "),
        ('name = "x"\n[model]\nfilters = [8]', "filters has 1 entries and strides 5"),
        ('name = "x"\n[model]\nfilters = []\nstrides = []', "filters has 0 entries"),
        ('name = "x"\n[model]\nfilters = [0]\nstrides = [1]', "at least 1"),
        ('name = "x"\n[model]\narchitecture = "transformer"', "model.architecture: "),
        ('name = "x"\n[dataset]\ntest_fold = 21', "dataset.test_fold: "),
        ('name = "x"\n[dataset]\nskip_folds = [1]', "test_fold = 1 is one of skip_folds"),
        ('name = "x"\n[dataset]\nlabels = ["a", "a"]', "a repeated label"),
        ('name = "x"\n[dataset]\nother = "rest"', "needs labels"),
        ('name = "x"\n[dataset]\nlabels = ["a"]\nother = "a"', "is one of labels"),
        ('name = "x"\n[dataset]\nkind = "mp3"', "dataset.kind: "),
        ('name = "x"\n[decision]\nmin_confidence = 2', "decision.min_confidence: "),
        ('name = "x"\n[frontend]\nlog_floor = 0.0', "frontend.log_floor: "),
        ('name = "x"\n[frontend]\nfmax = 8001.0', "above half the sample rate"),
        ('name = "x"\n[budget]\nram = "64 kB"', "budget.ram: "),
        ('name = "x"\n[budget]\nram = 65536', "budget.ram: "),
        ('name = "x"\n[budget]\ncpu = 1.5', "budget.cpu: "),
        (
            'name = "x"\n[model]\narchitecture = "crnn"\nfrequency = "conv"',
            'frequency = "conv" is for plain_cnn',
        ),
        ('name = "x"\nname = "y"', "is not TOML"),
    ],
)
def test_impossible_values_are_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, text)
    assert problem in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_budget_is_read_and_changes_no_hash(tmp_path: Path) -> None:
    text = '[budget]\nflash = "256 KiB"\nram = "1 MiB"\ncpu = 0.25\nclock_mhz = 80.0\n'
    budget = load(tmp_path, f'name = "x"\n{text}').budget
    assert (budget.flash_bytes, budget.ram_bytes) == (262144, 1048576)
    assert budget.instructions_per_second == 20e6
    plain = Recipe(name="x")
    assert (plain.budget.flash_bytes, plain.budget.ram_bytes) == (None, None)
    assert plain.budget.instructions_per_second is None
    assert not {"budget", "live"} & plain.model_dump().keys()
    assert "labels" not in plain.model_dump()["dataset"]
    assert "budget" not in plain.model_dump(exclude={"budget"}), "as the identity of a training leaves it out"


def test_later_options_are_written_where_they_are_used_only() -> None:
    plain = Recipe(name="x")
    assert {"silence", "noise_sampled"}.isdisjoint(plain.model_dump(mode="json")["training"])
    assert "frequency" not in plain.model_dump(mode="json")["model"]
    training = {"silence": 0.1, "noise_sampled": 0.2}
    used = Recipe.model_validate({"name": "x", "training": training, "model": {"frequency": "conv"}})
    written = used.model_dump(mode="json")
    assert written["model"]["frequency"] == "conv"
    assert (written["training"]["silence"], written["training"]["noise_sampled"]) == (0.1, 0.2)
    assert Recipe.model_validate(written, strict=False) == used


@pytest.mark.parametrize("training", [{}, {"silence": 0.1}])
def test_a_recipe_can_be_written_without_its_defaults(training: dict[str, float]) -> None:
    """As `stapes sweep` writes the best one."""
    recipe = Recipe.model_validate({"name": "x", "training": training, "model": {"dropout": 0.1}})
    short = recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    assert short["model"] == {"dropout": 0.1}
    assert short.get("training", {}) == training
    assert Recipe.model_validate(short, strict=False) == recipe


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, 'name = "x"\nhue = 1\n[training]\nsteps = 0\n[window]\nframes = 0\n')
    for problem in ("hue: unknown key", "training.steps: ", "window.frames: "):
        assert problem in caught.value.message


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "b.toml")


def test_the_page_about_recipes_is_up_to_date() -> None:
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert page == recipe_reference(), "run: python -m stapes.recipe.reference > docs/recipe.md"


def test_every_key_is_explained() -> None:
    assert "| None |" not in recipe_reference()


def test_committed_recipes_are_valid() -> None:
    recipes = sorted((ROOT / "models").glob("*/recipe.toml"))
    assert recipes
    for path in recipes:
        assert load_recipe(path).name == path.parent.name


FULL = {
    "dataset": {"kind": "folders", "labels": ["a"]},
    "frontend": {"pcen": {}},
    "model": {"architecture": "ds_cnn", "trees": 7},
    "training": {"bag": 2},
    "live": {"windows": 3},
}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, "8c3f8150b5e8e0394fed959b911f8b57b86767338eb4b72530e4e17357a60543"),
        (FULL, "8c8bcd3e30d7bdd661b4ba09b902eaf1aa8e375647ec2952c1f933e38c1d08d1"),
    ],
)
def test_hashes_of_recipes_stay(sections: dict[str, object], expected: str) -> None:
    """What was trained once is not trained again because of a new key: it belongs in its section's `later`."""
    recipe = Recipe.model_validate({"name": "x", **sections}, strict=False)
    assert sha256(canonical_json(recipe.model_dump(mode="json"))) == expected


def test_defaults_of_a_part_that_was_asked_for_are_not_lost() -> None:
    recipe = Recipe.model_validate({"name": "x", "frontend": {"pcen": {}}})
    short = recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    assert Recipe.model_validate(short, strict=False) == recipe
