"""What every command shares: the console, the JSON file, progress, errors as one line."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typer.core import TyperGroup

from stapes.errors import StapesError
from stapes.files import printable, write_atomic, write_json
from stapes.progress import Progress


class _Silence:
    """When something was last said, and a thread that says so when it was long ago: no command leaves anybody to wonder
    whether it still works.
    """

    def __init__(self) -> None:
        self.last = time.monotonic()
        self._attended = 0

    def break_(self) -> None:
        """Something is being said."""
        self.last = time.monotonic()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Something is shown that moves, or a person is waited for."""
        self._attended += 1
        try:
            yield
        finally:
            self._attended -= 1
            self.break_()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While a command runs."""
        end, self.last = threading.Event(), time.monotonic()
        thread = threading.Thread(target=self._watch, args=(end, self.last), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _watch(self, end: threading.Event, begin: float) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads
            while not end.wait(_LOOK_SECONDS):
                now = time.monotonic()
                if not self._attended and now - self.last >= _MOST_SILENT_SECONDS:
                    errors.print(Text(f"  still working, after {duration(now - begin)}", style="dim"))


_silence = _Silence()
attended = _silence.attended


class _PlainConsole(Console):
    """Everything that stapes prints goes through here: text of strangers (labels, file names, what a device says) is
    neither markup nor a command to the terminal. What is styled is a rich Text.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """As `Console.print`; silence is over."""
        _silence.break_()
        super().print(*objects, **options)

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
HistoryOption = Annotated[
    float | None,
    typer.Option(
        "--history-seconds",
        min=0.0,
        max=60.0,
        metavar="N",
        help="Sound that the application that listens keeps in RAM for `stapes listen --save-events` [none].",
    ),
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

CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where features are kept; default: the platform's cache."),
]
ValidateOption = Annotated[
    int | None,
    typer.Option("--validate", metavar="N", help="Fold to judge trials by; default: the first usable one."),
]
GdbOption = Annotated[
    int | None,
    typer.Option("--gdb", min=1, max=65535, metavar="PORT", help="Renode: where a debugger can attach."),
]
RenodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--renode", metavar="COMMAND", help="Renode: a command for its monitor before the start; repeatable."
    ),
]


def wish_of_renode(target: str, gdb: int | None, commands: list[str] | None) -> None:
    """Let the Renode that is opened next have a port for a debugger, and run commands of a person's."""
    from stapes.targets.renode import WISHES, Wishes

    if (gdb is not None or commands) and not target.startswith("renode:"):
        raise typer.BadParameter("only with --target renode:PLATFORM", param_hint="--gdb, --renode")
    WISHES.set(Wishes(gdb, tuple(commands or ())))


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


Update = Callable[[str, str, int, int], None]
"""Called with whose progress it is, what is being done, how many are done, and how many there are (0: not known)."""

_LOOK_SECONDS, _LEAST_SECONDS, _MOST_SECONDS = 0.5, 2.0, 25.0
_MOST_SILENT_SECONDS = 28.0
"""For work that has no progress to tell; a little more, so that what tells of its progress speaks first."""


@contextmanager
def progress_bar(after: float = 0.0) -> Iterator[Progress]:
    """Progress on standard error, as a function of (what, done, total): a bar where somebody looks at a terminal, else
    a line for each tenth and at least one in 30 s. For work that is mostly short, only `after` seconds.
    """
    with progress_bars(after) as update:
        yield lambda what, done, total: update("", what, done, total)


@contextmanager
def progress_bars(after: float = 0.0) -> Iterator[Update]:
    """As `progress_bar`, for several works at the same time."""
    shown: AbstractContextManager[Update] = _Bars(after) if errors.is_interactive else _Lines(after)
    with attended() if errors.is_interactive else nullcontext(), shown as update:
        yield update


