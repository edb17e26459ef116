"""`stapes sweep`: search for better settings, on folds that are not the test fold."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import (
    CacheOption,
    JsonOption,
    ValidateOption,
    console,
    goes_on,
    progress_bar,
    save_file,
    save_json,
)

if TYPE_CHECKING:
    from stapes.recipe import Recipe
    from stapes.training import Setup


def sweep(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe to start from.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Trials, the search's journal, and best.toml.")
    ],
    vary: Annotated[
        list[str],
        typer.Option("--vary", metavar="KEY=VALUES", help="LOW..HIGH, LOW..HIGH:log or [A, B]; repeat it."),
    ],
    trials: Annotated[
        int, typer.Option("--trials", min=1, metavar="N", help="How many, earlier ones included.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option("--noise", metavar="DIR", help="Recordings of noise, for training.noise_sampled."),
    ] = None,
    validate: ValidateOption = None,
    storage: Annotated[
        str,
        typer.Option(
            "--storage", metavar="URL", help="Database, e.g. sqlite:///sweep.db; default: a journal."
        ),
    ] = "",
    cache: CacheOption = None,
    json: JsonOption = None,
) -> None:
    """Search with Optuna. Trials never see dataset.test_fold; a recipe over its budget is refused untrained.

    After Ctrl-C the same command goes on; the same command in several terminals searches together.
    """
    from stapes.datasets import noise_clips
    from stapes.packages import needed_for
    from stapes.recipe import load_recipe
    from stapes.training import Setup, default_cache
    from stapes.training.backend import require_packages
    from stapes.training.noise import require_use
    from stapes.training.sweep import Range, content_hash, for_search, varied
    from stapes.training.sweep import sweep as search

    with needed_for("a search", "tomli_w"):
        import tomli_w
    asked = load_recipe(recipe)
    ranges = [Range.parse(text) for text in vary]
    varies = any(each.key == "training.noise_sampled" for each in ranges)
    require_use(noise, used=bool(asked.training.noise_sampled) or varies)
    setup = Setup(data, cache or default_cache(), jobs=os.cpu_count() or 1, noise=noise)
    setup.open_noise(asked)
    require_packages()
    dataset = setup.open_dataset(asked)
    dataset.require_trainable(tagging=asked.tagging)
    base = for_search(asked, dataset.folds, validate)
    console.print(
        f"trials are judged by fold {base.dataset.test_fold}; fold {asked.dataset.test_fold} stays unseen"
    )

    if asked.model.architecture != "forest":
        console.print(f"what TensorFlow says goes to {out / 'trial-*/foldN.log'}", soft_wrap=True)

    def tell(number: int, changed: dict[str, Any], score: float | None) -> None:
        verdict = "refused" if score is None else f"{score:.1%}"
        values = ", ".join(f"{key} = {value}" for key, value in changed.items())
        console.print(f"trial {number}: {verdict}  {values}", soft_wrap=True)

    with goes_on():
        found = search(
            base,
            ranges,
            trials,
            out,
            FoldScore(setup),
            storage=storage,
            data=content_hash(dataset, noise_clips(noise, dataset.sample_rate) if noise else ()),
            tell=tell,
        )
    best = varied(asked, found.changed)
    text = tomli_w.dumps(best.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
    save_file(out / "best.toml", text, "--out")
    console.print(
        f"best: {found.score:.1%} of {found.trials} trials ({found.refused} refused), {out / 'best.toml'}",
        soft_wrap=True,
    )
    save_json(
        json,
        {
            "score": found.score,
            "changed": found.changed,
            "trials": found.trials,
            "refused": found.refused,
            "validation_fold": base.dataset.test_fold,
            "recipe": str(out / "best.toml"),
        },
    )


class FoldScore:
    """Train one trial and give its int8 network's accuracy on the validation fold."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __call__(self, recipe: Recipe, place: Path) -> float:
        """Accuracy, 0 to 1; raises `RecipeError`, untrained, over the budget."""
        if recipe.budget.flash or recipe.budget.ram or recipe.budget.cpu is not None:
            self._refuse_over_budget(recipe)
        return self.train(recipe, place)

    def train(self, recipe: Recipe, place: Path) -> float:
        """Accuracy, 0 to 1, whatever the budget."""
        from stapes.training import train_folds

        setup = replace(self.setup, folds=(recipe.dataset.test_fold,))
        with progress_bar() as progress:
            _, (result,) = train_folds(
                recipe,
                setup,
                place,
                features=progress,
                progress=lambda report: progress("training", report.step, report.steps),
            )
        return result.int8_accuracy

    def _refuse_over_budget(self, recipe: Recipe) -> None:
        from stapes.bench.cost import check_budget, recipe_cost
        from stapes.training import untrained_network

        classes = len(self.setup.open_dataset(recipe).labels)
        network = untrained_network(recipe, classes)
        with TemporaryDirectory() as directory:
            check_budget(recipe_cost(recipe, network, classes, Path(directory), measure=False), recipe)
