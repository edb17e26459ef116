"""What every command shares: the console, the JSON file, progress, errors as one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from stapes.errors import StapesError
from stapes.files import write_atomic, write_json
from stapes.progress import Progress

console = Console()
errors = Console(stderr=True)

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write the result to FILE as JSON.")
]
BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle, e.g. models/esc10.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", envvar="STAPES_DATA", help="Recordings; without it, synthetic clips."
    ),
]


def save_json(path: Path | None, value: dict[str, Any]) -> None:
    """Write `value` to `path` where one was given; a place that cannot be written is one clear error."""
    if path is None:
        return
    try:
        write_json(path, value)
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint="choose another --json FILE"
        ) from error


def save_text(path: Path, text: str, option: str) -> None:
    """Write `text` to `path`, which `option` gave; a place that cannot be written is one clear error."""
    try:
        write_atomic(path, text)
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint=f"choose another {option} FILE"
        ) from error


def default_command(name: str) -> type[TyperGroup]:
    """A group in which `group X` means `group NAME X` unless X is one of its commands."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands and args[0] != "--help":
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Group


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error, as a function of (what, done, total)."""
    from rich import progress as rich

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield update


def report_error(error: StapesError) -> None:
    """One line: what was wrong; then, where there is one, what to do."""
    errors.print(f"[bold red]error:[/] {_plain(error.message)}", highlight=False, soft_wrap=True)
    if error.hint:
        errors.print(f"[bold]  try:[/] {_plain(error.hint)}", highlight=False, soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(" ".join(text.split()))


def guarded(run: Callable[[], None]) -> None:
    """Run a command: `StapesError` becomes a line and exit 1, Ctrl-C exit 130."""
    try:
        run()
    except StapesError as error:
        report_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(130)