class _Bars:
    def __init__(self, after: float) -> None:
        from rich import progress as rich

        self._bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
            console=errors,
            transient=True,
        )
        self._tasks: dict[str, Any] = {"": self._bar.add_task("starting", total=None)}
        self._timer = threading.Timer(after, self._bar.start)
        self._timer.daemon = True

    def __enter__(self) -> Update:
        self._timer.start()
        return self._update

    def _update(self, whose: str, what: str, done: int, total: int) -> None:
        if whose not in self._tasks:
            first = self._tasks.pop("", None)
            self._tasks[whose] = first if first is not None else self._bar.add_task(what)
        self._bar.update(self._tasks[whose], description=what, completed=done, total=total or None)

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._bar.stop()


class _Lines:
    """For logs and pipes. A thread looks how far the work is, so that silence is told of too."""

    def __init__(self, after: float) -> None:
        self._now: dict[str, tuple[str, int, int]] = {}
        self._said: dict[str, tuple[int, int]] = {}
        self._begin = time.monotonic()
        self._last = self._begin + after
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Update:
        self._thread.start()
        return self._update

    def _update(self, whose: str, what: str, done: int, total: int) -> None:
        self._now[whose] = (what, done, total)

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads
            while not self._end.wait(_LOOK_SECONDS):
                self._look()

    def _look(self) -> None:
        silent = time.monotonic() - self._last
        if silent < _LEAST_SECONDS:
            return
        now = self._now.copy()
        tenths = {whose: (total, 10 * done // max(total, 1)) for whose, (_, done, total) in now.items()}
        due = [whose for whose, tenth in tenths.items() if self._said.get(whose) != tenth]
        if not due and silent < _MOST_SECONDS:
            return
        for whose in due or [whose for whose, (_, done, total) in now.items() if done < total or not total]:
            self._say(*now[whose])
        if not now or (silent >= _MOST_SECONDS and all(0 < total <= done for _, done, total in now.values())):
            self._say("working", 0, 0)
        self._said |= tenths
        self._last = time.monotonic()

    def _say(self, what: str, done: int, total: int) -> None:
        share = f": {done:,} of {total:,} ({100 * done // total} %)" if total else ""
        seconds = time.monotonic() - self._begin
        errors.print(Text(f"  {what}{share}, after {duration(seconds)}", style="dim"), soft_wrap=True)


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`: as exact as anybody wants to know it."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def working(what: str) -> Iterator[None]:
    """Work that does not say how far it is; nothing is shown where it is done within two seconds."""
    with progress_bar(after=_LEAST_SECONDS) as progress:
        progress(what, 0, 0)
        yield


@contextmanager
def goes_on() -> Iterator[None]:
    """Work that keeps what it has done: who stops it with Ctrl-C is told that the same command goes on."""
    try:
        yield
    except KeyboardInterrupt as end:
        end.add_note("the same command goes on from here")
        raise


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


def guarded(run: Callable[[], None]) -> None:
    """Run a command. `StapesError` and errors of the system (a full disk, a place that cannot be written) become a line
    and exit 1; Ctrl-C exit 130, SIGTERM 143, SIGHUP 129, all after everything that was started has ended.
    """

    received: list[int] = []

    def terminate(number: int, frame: object) -> None:
        received.append(number)
        raise _Terminated

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
        with _silence.watched():
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
        stop = _stop_behind(end)
        if end.code != 130 or not (received or stop):
            raise
        _say_stopped(stop, received)
    except KeyboardInterrupt as stop:
        _say_stopped(stop, received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_behind(end: SystemExit) -> KeyboardInterrupt | None:
    """The KeyboardInterrupt that Typer made this exit of; None where the command itself ended so."""
    error: BaseException | None = end
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _say_stopped(stop: KeyboardInterrupt | None, received: list[int]) -> NoReturn:
    """By which signal, and what `add_note` added to it, each note once."""
    word = "terminated" if received else "interrupted"
    errors.print(": ".join([word, *dict.fromkeys(getattr(stop, "__notes__", []))]))
    sys.exit(128 + (received[0] if received else signal.SIGINT))


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
