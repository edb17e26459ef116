"""`stapes train`: recordings and a recipe in, a bundle out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, errors, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.training import Report


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="The recipe, e.g. models/esc10/recipe.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="Directory of the bundle to write.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")
    ] = None,
    folds: Annotated[
        str,
        typer.Option(
            "--folds", metavar="all|N", help="Folds to leave out, one network each; default: test_fold."
        ),
    ] = "",
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Folds trained at the same time.")
    ] = os.cpu_count() or 1,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", metavar="DIR", help="Where features are kept; default: the platform's cache."
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Train, quantise, evaluate; write a bundle. After Ctrl-C the same command goes on from there."""
    from stapes.check import evaluate_bundle
    from stapes.errors import RecipeError, ToolError
    from stapes.recipe import load_recipe
    from stapes.report import evaluation_table
    from stapes.training import default_cache, metrics_of, train_folds, write_bundle

    asked = load_recipe(recipe)
    text = recipe.read_text(encoding="utf-8")
    held_out = asked.dataset.test_fold
    if folds not in ("all", "", str(held_out)):
        raise RecipeError(
            f"--folds {folds}: the bundle's network leaves out fold {held_out}",
            hint=f"use --folds all or --folds {held_out}, or change dataset.test_fold in {recipe}",
        )
    work = out.resolve().with_name(f"{out.resolve().name}.work")
    with _bars() as bars:
        pool, results = train_folds(
            asked,
            data,
            None if folds == "all" else [held_out],
            work,
            cache or default_cache(),
            jobs,
            features=bars.features,
            progress=bars.training,
            finished=lambda result: console.print(
                f"fold {result.fold}: float {result.float_accuracy:.1%}, int8 {result.int8_accuracy:.1%} "
                f"of {result.clips} clips right"
            ),
        )
    metrics = metrics_of(asked, results)
    bundle = write_bundle(out, asked, text, pool.labels, results, metrics)
    if data is not None:
        try:
            with progress_bar() as progress:
                measured = evaluate_bundle(
                    bundle, data, folds or str(held_out), work / "firmware", progress=progress
                )
        except ToolError as error:
            errors.print(f"[yellow]firmware not measured:[/] {error}", highlight=False, soft_wrap=True)
        else:
            metrics |= {kind: _figures(measured[kind]) for kind in ("int8", "firmware")}
            write_bundle(out, asked, text, pool.labels, results, metrics)
    console.print(evaluation_table(metrics))
    console.print(f"bundle written to {out}; {work} may be deleted", soft_wrap=True)
    save_json(json, metrics | {"bundle": str(out)})


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: measured[name] for name in ("accuracy_mean", "accuracy_sd", "per_fold")}


class _Bars:
    """What `train_folds` calls back; one bar for the features, one a fold."""

    def __init__(self, features: Callable[[str, int, int], None], training: Callable[[Report], None]) -> None:
        self.features, self.training = features, training


@contextmanager
def _bars() -> Iterator[_Bars]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}
        estimates: dict[int, str] = {}

        def features(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        def training(report: Report) -> None:
            name = f"fold {report.fold}"
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            if report.held_out is not None:
                estimates[report.fold] = f", {report.held_out:.0%} of held-out clips so far"
            text = f"{name}: loss {report.loss:.3f}{estimates.get(report.fold, '')}"
            bar.update(tasks[name], description=text, completed=report.step, total=report.steps)

        yield _Bars(features, training)
