"""`stapes augment`: every augmentation as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import JsonOption, console, save_file, save_json


def augment(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="Its front end and window are used.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The SVG file to write.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Recordings; without it, synthetic clips."),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Draw what every augmentation of training does to two sounds, each strong enough to be seen."""
    from stapes.datasets import open_dataset, synthetic_clips
    from stapes.recipe import load_recipe
    from stapes.report import sheet
    from stapes.training import gallery

    asked = load_recipe(recipe)
    rate = asked.frontend.sample_rate
    if data is None:
        clips = synthetic_clips(("rooster", "clock_tick"), 2, rate, 5.0, seed=1)
    else:
        clips = open_dataset(data, asked.dataset, rate, tagging=asked.tagging).clips
    first = clips[0]
    second = next(clip for clip in clips if clip.label != first.label)
    pictures = gallery(asked, first, second)
    save_file(out, sheet(pictures), "--out")
    save_json(
        json,
        {"file": str(out), "clips": [first.name, second.name], "pictures": [title for title, _ in pictures]},
    )
    console.print(f"pictures written to {out}", soft_wrap=True)
