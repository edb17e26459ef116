"""`stapes report`: results as one HTML page; `stapes report pareto`: bundles side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, console, default_command, save_file, save_json
from stapes.errors import StapesError

if TYPE_CHECKING:
    from stapes.report.results import Result

app = typer.Typer(
    cls=default_command("page"),
    help="`report JSON...` writes one self-contained page of results; `report pareto BUNDLE...` plots accuracy "
    "against size.",
    no_args_is_help=True,
)


@app.command("page", hidden=True)
def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="JSON...", help="From --json of check, compare, evaluate or frontend parity."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page of any number of results."""
    from stapes.report import html_report

    save_file(out, html_report([_read(path) for path in results]), "--out")
    console.print(f"{out}", soft_wrap=True)


@app.command()
def pareto(
    bundles: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Bundles, e.g. models/*; other directories are skipped."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also draw them: .svg, .png or .pdf.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Accuracy against multiplications, flash and memory: a table, and with --out a picture."""
    from dataclasses import asdict

    from stapes.bench.pareto import pareto_points
    from stapes.report.pareto import draw_pareto, pareto_table

    points = pareto_points(bundles)
    save_json(json, {"bundles": [asdict(point) for point in points]})
    console.print(pareto_table(points))
    if out is not None:
        draw_pareto(points, out)
        console.print(f"{out}", soft_wrap=True)


def _read(path: Path) -> Result:
    from stapes.files import read_json
    from stapes.report import checked_result

    try:
        value = read_json(path)
    except OSError as error:
        raise StapesError(
            f"cannot read {path}: {error.strerror}", hint="give a file that --json wrote"
        ) from error
    except ValueError as error:
        raise StapesError(f"{path} is no JSON: {error}", hint="give a file that --json wrote") from error
    return checked_result(value, str(path))
