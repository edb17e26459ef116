"""What a target must run: the generated files and the program, built where the target's firmware is ours to build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stapes.codegen import Generated, generate, generated_before
from stapes.firmware import BuildResult, build_bundle, build_firmware
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle
from stapes.targets import board_for_target, require_target

APPS = ("hil", "live", "record")
"""Applications that answer a hello: the harness's server, the one that listens for ever, and the recorder, which needs
no bundle.
"""


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
    progress: Progress = no_progress,
) -> Prepared:
    """Generate and build what `target` must run, under `directory`; says at once what is missing for that."""
    require_target(target)
    board = board_for_target(target)
    if board is None:
        return Prepared(target, generate(bundle, directory / "generated"), None)
    out = build_directory(directory, board, app)
    build = build_bundle(bundle, directory, board, out, app, progress=progress)
    return Prepared(target, generated_before(bundle, directory / "generated"), build)


def build_directory(directory: Path, board: str, app: str) -> Path:
    """Where a board's application is built under a bundle's `directory`."""
    return directory / (board if app == APPS[0] else f"{board}-{app}")


def prepare_recorder(target: str, directory: Path, *, progress: Progress = no_progress) -> BuildResult | None:
    """Build the recorder for a target whose firmware is started here; None for a board, which has it."""
    require_target(target)
    board = board_for_target(target)
    if board is None or target.startswith("board:"):
        return None
    return build_firmware(
        None, board, build_directory(directory, board, "record"), "record", progress=progress
    )
