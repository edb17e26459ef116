"""`stapes search`: front ends and networks that fit a board, from small to accurate."""

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
from stapes.cli.sweep import FoldScore

if TYPE_CHECKING:
    from stapes.bench.cost import Cost
    from stapes.recipe import Recipe
    from stapes.training import Setup

_SIZES = {
    "flash_bytes": "flash of the application, bytes",
    "ram_bytes": "RAM with the stack, bytes",
    "instructions_per_second": "instructions a second, live",
}


def search(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="How recordings are read and how long is trained.")
    ],
    board: Annotated[str, typer.Option("--board", metavar="BOARD", help="What it shall fit.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Trials, the search's journal, and the front.")
    ],
    trials: Annotated[
        int, typer.Option("--trials", min=1, metavar="N", help="How many, earlier ones included.")
    ] = 40,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")
    ] = None,
    flash: Annotated[
        str | None, typer.Option("--flash", metavar="SIZE", help='As "64 KiB"; default: all of the board.')
    ] = None,
    ram: Annotated[
        str | None, typer.Option("--ram", metavar="SIZE", help='As "8 KiB"; default: all of the board.')
    ] = None,
    cpu: Annotated[
        float | None,
        typer.Option("--cpu", metavar="SHARE", help="Of budget.clock_mhz, 0 to 1; default: any."),
    ] = None,
    validate: ValidateOption = None,
    cache: CacheOption = None,
    json: JsonOption = None,
) -> None:
    """Search front end and network with Optuna: accuracy, flash, RAM and instructions; draws the Pareto front.

    Trials never see dataset.test_fold; what does not fit is never trained. After Ctrl-C the same command goes on.
    """
    from stapes.bench.pareto import best_for
    from stapes.firmware.boards import Board
    from stapes.packages import needed_for
    from stapes.recipe import load_recipe
    from stapes.report.pareto import draw_pareto
    from stapes.training import Setup, default_cache
    from stapes.training.backend import require_packages
    from stapes.training.noise import require_use
    from stapes.training.search import search as find
    from stapes.training.sweep import content_hash, for_search, varied

    with needed_for("a search", "tomli_w"):
        import tomli_w
    memory = Board.load(board)
    asked = load_recipe(recipe)
    limits: dict[str, Any] = {
        "budget.board": board,
        "budget.flash": flash or asked.budget.flash or f"{memory.flash_bytes} B",
        "budget.ram": ram or asked.budget.ram or f"{memory.ram_bytes} B",
        "budget.cpu": asked.budget.cpu if cpu is None else cpu,
    }
    asked = varied(asked, limits)
    require_use(None, used=bool(asked.training.noise_sampled))
    setup = Setup(data, cache or default_cache(), jobs=os.cpu_count() or 1)
    require_packages()
    dataset = setup.open_dataset(asked)
    dataset.require_trainable(tagging=asked.tagging)
    base = for_search(asked, dataset.folds, validate)
    console.print(
        f"trials are judged by fold {base.dataset.test_fold}; fold {asked.dataset.test_fold} stays unseen"
    )

    def tell(number: int, changed: dict[str, Any], values: tuple[float, ...] | None) -> None:
        verdict = "refused"
        if values is not None:
            verdict = f"{values[0]:.1%}, {values[1]:,.0f} B, {values[2]:,.0f} B, {values[3]:,.0f} a second"
        keys = ", ".join(f"{key} = {value}" for key, value in changed.items())
        console.print(f"trial {number}: {verdict}  {keys}", soft_wrap=True)

    with goes_on():
        found = find(base, trials, out, CostAndScore(setup), data=content_hash(dataset), tell=tell)
    points = [replace(each, best_for=best_for(each, found.candidates, _SIZES)) for each in found.candidates]
    front = sorted((each for each in points if each.on_front), key=lambda each: -each.accuracy)
    for old in out.glob("front-*.toml"):  # of fewer trials
        old.unlink()
    rows = []
    for number, each in enumerate(front, start=1):
        best = varied(asked, each.changed)
        text = tomli_w.dumps(best.model_dump(mode="json", exclude_defaults=True, exclude_none=True))
        path = out / f"front-{number}.toml"
        save_file(path, text, "--out")
        console.print(
            f"{path}: {each.accuracy:.1%}, flash {each.flash_bytes:,} B, RAM {each.ram_bytes:,} B, "
            f"{each.instructions_per_second:,.0f} instructions a second",
            soft_wrap=True,
        )
        rows.append(
            {
                "recipe": str(path),
                "accuracy": each.accuracy,
                **{size: getattr(each, size) for size in _SIZES},
                "changed": each.changed,
            }
        )
    draw_pareto(front, out / "front.svg", _SIZES)
    console.print(
        f"{len(front)} on the front of {len(points)} trained, {found.refused} refused: {out / 'front.svg'}",
        soft_wrap=True,
    )
    save_json(
        json,
        {
            "front": rows,
            "trained": len(points),
            "refused": found.refused,
            "validation_fold": base.dataset.test_fold,
        },
    )


class CostAndScore:
    """Accuracy on the validation fold, flash, RAM, instructions a second; what is over the budget is not trained."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __call__(self, recipe: Recipe, place: Path) -> tuple[float, float, float, float]:
        """Accuracy, flash, RAM, instructions a second; raises `RecipeError` or `TooLargeError`, untrained."""
        cost = self._cost(recipe)
        accuracy = FoldScore(self.setup).train(recipe, place)
        return (
            accuracy,
            cost.flash_bytes or 0,
            cost.ram_bytes or 0,
            cost.instructions_per_second or 0.0,
        )

    def _cost(self, recipe: Recipe) -> Cost:
        from stapes.bench.cost import check_budget, measure_image, measure_instructions, plan_cost
        from stapes.training import untrained_network

        classes = len(self.setup.open_dataset(recipe).labels)
        with TemporaryDirectory() as name, progress_bar() as progress:
            directory = Path(name)
            progress("cost", 0, 1)
            network = untrained_network(recipe, classes)
            cost = plan_cost(recipe, network, classes)
            # Weights and arena are part of the application: what they alone exceed needs no build.
            check_budget(replace(cost, flash_bytes=cost.weights_bytes, ram_bytes=cost.arena_bytes), recipe)
            cost = measure_image(cost, recipe, network, directory, progress=progress)
            check_budget(cost, recipe)
            cost = measure_instructions(cost, recipe, network, directory, progress=progress)
            check_budget(cost, recipe)
        return cost
