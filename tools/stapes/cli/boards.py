"""`stapes boards`: what there is, and what a bundle needs of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.firmware.board_tables import Fit, TextTable


def boards(
    bundles: Annotated[
        list[Path] | None, typer.Argument(metavar="[BUNDLE]...", help="Build these for every board.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--board", metavar="B", help="Only this board; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Build directory.")] = Path("build"),
    markdown: Annotated[bool, typer.Option("--markdown", help="As in docs/boards.md.")] = False,
    json: JsonOption = None,
) -> None:
    """List the boards and where each was checked; with bundles, the flash and RAM that they need on each."""
    from stapes.codegen import generate
    from stapes.firmware.board_tables import board_table, build_fit, fit_table, wiring_table
    from stapes.firmware.boards import Board, all_boards
    from stapes.firmware.build import require_compiler
    from stapes.recipe import Bundle

    chosen = [Board.load(name) for name in only] if only else all_boards()
    loaded = [Bundle.load(path) for path in bundles or []]
    tables = [board_table(chosen), wiring_table(chosen)]
    fits: list[list[Fit]] = []
    if loaded:
        for board in chosen:
            require_compiler(board.name)
        with progress_bar() as progress:
            for bundle in loaded:
                directory = out / bundle.manifest.name
                generated = generate(bundle, directory / "generated").directory
                fits.append([])
                for done, board in enumerate(chosen):
                    progress(f"{bundle.manifest.name} for {board.name}", done, len(chosen))
                    fits[-1].append(build_fit(board, generated, directory / board.name))
        tables = [fit_table([bundle.manifest.name for bundle in loaded], fits)]
    for table in tables:
        typer.echo(table.markdown()) if markdown else _show(table)
    images: dict[str, dict[str, Any]] = {board.name: {} for board in chosen}
    for bundle, of_bundle in zip(loaded, fits, strict=True):
        for fit in of_bundle:
            images[fit.board.name][bundle.manifest.name] = fit.built.as_json() if fit.built else None
    save_json(
        json,
        {"boards": [{**board.model_dump(mode="json"), "images": images[board.name]} for board in chosen]},
    )


def _show(table: TextTable) -> None:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        shown.add_column(column, overflow="fold", no_wrap=number == 0)  # the name, to be copied
    for row in table.rows:
        shown.add_row(*(cell.replace("`", "") for cell in row))
    console.print(shown)
    console.print()
