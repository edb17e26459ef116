"""`stapes bench all` and `stapes bench features`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import JsonOption, console, goes_on, progress_bar, save_file, save_json, working


def bench_all(
    models: Annotated[
        Path | None,
        typer.Option(
            "--models", metavar="DIR", envvar="STAPES_MODELS", help="The peers' networks, .tflite files."
        ),
    ] = None,
    bundles: Annotated[Path, typer.Option("--bundles", metavar="DIR", help="The bundles.")] = Path("models"),
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings: ESC-10 or ESC-50."),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", metavar="TEXT", help="Only rows with this in section, name or command.")
    ] = "",
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Also write the page, docs/benchmarks.md.")
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Measure nothing: write the page from an earlier --json FILE."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Build directory.")] = Path(
        "build/benchmarks"
    ),
    json: JsonOption = None,
) -> None:
    """Measure every row of docs/benchmarks.md again; what cannot be measured here is left out, with the reason."""
    from stapes.bench.benchmarks import Places, bench_all, benchmarks_page
    from stapes.files import read_json

    if measured is not None:
        result = read_json(measured)
    else:
        with goes_on() if json else nullcontext(), progress_bar() as progress:
            result = bench_all(
                Places(models, bundles, data), out, json_file=json, only=only, progress=progress
            )
        save_json(json, result)
    text = benchmarks_page(result)
    if page is not None:
        save_file(page, text, "--page")
    console.print(text, soft_wrap=True)
    if any("failed" in row for row in result["rows"]):
        raise typer.Exit(1)


def bench_features(json: JsonOption = None) -> None:
    """Clips of 5 s a second of processor time: the front end in Python, and librosa's mel spectrogram."""
    from stapes.bench.features import bench_features as measure
    from stapes.cli.frontend import front_end

    with working("measuring the front end"):
        result = measure(*front_end(None))
    save_json(json, result)
    console.print(
        f"{result['clips_per_second']:.0f} clips of 5 s a second, librosa {result['librosa_clips_per_second']:.0f}: "
        f"{result['of_librosa']:.2f} of its speed"
    )
