"""`stapes report`: results as one HTML page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from stapes.cli.common import console, save_text
from stapes.errors import StapesError


def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="JSON...", help="From --json of check, compare, evaluate or frontend parity."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page of any number of results."""
    from stapes.report import html_report

    save_text(out, html_report([_read(path) for path in results]), "--out")
    console.print(f"{out}", highlight=False, soft_wrap=True)


def _read(path: Path) -> dict[str, Any]:
    from stapes.report import result_kind

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StapesError(
            f"cannot read {path}: {error.strerror}", hint="give a file that --json wrote"
        ) from error
    except ValueError as error:
        raise StapesError(f"{path} is no JSON: {error}", hint="give a file that --json wrote") from error
    if result_kind(value) is None:
        raise StapesError(
            f"{path} is no result of check, compare, evaluate or frontend parity",
            hint="run the command again with --json: this stapes may need newer keys",
        )
    result: dict[str, Any] = value
    return result
