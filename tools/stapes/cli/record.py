"""`stapes record`: a board's own microphone to recordings that train a network."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, attended, console, progress_bar, save_json

if TYPE_CHECKING:
    from stapes.live.record import Recorder

LINE_SECONDS = 5.0
"""Between two lines of progress where there is no terminal."""
BAR = 30


def record(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the recordings.")],
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="T", help="board:NAME@PORT, a URL, or with --microphone an emulator."
        ),
    ] = "host",
    port: Annotated[
        str | None,
        typer.Option("--port", metavar="auto|PORT", help="A board that runs the recorder or listens."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="NAME", help="All of it is this; a label track says so.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="A,B,…", help="What the keys 1 to 9 put down.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="BUNDLE|RECIPE", help="Take sample rate and labels from here."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", min=4000, max=48000, metavar="HZ", help="Sample rate [16000].")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, metavar="N", help="Length [until Ctrl-C].")
    ] = None,
    until_enter: Annotated[bool, typer.Option("--until-enter", help="Until Enter is pressed.")] = False,
    microphone: Annotated[
        Path | None,
        typer.Option("--microphone", metavar="FILE", help="What host or emulator hear, again and again."),
    ] = None,
    build: Annotated[
        Path, typer.Option("--build", metavar="DIR", help="Build directory of host and emulator.")
    ] = Path("build/record"),
    json: JsonOption = None,
) -> None:
    """Record a board's own microphone over the link: every sample numbered and checked, losses marked, never filled."""
    from stapes.device import prepare_recorder
    from stapes.device.connection import greet
    from stapes.errors import StapesError
    from stapes.link.record import RecordClient
    from stapes.live.record import Labels, Recorder
    from stapes.targets import require_stand_in, stand_in
    from stapes.targets.ports import find_port

    if label is not None and not label.strip():
        raise StapesError("--label is empty", hint="name what is heard")
    if label is not None and labels is not None:
        raise StapesError("--label names all of it, --labels parts of it", hint="leave one out")
    if port and microphone:
        raise StapesError("a board has a microphone of its own", hint="leave --microphone out")
    given_rate, given_labels = _of(bundle)
    sample_rate = rate or given_rate
    names = tuple(name.strip() for name in labels.split(",")) if labels is not None else given_labels
    if not all(names) or (len(names) > 9 and labels is not None):
        raise StapesError(f"--labels {labels!r}: one to nine names", hint="separate them with commas")
    is_emulated = port is None and not target.startswith(("board:", "/dev/")) and "://" not in target
    if is_emulated and microphone is None:
        raise StapesError(f"{target} has no microphone", hint="give --port, or --microphone FILE to stand in")
    with ExitStack() as stack:
        where, elf, heard = find_port(port) if port else target, None, None
        if microphone:
            require_stand_in(target)
            heard = stack.enter_context(stand_in(microphone, sample_rate))
        if is_emulated:
            with progress_bar(after=1.0) as progress:
                built = prepare_recorder(target, build, progress=progress)
            elf = built.elf if built else None
        client, hello = stack.enter_context(greet(RecordClient, where, elf, microphone=heard))
        client.speed_up()
        client.capacity().require(sample_rate)
        recorder = Recorder(
            client, hello, out, sample_rate, Labels(names[:9] if label is None else (), label)
        )
        try:
            _run(recorder, seconds, until_enter)
            recorder.end()
        except KeyboardInterrupt as stop:
            if type(stop) is not KeyboardInterrupt or seconds is not None:
                raise
            recorder.end()  # without a length this is how to end it
        finally:
            recorder.close()
            save_json(json, {"path": str(recorder.path), **recorder.as_json()})
            console.print(_summary(recorder), soft_wrap=True)
        with suppress(StapesError):
            client.stop()


def _of(path: Path | None) -> tuple[int, tuple[str, ...]]:
    """Sample rate and labels of a bundle or a recipe."""
    from stapes.recipe import Bundle, FrontendSpec, load_recipe

    if path is None:
        return FrontendSpec().sample_rate, ()
    if path.is_dir():
        manifest = Bundle.load(path).manifest
        return manifest.frontend.sample_rate, manifest.labels
    recipe = load_recipe(path)
    return recipe.frontend.sample_rate, recipe.dataset.labels


def _run(recorder: Recorder, seconds: float | None, until_enter: bool) -> None:
    """Until the end, with a meter and keys."""
    most = None if seconds is None else round(seconds * recorder.sample_rate)
    names = recorder.labels.names
    shown = time.monotonic()
    console.print(f"recording to {recorder.path}", soft_wrap=True)
    with attended(), _keys() as keys, _meter() as show:
        if keys and names:
            legend = "  ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
            console.print(f"keys: {legend}  0 ends a label", soft_wrap=True)
        goes_on = True
        while goes_on:
            goes_on = recorder.step(most)
            for key in _pressed() if keys or until_enter else ():
                if key in ("\n", "\r", "") and until_enter:
                    return
                if keys and key in "0123456789":
                    recorder.press(key)
            if console.is_terminal or time.monotonic() - shown >= LINE_SECONDS:
                shown = time.monotonic()
                show(_line(recorder))


def _line(recorder: Recorder) -> str:
    meter = recorder.meter
    filled = round(BAR * min(1.0, max(0.0, (meter.level + 72) / 72)))
    bar = "█" * filled + "·" * (BAR - filled)
    text = f"{recorder.samples / recorder.sample_rate:8.1f} s  {bar} {meter.level:6.1f} dBFS, peak {meter.peak:.1f}"
    text += f", {meter.clipped} CLIPPED" if meter.clipped else ""
    text += f", {recorder.lost} LOST" if recorder.lost else ""
    return text + (f"  {recorder.labels.open[1]}" if recorder.labels.open else "")


def _summary(recorder: Recorder) -> str:
    known = recorder.as_json()
    text = (
        f"{recorder.path}: {known['seconds']:.1f} s at {recorder.sample_rate} Hz, peak {known['peak_dbfs']:.1f} dBFS, "
        f"{known['clipped_samples']} samples clipped, {known['labels']} labels, {recorder.lost} samples lost"
    )
    return text + (f"; {recorder.sidecar.name} tells where" if recorder.losses else "")


@contextmanager
def _meter() -> Iterator[Callable[[str], None]]:
    """A line that is written again and again; without a terminal a line each."""
    from rich.live import Live
    from rich.text import Text

    if not console.is_terminal:
        yield lambda text: console.print(text, soft_wrap=True)
        return
    with Live(Text(), console=console, refresh_per_second=10, transient=True) as live:
        yield lambda text: live.update(Text(text, no_wrap=True, overflow="crop"))


@contextmanager
def _keys() -> Iterator[bool]:
    """Whether single keys can be read from here on; the terminal is put back afterwards."""
    if not sys.stdin.isatty():
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed() -> Iterator[str]:
    """The keys that wait; "" at the end of the input."""
    while select.select([sys.stdin], [], [], 0)[0]:
        data = os.read(sys.stdin.fileno(), 64)
        yield from data.decode(errors="replace") or [""]
        if not data:
            return
