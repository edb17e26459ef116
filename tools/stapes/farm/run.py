"""All boards of a farm at once: a process for each, as many as this computer bears, and one report."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from stapes.errors import TargetError
from stapes.farm.boards import FarmBoard
from stapes.farm.work import Order, Outcome, serve
from stapes.recipe import Bundle
from stapes.targets import runs_here

GRACE_SECONDS = 20.0
"""From the wish to end until a board's process is killed."""

LINE_SHARE = 0.25
"""Of a core, for a board that computes by itself: an emulated one takes a whole core."""

Watch = Callable[[str, str, int, int], None]
"""Called with a board's name, what it is doing, how much is done and how much there is."""


@dataclass
class BoardReport:
    """What became of each bundle on one board."""

    board: FarmBoard
    outcomes: list[Outcome] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Part of `stapes farm --json`."""
        return {
            "name": self.board.name,
            "target": self.board.way,
            "labels": list(self.board.labels),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


@dataclass
class FarmReport:
    """All of it; `stopped` is the interrupt that ended it early."""

    action: str
    boards: list[BoardReport]
    seconds: float = 0.0
    stopped: KeyboardInterrupt | None = None

    @property
    def outcomes(self) -> list[tuple[FarmBoard, Outcome]]:
        """Every outcome with its board."""
        return [(each.board, outcome) for each in self.boards for outcome in each.outcomes]

    @property
    def passed(self) -> bool:
        """Something was done, and nothing failed or was left undone."""
        statuses = {outcome.status for _, outcome in self.outcomes}
        return "passed" in statuses and statuses <= {"passed", "skipped"}

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes farm --json`."""
        return {
            "action": self.action,
            "passed": self.passed,
            "interrupted": self.stopped is not None,
            "seconds": self.seconds,
            "boards": [board.as_json() for board in self.boards],
        }


@dataclass
class _Running:
    """A board's process."""

    process: BaseProcess
    pipe: Connection
    report: BoardReport
    bundles: Sequence[str]
    building: bool = True
    ended: bool = False

    @property
    def share(self) -> float:
        return 1.0 if runs_here(self.report.board.way) else LINE_SHARE


def _nothing(board: str, what: str, done: int, total: int) -> None:
    """Watch nothing."""


def run_farm(
    boards: Sequence[FarmBoard], order: Order, *, jobs: int | None = None, watch: Watch = _nothing
) -> FarmReport:
    """Do what `order` asks on every board, `jobs` at once (without it as many as there are cores, four real boards for
    one core). A board that fails, vanishes or whose process dies stops no other; an interrupt ends all, and the report
    has what was done by then.
    """
    names = [Bundle.load(path).manifest.name for path in order.bundles]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise TargetError(
            f"two bundles are named {twice}", hint="give one of them, or rename it in its bundle.json"
        )
    report = FarmReport(order.action, [BoardReport(board) for board in boards])
    farm = _Farm(report, order, names, jobs, watch)
    begin = time.monotonic()
    try:
        farm.run()
    except KeyboardInterrupt as interrupt:
        report.stopped = interrupt
        farm.end()
    finally:
        farm.kill()
    report.seconds = time.monotonic() - begin
    return report


class _Farm:
    """Boards that wait, boards that run."""

    def __init__(
        self, report: FarmReport, order: Order, names: Sequence[str], jobs: int | None, watch: Watch
    ) -> None:
        self._order = order
        self._names = names
        self._jobs = jobs
        self._watch = watch
        self._waiting = list(report.boards)
        self._running: list[_Running] = []
        self._context = multiprocessing.get_context("spawn")

    def run(self) -> None:
        """Until every board is done."""
        while self._waiting or self._running:
            while (chosen := self._next()) is not None:
                self._start(chosen)
            self._listen(None)

    def end(self) -> None:
        """Ask every process to end, and take what it has to say."""
        for each in self._waiting:
            self._missing(each, "interrupted", "not begun")
        self._waiting.clear()
        for running in self._running:
            running.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        with suppress(KeyboardInterrupt):  # a second one: enough
            while self._running and time.monotonic() < deadline:
                self._listen(deadline - time.monotonic())
        for running in self._running:
            self._missing(running.report, "interrupted", "ended before it could say more")

    def kill(self) -> None:
        """Whatever still runs."""
        for running in self._running:
            running.process.kill()
            running.process.join()

    def _next(self) -> BoardReport | None:
        """The board to begin with now: one whose firmware nobody is just building, if this computer bears it."""
        if self._jobs is not None and len(self._running) >= self._jobs:
            return None
        load = sum(running.share for running in self._running)
        built = {running.report.board.firmware for running in self._running if running.building}
        for each in self._waiting:
            share = 1.0 if runs_here(each.board.way) else LINE_SHARE
            busy = self._jobs is None and self._running and load + share > (os.cpu_count() or 1)
            if not busy and (each.board.firmware is None or each.board.firmware not in built):
                return each
        return None

    def _start(self, chosen: BoardReport) -> None:
        self._waiting.remove(chosen)
        bundles = [name for name in self._names if chosen.board.takes(name)]
        if not bundles:
            return
        ours, theirs = self._context.Pipe(duplex=False)
        arguments = (theirs, chosen.board, self._order)
        process = self._context.Process(target=serve, args=arguments, name=chosen.board.name, daemon=True)
        process.start()
        theirs.close()
        self._running.append(_Running(process, ours, chosen, bundles))
        self._watch(chosen.board.name, "begins", 0, 0)

    def _listen(self, seconds: float | None) -> None:
        """Take what processes say, wait `seconds` for that at most."""
        ready = wait([running.pipe for running in self._running], seconds) if self._running else []
        for running in [running for running in self._running if running.pipe in ready]:
            try:
                kind, *rest = running.pipe.recv()
            except (EOFError, OSError):
                self._gone(running)
                continue
            if kind == "at":
                self._watch(running.report.board.name, *rest)
            elif kind == "built":
                running.building = False
            elif kind == "outcome":
                running.report.outcomes.append(*rest)
                self._watch(running.report.board.name, rest[0].status, 0, 0)
            else:
                running.ended = True

    def _gone(self, running: _Running) -> None:
        """The process has closed its end."""
        self._running.remove(running)
        running.pipe.close()
        running.process.join()
        if running.ended:
            self._missing(running.report, "interrupted", "not begun")
            return
        code = running.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        hint = f"see {self._order.of(running.report.board) / 'farm.log'}"
        self._missing(running.report, "failed", f"the process that served this board was {how}", hint)

    def _missing(self, report: BoardReport, status: Any, message: str, hint: str = "") -> None:
        """An outcome for every bundle of the board that has none."""
        told = {outcome.bundle for outcome in report.outcomes}
        for name in self._names:
            if report.board.takes(name) and name not in told:
                report.outcomes.append(Outcome(name, status, message, hint))
                self._watch(report.board.name, status, 0, 0)
