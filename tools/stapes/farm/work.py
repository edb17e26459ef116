"""What one process does for one board: build, wait for its turn, then bundle after bundle."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from stapes.bench.model import bench_model
from stapes.check import check_bundle, select_clips
from stapes.device import Prepared, prepare
from stapes.device.flash import flash_once
from stapes.errors import StapesError
from stapes.farm.boards import FarmBoard
from stapes.files import safe_name
from stapes.recipe import Bundle
from stapes.targets import line_of, runs_here, turn
from stapes.targets.process import die_with_parent

_log = logging.getLogger(__name__)

Action = Literal["check", "flash", "bench"]
Status = Literal["passed", "failed", "skipped", "interrupted"]
Tell = Callable[..., None]
"""Called with what to say: "at", what, done, total; "built"; "outcome", the `Outcome`."""


@dataclass(frozen=True)
class Order:
    """What is asked of every board. `directory` receives what is built, and a folder for each board."""

    action: Action
    bundles: tuple[Path, ...]
    directory: Path
    data: Path | None = None
    clips: int | None = None
    inputs: int = 200
    flash: bool = False
    """Flash real boards before a check, unless they hold the image already."""
    wait: float = 600.0
    """Seconds to wait for a board that somebody else uses."""
    uart_log: bool = False

    def of(self, board: FarmBoard) -> Path:
        """The folder of a board."""
        return self.directory / board.name


@dataclass(frozen=True)
class Outcome:
    """What became of one bundle on one board; `result` has the keys of `check --json`, `bench --json`, or `flashed`."""

    bundle: str
    status: Status
    message: str = ""
    hint: str = ""
    seconds: float = 0.0
    result: dict[str, Any] | None = None


def serve(pipe: Connection, board: FarmBoard, order: Order) -> None:
    """The process: tells through `pipe`, ends early at SIGTERM with what it has, and dies with whoever started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides what Ctrl-C means
    signal.signal(signal.SIGTERM, _interrupt)
    follow = die_with_parent()
    if follow:
        follow()
    order.of(board).mkdir(parents=True, exist_ok=True)
    log = logging.FileHandler(order.of(board) / "farm.log", "w", encoding="utf-8")
    log.setFormatter(logging.Formatter("%(relativeCreated)9.0f ms %(name)s: %(message)s"))
    logger = logging.getLogger("stapes")
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        work(board, order, lambda *message: pipe.send(message))
        pipe.send(("end",))
    except KeyboardInterrupt:
        pipe.send(("end",))
    finally:
        pipe.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def work(board: FarmBoard, order: Order, tell: Tell) -> None:
    """Build all that the board is for, wait for its turn, then tell the outcome of bundle after bundle."""
    ready: list[tuple[Bundle, Prepared | None]] = []
    for bundle in (Bundle.load(path) for path in order.bundles):
        name = bundle.manifest.name
        if not board.takes(name):
            continue
        reason = _nothing_to_do(board, order.action)
        if reason:
            tell("outcome", Outcome(name, "skipped", reason))
            continue
        with _accounted(name, tell):
            tell("at", f"builds {name}", 0, 0)
            ready.append((bundle, None if order.action == "bench" else _prepare(bundle, board, order, tell)))
    tell("built")
    with ExitStack() as stack:
        held = not ready
        for bundle, prepared in ready:
            with _accounted(bundle.manifest.name, tell) as begin:
                if not held:
                    _hold(stack, board, order.wait, tell)
                    held = True
                outcome = _run(bundle, prepared, board, order, tell)
                tell("outcome", replace(outcome, seconds=time.monotonic() - begin))
                if outcome.status == "interrupted":
                    return


def _nothing_to_do(board: FarmBoard, action: Action) -> str:
    """Why the board takes no part; empty where it does."""
    if action == "flash" and not board.way.startswith("board:"):
        return (
            "nothing to flash: a program of this computer"
            if runs_here(board.way)
            else "it names no board to flash"
        )
    if action == "bench" and not runs_here(board.way):
        return "a benchmark begins at a reset by hand: `stapes bench --target`"
    return ""


