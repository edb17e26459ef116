"""`stapes cost`: what a recipe will cost on a device, before it is trained."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.recipe import Recipe


def cost(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, trained or not.")],
    classes: Annotated[
        int, typer.Option("--classes", min=0, help="How many classes; 0: as many as the data set has.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="To count the classes.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help="Build the firmware, count instructions; else plan only."
        ),
    ] = True,
    backbone: Annotated[
        Path | None,
        typer.Option(
            "--backbone",
            metavar="MODEL",
            help="Of a new head (dense or forest) on what this .tflite or bundle gives, as `stapes train` makes it.",
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Print multiplications, memory, flash and instructions of a recipe's network, and hold them against its budget."""
    from stapes.datasets import open_dataset
    from stapes.recipe import load_recipe

    asked = load_recipe(recipe)
    if not classes:
        classes = len(
            open_dataset(data, asked.dataset, asked.frontend.sample_rate, tagging=asked.tagging).labels
        )
    save_json(json, print_cost(asked, classes, measure=measure, backbone=backbone))


def print_cost(
    recipe: Recipe, classes: int, *, measure: bool, backbone: Path | None = None
) -> dict[str, Any]:
    """Print the cost; raises `RecipeError` after that where it is over the budget. Gives the keys of `stapes cost`."""
    from stapes.bench.cost import check_budget, recipe_cost
    from stapes.report import cost_table
    from stapes.training import untrained_network

    with TemporaryDirectory() as directory, progress_bar() as progress:
        progress("building the network", 0, 1)
        network = untrained_network(recipe, classes, backbone)
        found = recipe_cost(recipe, network, classes, Path(directory), measure=measure, progress=progress)
    budget = recipe.budget
    limits = {
        "flash_bytes": budget.flash_bytes,
        "ram_bytes": budget.ram_bytes,
        "instructions_per_second": budget.instructions_per_second,
    }
    console.print(cost_table(found.as_json(), limits))
    check_budget(found, recipe)
    return found.as_json()
