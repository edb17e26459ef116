"""`stapes farm`: all boards of a desk or a rack at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import DataOption, JsonOption, attended, console, errors, save_file, save_json

if TYPE_CHECKING:
    from stapes.farm import FarmReport


class Action(StrEnum):
    """What is done on every board."""

    check = "check"
    flash = "flash"
    bench = "bench"


def farm(
    farm: Annotated[Path, typer.Argument(metavar="FARM.toml", help="The boards: docs/farm.md.")],
    action: Annotated[Action, typer.Argument(metavar="check|flash|bench", help="What every board shall do.")],
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Directories of bundles.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="LABEL", help="Only boards with this label or name; may be repeated."),
    ] = None,
    data: DataOption = None,
    clips: Annotated[
        int | None, typer.Option("--clips", min=1, metavar="N", help="check: how many clips (default: all).")
    ] = None,
    inputs: Annotated[
        int, typer.Option("--inputs", min=1, metavar="N", help="bench: random windows to run.")
    ] = 200,
    flash: Annotated[
        bool, typer.Option("--flash", help="check: flash real boards first, unless they hold the image.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Boards at once [a core for an emulated one, a quarter for a real one].",
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="For a board that somebody else uses.")
    ] = 600.0,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Builds, and a log of each board.")
    ] = Path("build/farm"),
    uart_log: Annotated[
        bool, typer.Option("--uart-log", help="check: also every byte of every line, in the board's folder.")
    ] = False,
    json: JsonOption = None,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="Also write JUnit XML for a server of tests."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="check: also one self-contained HTML page.")
    ] = None,
) -> None:
    """Check, flash or measure on many boards at once: one line of progress for each, one report for all."""
    from stapes.errors import TargetError
    from stapes.farm import Order, choose_boards, load_farm, run_farm
    from stapes.report import junit_xml, print_farm

    boards = choose_boards(load_farm(farm), only or [])
    order = Order(
        action.value,
        tuple(bundles),
        out,
        data=data,
        clips=clips,
        inputs=inputs,
        flash=flash,
        wait=wait,
        uart_log=uart_log,
    )
    if html is not None and action != "check":
        raise TargetError("--html shows checks", hint="give --json or --junit")
    with _lines() as watch:
        report = run_farm(boards, order, jobs=jobs, watch=watch)
    save_json(json, report.as_json())
    if junit is not None:
        save_file(junit, junit_xml(report), "--junit")
    if html is not None:
        save_file(html, _page(report), "--html")
    print_farm(report, console)
    if report.stopped is not None:
        raise report.stopped
    if not report.passed:
        raise typer.Exit(1)


def _page(report: FarmReport) -> str:
    from stapes.report import html_report

    checks = [
        {**outcome.result, "target": f"{board.name}: {board.way}"}
        for board, outcome in report.outcomes
        if outcome.result is not None
    ]
    missing = [
        (board.name, f"{outcome.bundle}: {outcome.status}: {outcome.message}")
        for board, outcome in report.outcomes
        if outcome.result is None
    ]
    return html_report(checks, missing=missing)


@contextmanager
def _lines() -> Iterator[Callable[[str, str, int, int], None]]:
    """One line of progress a board on standard error: moving ones on a terminal, else a line whenever it does
    something else.
    """
    if not errors.is_terminal:
        begin, last = time.monotonic(), dict[str, str]()

        def line(board: str, what: str, done: int, total: int) -> None:
            if last.get(board) != what:
                last[board] = what
                errors.print(f"{time.monotonic() - begin:7.1f} s  {board}: {what}", soft_wrap=True)

        yield line
        return
    from rich import progress as rich

    bar = rich.Progress(
        rich.TextColumn("{task.fields[board]}"),
        rich.BarColumn(bar_width=20),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.description}"),
        console=errors,
    )
    tasks: dict[str, rich.TaskID] = {}

    def move(board: str, what: str, done: int, total: int) -> None:
        if board not in tasks:
            tasks[board] = bar.add_task(what, total=None, board=board)
        bar.update(tasks[board], description=what, completed=done, total=total or None)

    with attended(), bar:
        yield move
