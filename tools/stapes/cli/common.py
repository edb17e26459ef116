"""What every command shares: the console, the JSON file, progress, errors as one line."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typer.core import TyperGroup

from stapes.errors import StapesError
from stapes.files import printable, write_atomic, write_json
from stapes.progress import Progress


class _PlainConsole(Console):
    """Everything that stapes prints goes through here: text of strangers (labels, file names, what a device says) is
    neither markup nor a command to the terminal. What is styled is a rich Text.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)


console = _PlainConsole()
errors = _PlainConsole(stderr=True)

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


def save_file(path: Path, content: str | bytes, option: str) -> None:
    """Write `content` to `path`, which `option` gave; a place that cannot be written is one clear error."""
    try:
        write_atomic(path, content)
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


class _ToErrors(logging.Handler):
    """A line on standard error: seconds since the start, the file that speaks, what it says."""

    def emit(self, record: logging.LogRecord) -> None:
        seconds, name = record.relativeCreated / 1000, record.name.removeprefix("stapes.")
        text = f"{seconds:8.3f} {name}: {printable(record.getMessage())}"
        errors.print(Text(text, style="dim"), soft_wrap=True)


def log_to_console(level: str) -> None:
    """Show what the library logs from `level` up (`debug`, say); nothing where it is empty."""
    logger = logging.getLogger("stapes")
    for handler in [each for each in logger.handlers if isinstance(each, _ToErrors)]:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    if not level:
        return
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise StapesError(f"STAPES_LOG={level} is no level", hint="give debug, info, warning or error")
    logger.addHandler(_ToErrors())
    logger.setLevel(number)


@contextmanager
def progress_bar(after: float = 0.0) -> Iterator[Progress]:
    """A progress bar on standard error, as a function of (what, done, total); for work that is mostly short, only
    `after` seconds.
    """
    from rich import progress as rich

    bar = rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        console=errors,
        transient=True,
    )
    task = bar.add_task("starting", total=None)
    begin = time.monotonic() + after

    def update(what: str, done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() >= begin:
            bar.start()
        bar.update(task, description=what, completed=done, total=total)

    if not after:
        bar.start()
    try:
        yield update
    finally:
        bar.stop()


def note(head: str, text: str, style: str = "yellow", *, to: Console = console) -> None:
    """One line: `head` in a style of its own, then `text`."""
    line = Text(head, style=style)
    to.print(line.append(f" {' '.join(text.split())}", style="not bold default"), soft_wrap=True)


def report_error(error: StapesError) -> None:
    """One line: what was wrong; then, where there is one, what to do."""
    note("error:", error.message, "bold red", to=errors)
    if error.hint:
        note("  try:", error.hint, "bold", to=errors)


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: everything ends as with Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def guarded(run: Callable[[], None]) -> None:
    """Run a command. `StapesError` and errors of the system (a full disk, a place that cannot be written) become a line
    and exit 1; Ctrl-C exit 130, SIGTERM 143, SIGHUP 129, all after everything that was started has ended.
    """

    received: list[int] = []

    def terminate(number: int, frame: object) -> None:
        received.append(number)
        raise _Terminated(number)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that lacks a letter is no reason to stop
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, terminate)
    try:
        run()
    except StapesError as error:
        report_error(error)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        report_error(_of_system(error))
        sys.exit(1)
    except SystemExit as end:
        if not received or end.code != 130:  # Typer calls every KeyboardInterrupt that
            raise
        errors.print("terminated")
        sys.exit(128 + received[0])
    except _Terminated as end:
        errors.print("terminated")
        sys.exit(128 + end.number)
    except KeyboardInterrupt:
        errors.print("interrupted")
        sys.exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _of_system(error: OSError) -> StapesError:
    """What an error of the system is called: the file, and what is wrong with it."""
    where = f"{error.filename}: " if error.filename else ""
    hints = {
        errno.ENOSPC: "free some space, or choose another place",
        errno.EDQUOT: "free some space, or choose another place",
        errno.EACCES: "choose another place, or change who may write there",
        errno.EROFS: "choose another place",
    }
    hint = hints.get(error.errno or 0, "choose another file or directory" if where else "")
    return StapesError(f"{where}{error.strerror or error}", hint=hint)