@contextmanager
def _accounted(bundle: str, tell: Tell) -> Iterator[float]:
    """Whatever is raised becomes the outcome of the bundle; only an interrupt goes on."""
    begin = time.monotonic()
    try:
        yield begin
    except KeyboardInterrupt:
        tell("outcome", Outcome(bundle, "interrupted", seconds=time.monotonic() - begin))
        raise
    except StapesError as error:
        _log.debug("%s: %s", bundle, error)
        seconds = time.monotonic() - begin
        tell("outcome", Outcome(bundle, "failed", error.message, error.hint, seconds))
    except Exception as error:
        _log.exception("%s", bundle)
        words = f"{type(error).__name__}: {error}"
        tell(
            "outcome", Outcome(bundle, "failed", words, "its farm.log has the rest", time.monotonic() - begin)
        )


def _prepare(bundle: Bundle, board: FarmBoard, order: Order, tell: Tell) -> Prepared:
    """Firmware for the board, in a folder that all boards of its kind share."""
    firmware = board.firmware
    place = order.directory / safe_name(bundle.manifest.name) / firmware if firmware else order.of(board)
    what = f"builds {bundle.manifest.name}"
    return prepare(bundle, board.way, place, progress=lambda _, done, total: tell("at", what, done, total))


def _hold(stack: ExitStack, board: FarmBoard, wait: float, tell: Tell) -> None:
    """Hold the board's line, if it has one, until the stack is unwound."""
    port = line_of(board.way)
    if port is not None:

        def waiting(holder: str) -> None:
            tell("at", f"waits for {holder or 'somebody else'}", 0, 0)

        stack.enter_context(turn(port, wait=wait, waiting=waiting))


def _run(bundle: Bundle, prepared: Prepared | None, board: FarmBoard, order: Order, tell: Tell) -> Outcome:
    name = bundle.manifest.name
    if prepared is None:
        return _bench(bundle, board, order, tell)
    flashed = None
    if prepared.build and board.way.startswith("board:") and (order.flash or order.action == "flash"):
        tell("at", f"flashes {name}", 0, 0)
        flashed = flash_once(
            bundle,
            board.way,
            prepared.build,
            probe=board.probe,
            tool=board.tool,
            out=order.of(board),
            again=order.action == "flash",
            progress=lambda what, done, total: tell("at", f"flashes {name}: {what}", done, total),
        )
    if order.action == "flash":
        return Outcome(name, "passed", result={"flashed": flashed, "build_id": prepared.build_id})
    tell("at", f"checks {name}", 0, 0)
    report = check_bundle(
        bundle,
        board.way,
        select_clips(bundle, order.data, order.clips),
        order.of(board),
        prepared=prepared,
        uart_log=order.of(board) / f"uart-{safe_name(name)}.log" if order.uart_log else None,
        progress=lambda what, done, total: tell("at", f"checks {name}", done, total),
    )
    difference = report.first_difference
    message = str(difference) if difference is not None else report.constants_problem or ""
    status: Status = "passed" if report.passed else "failed" if message else "interrupted"
    return Outcome(name, status, message, result=report.as_json())


def _bench(bundle: Bundle, board: FarmBoard, order: Order, tell: Tell) -> Outcome:
    name = bundle.manifest.name
    bench = bench_model(
        bundle.model,
        board.way,
        order.of(board) / f"bench-{safe_name(name)}",
        name=name,
        hop=bundle.manifest.window.hop_frames,
        inputs=order.inputs,
        progress=lambda what, done, total: tell("at", f"measures {name}: {what}", done, total),
    )
    message = (
        ""
        if bench.equal
        else f"{bench.different_outputs} of {bench.inputs} windows differ from {bench.reference}"
    )
    return Outcome(name, "passed" if bench.equal else "failed", message, result=bench.as_json())
