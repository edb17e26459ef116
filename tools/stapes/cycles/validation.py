"""How wrong the estimate is: published cycles of silicon (figures.toml) against ours of the same programs."""

from __future__ import annotations

import statistics
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from stapes.errors import TargetError
from stapes.firmware.boards import Board

CORE = "Cortex-M4"


@dataclass(frozen=True)
class Figure:
    """One program; cycles are of one call."""

    name: str
    published: int
    estimate: int

    @property
    def error(self) -> float:
        """Percent; positive where the estimate is too high."""
        return 100 * (self.estimate / self.published - 1)


@dataclass(frozen=True)
class Source:
    """Who published figures of which chip, and what its flash was set to."""

    title: str
    address: str
    chip: str
    clock: str
    wait_states: int
    row_bytes: int
    instruction_rows: int
    data_rows: int
    data: bool
    program: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class KnownError:
    """Percent, without signs, over so many figures."""

    figures: int
    median: float
    worst: float


@cache
def sources() -> tuple[Source, ...]:
    """All of figures.toml."""
    text = resources.files("stapes.cycles").joinpath("figures.toml").read_text(encoding="utf-8")
    return tuple(
        Source(
            **{key: value for key, value in each.items() if key != "figures"},
            figures=tuple(Figure(**row) for row in each["figures"]),
        )
        for each in tomllib.loads(text)["sources"]
    )


def known_error(board: Board) -> KnownError:
    """How wrong the estimate was for programs that read data from a flash like the board's. Raises `TargetError` with
    the reason where nobody published what would tell: then no time is estimated.
    """

    def refuse(reason: str) -> TargetError:
        return TargetError(f"no time is estimated for {board.name}: {reason}", hint="see docs/cycles.md")

    if not board.core.startswith(CORE):
        raise refuse(f"only the {CORE} has its timings here, this is a {board.core}")
    timing = board.flash_timing
    if timing is None:
        raise refuse("it is an emulator's machine, or nothing is known of its flash")
    geometry = (timing.row_bytes, timing.instruction_rows, timing.data_rows)
    errors = [
        abs(figure.error)
        for source in sources()
        if (source.row_bytes, source.instruction_rows, source.data_rows) == geometry
        and source.wait_states > 0
        and source.data
        for figure in source.figures
    ]
    if not errors:
        raise refuse("no program that reads its data from a flash like this one has published figures here")
    return KnownError(len(errors), statistics.median(errors), max(errors))
