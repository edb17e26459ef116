"""What a target must run: the generated files and the program, built where the target's firmware is ours to build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stapes.codegen import Generated, generate, generated_before
from stapes.errors import BuildError
from stapes.firmware import BuildResult, build_bundle, build_firmware
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle
from stapes.targets import board_for_target, require_target

APPS = ("hil", "live", "record")
"""Applications that answer a hello: the harness's server, the one that listens for ever, and the recorder, which needs
no bundle.
"""


HISTORY = "STAPES_LIVE_HISTORY"
"""Samples of sound that the application that listens keeps, 2 B of RAM each; firmware/app/live_history.h."""


@dataclass(frozen=True)
class Prepared:
    """Firmware for one target: the generated files and the program (None for a board that runs it already)."""

    target: str
    generated: Generated
    build: BuildResult | None

    @property
    def elf(self) -> Path | None:
        """The program, where it was built here."""
        return self.build.elf if self.build else None

    @property
    def build_id(self) -> str | None:
        """What the device must name as its build, where it was built here."""
        return self.build.build_id if self.build else None


def prepare(
    bundle: Bundle,
    target: str,
    directory: Path,
    app: str = APPS[0],
    *,
    definitions: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> Prepared:
    """Generate and build what `target` must run, under `directory`; says at once what is missing for that.

    `definitions` are further CMake variables.
    """
    require_target(target)
    board = board_for_target(target)
    if board is None:
        return Prepared(target, generate(bundle, directory / "generated"), None)
    out = build_directory(directory, board, app)
    build = build_bundle(bundle, directory, board, out, app, definitions=definitions, progress=progress)
    return Prepared(target, generated_before(bundle, directory / "generated"), build)


def build_directory(directory: Path, board: str, app: str) -> Path:
    """Where a board's application is built under a bundle's `directory`."""
    return directory / (board if app == APPS[0] else f"{board}-{app}")


def live_definitions(app: str, history_seconds: float | None, sample_rate: int) -> dict[str, str]:
    """CMake variables of the application that listens, with the sound that it keeps for the host; `BuildError` for
    others.
    """
    if history_seconds and app != "live":
        raise BuildError(
            f"the application {app} keeps no sound", hint="give --app live, or leave --history-seconds out"
        )
    samples = round((history_seconds or 0.0) * sample_rate)
    return {HISTORY: str(samples)} if samples else {}


def history_text(definitions: dict[str, str]) -> str:
    """What the sound that is kept costs."""
    samples = int(definitions[HISTORY])
    return f"keeps the newest {samples:,} samples of sound for the host: {2 * samples:,} B of this RAM"


def prepare_recorder(target: str, directory: Path, *, progress: Progress = no_progress) -> BuildResult | None:
    """Build the recorder for a target whose firmware is started here; None for a board, which has it."""
    require_target(target)
    board = board_for_target(target)
    if board is None or target.startswith("board:"):
        return None
    return build_firmware(
        None, board, build_directory(directory, board, "record"), "record", progress=progress
    )
