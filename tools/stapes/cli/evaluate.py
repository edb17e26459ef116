"""`stapes evaluate`: accuracy with the firmware's own arithmetic, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, JsonOption, console, progress_bar, save_json


def evaluate(
    bundle: BundleArgument,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")],
    folds: Annotated[str, typer.Option("--folds", metavar="all|N", help="Which folds to hold out.")] = "all",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Accuracy on held-out folds as the firmware computes it: fixed-point features, int8 network in C on the host."""
    from stapes.check import evaluate_bundle
    from stapes.recipe import Bundle
    from stapes.report import evaluation_table

    loaded = Bundle.load(bundle)
    with progress_bar() as progress:
        result = evaluate_bundle(
            loaded, data, folds, out or Path("build") / loaded.manifest.name / "evaluate", progress=progress
        )
    console.print(evaluation_table(result))
    save_json(json, result)
