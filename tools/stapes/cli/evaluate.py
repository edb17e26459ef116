"""`stapes evaluate`: accuracy with the firmware's own arithmetic, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, JsonOption, console, progress_bar, save_json


def evaluate(
    bundle: BundleArgument,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings that it was trained on."
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="DIR",
            help="Recordings made later, without folds: every one through the bundle's own network.",
        ),
    ] = None,
    folds: Annotated[str, typer.Option("--folds", metavar="all|N", help="Which folds to hold out.")] = "all",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also at other levels, in noise, through other microphones, clipped."
        ),
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the figures in the bundle: metrics.json and model card.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Accuracy on held-out folds, or on recordings made later, as the firmware computes it: fixed-point features, int8
    network in C on the host.
    """
    from stapes.check import evaluate_bundle, evaluate_robustness, recorded
    from stapes.errors import BundleError, DataError
    from stapes.recipe import Bundle, load_recipe
    from stapes.report import classes_table, evaluation_table, robustness_table
    from stapes.training import rewrite_figures

    later = test is not None
    if test is None and data is None:
        raise DataError("no recordings given", hint="add --data DIR, or --test DIR for recordings made later")
    if later and folds != "all":
        raise DataError("--test: recordings made later have no folds", hint="leave --folds out")
    recordings = test if later else data
    loaded = Bundle.load(bundle)
    if record and not loaded.metrics():
        raise BundleError(f"{bundle} has no metrics.json to add to", hint="train it with `stapes train`")
    build = out or Path("build") / loaded.manifest.name / "evaluate"
    with progress_bar() as progress:
        result = evaluate_bundle(loaded, recordings, folds, build, later=later, progress=progress)
        if robustness:
            result["robustness"] = evaluate_robustness(
                loaded, recordings, folds, build, later=later, progress=progress
            )
    save_json(json, result)
    console.print(evaluation_table(result))
    console.print(classes_table(result))
    console.print(f"expected calibration error {result['calibration']['ece']:.3f}")
    for kind in ("foreground", "background"):
        if kind in result:
            console.print(f"{kind}: {result[kind]['accuracy']:.1%} of {result[kind]['clips']} clips")
    if robustness:
        console.print(robustness_table(result))
    if record:
        rewrite_figures(bundle, load_recipe(bundle / "recipe.toml"), recorded(result, loaded.metrics()))
