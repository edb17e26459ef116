"""`stapes data`: fetch published recordings, look at what is there, find what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, goes_on, note, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.datasets import Dataset

app = typer.Typer(help="Recordings: fetch, check, count.", no_args_is_help=True)

RecipeArgument = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="The recipe whose [dataset] says how to read them.")
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings.")
]


@app.command("list")
def list_published(json: JsonOption = None) -> None:
    """The published data sets that `stapes data fetch` knows."""
    from dataclasses import asdict

    from rich.table import Table

    from stapes.datasets.catalogue import PUBLISHED

    table = Table()
    table.add_column("name", no_wrap=True)
    for column in ("clips", "classes", "MB"):
        table.add_column(column, justify="right")
    table.add_column("folds")
    for item in PUBLISHED:
        table.add_row(item.name, f"{item.clips:,}", str(item.classes), f"{item.megabytes:,}", item.folds)
    console.print(table)
    for item in PUBLISHED:
        console.print(f"{item.name}: {item.licence}", soft_wrap=True)
    save_json(json, {"datasets": [asdict(item) for item in PUBLISHED]})


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `stapes data list`.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The data directory to make.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licence and keep to it.")
    ] = False,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Another place of the same archive.")] = "",
    json: JsonOption = None,
) -> None:
    """Download, check and unpack a published data set. After an interruption the same command goes on."""
    from stapes.datasets.catalogue import published
    from stapes.datasets.fetch import fetch as fetch_published
    from stapes.errors import DataError

    source = published(name)
    note(source.title, f"{source.megabytes:,} MB", "bold")
    console.print(f"licence: {source.licence}", soft_wrap=True)
    console.print(f"cite:    {source.citation}", soft_wrap=True)
    if not accept_licence:
        raise DataError(
            "the licence is not accepted, nothing was downloaded",
            hint="add --accept-licence when you have read it and will keep to it",
        )
    with goes_on(), progress_bar() as progress:
        directory = fetch_published(source, out, url=url, progress=progress)
    console.print(f"{directory}: complete, its checksum is right", soft_wrap=True)
    save_json(json, {"name": source.name, "directory": str(directory), "licence": source.licence})


@app.command()
def check(recipe: RecipeArgument, data: DirectoryOption = None, json: JsonOption = None) -> None:
    """Decode every clip once and name everything that is wrong, all of it together."""
    from stapes.datasets.dataset import report

    found, dataset, tagging = _describe(recipe, data)
    save_json(json, {key: found[key] for key in ("clips", "problems", "warnings", "same_content")})
    for names in found["same_content"]:
        note("the same recording:", ", ".join(names))
    for warning in found["warnings"]:
        note("warning:", warning)
    if len(found["problems"]) == 1:
        dataset.require_trainable(tagging=tagging)  # says what to do, where it is all that is wrong
    report(found["problems"])
    console.print(f"{found['clips']} clips, {found['seconds']:.0f} s: all can be used")


@app.command()
def stats(recipe: RecipeArgument, data: DirectoryOption = None, json: JsonOption = None) -> None:
    """Clips and seconds by class and fold; fold, level, silence and bandwidth of each recording; lengths, rates."""
    from rich.table import Table

    found, _, _ = _describe(recipe, data)
    table = Table(title=f"{found['clips']} clips, {found['seconds']:.0f} s")
    for column in ("label", "clips", "seconds", *(f"fold {fold}" for fold in found["folds"])):
        table.add_column(column, justify="left" if column == "label" else "right")
    for row in found["classes"]:
        table.add_row(row["label"], str(row["clips"]), f"{row['seconds']:.0f}", *map(str, row["per_fold"]))
    if found["no_label"]["clips"]:
        row = found["no_label"]
        table.add_row("(no label)", str(row["clips"]), f"{row['seconds']:.0f}", *map(str, row["per_fold"]))
    save_json(json, found)
    console.print(table)
    _print_recordings(found["recordings"])
    console.print(
        f"lengths: {found['shortest_seconds']:.2f} to {found['longest_seconds']:.2f} s, "
        f"median {found['median_seconds']:.2f} s"
    )
    console.print(
        f"sample rates, Hz: {_counts(found['sample_rates'])}; channels: {_counts(found['channels'])}"
    )
    if found["foreground"] is not None:
        console.print(f"foreground {found['foreground']}, background {found['background']}")
    levels = found["levels"]
    most = max(levels["counts"], default=0) or 1
    console.print("levels (root mean square of a clip, dB of full scale):")
    for low, count in zip(levels["edges_db"], levels["counts"], strict=False):
        if count:
            console.print(f"  {low:4d} … {low + 5:3d}  {'█' * round(40 * count / most):40} {count}")
    console.print(f"silent: {found['silent']}, reaching full scale: {found['clipped']}")
    for warning in found["warnings"]:
        note("warning:", warning)
    for problem in found["problems"]:
        note("problem:", problem)


_MOST_ROWS = 40


def _print_recordings(rows: list[dict[str, Any]]) -> None:
    """A row a recording; of many the quietest and the loudest of each fold."""
    from rich.table import Table

    table = Table(title=f"{len(rows)} recordings")
    table.add_column("recording", overflow="fold")
    for column in ("fold", "clips", "seconds", "level, dBFS", "digital silence", "up to, kHz"):
        table.add_column(column, justify="right")
    shown = rows
    if len(rows) > _MOST_ROWS:
        folds = sorted({row["fold"] for row in rows})
        sounding = [row for row in rows if row["level_db"] is not None]
        of_fold = [[row for row in sounding if row["fold"] == fold] for fold in folds]
        shown = [
            choose(rows, key=lambda row: row["level_db"]) for rows in of_fold if rows for choose in (min, max)
        ]
        table.title = f"the quietest and the loudest of each fold, of {len(rows)} recordings (--json has all)"
    for row in shown:
        level, width = row["level_db"], row["bandwidth_hz"]
        table.add_row(
            row["recording"],
            str(row["fold"]),
            str(row["clips"]),
            f"{row['seconds']:.1f}",
            "–" if level is None else f"{level:.1f}",
            f"{row['silent_share']:.0%}",
            "–" if width is None else f"{width / 1000:.1f}",
        )
    console.print(table)


def _describe(recipe: Path, data: Path | None) -> tuple[dict[str, Any], Dataset, bool]:
    """What is there; whether each class is judged by itself."""
    from stapes.datasets import open_dataset
    from stapes.datasets.own import unused
    from stapes.datasets.statistics import describe_dataset
    from stapes.recipe import load_recipe

    asked = load_recipe(recipe)
    tagging = asked.tagging
    dataset = open_dataset(data, asked.dataset, asked.frontend.sample_rate, tagging=tagging)
    with progress_bar() as progress:
        found = describe_dataset(dataset, asked.window_samples, progress, tagging=tagging)
    if data is not None:
        found["warnings"] += unused(data, asked.dataset.kind)
    return found, dataset, tagging


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in values.items()) or "–"
