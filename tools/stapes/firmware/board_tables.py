"""What is known of the boards as tables: for the terminal, and for docs/boards.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stapes.errors import TooLargeError
from stapes.firmware.boards import Board
from stapes.firmware.build import BuildResult, build_firmware

PROVEN = {"board": "the board itself", "renode": "Renode", "qemu": "QEMU"}


@dataclass(frozen=True)
class TextTable:
    """Column titles and rows of plain text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As a Markdown table, one line per row."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def board_table(boards: Sequence[Board]) -> TextTable:
    """Chip, memory, and where an image was seen to work."""
    return TextTable(
        ("board", "", "core", "flash", "RAM", "checked in"),
        tuple(
            (
                f"`{board.name}`",
                f"{board.title} ({board.chip})" if board.chip else board.title,
                board.core,
                _kib(board.flash_bytes),
                _kib(board.ram_bytes),
                _proof(board),
            )
            for board in boards
        ),
    )


def wiring_table(boards: Sequence[Board]) -> TextTable:
    """Where the UART and a microphone are connected; boards that exist in emulators alone are left out."""
    return TextTable(
        ("board", "UART", "microphone"),
        tuple(
            (f"`{board.name}`", board.wiring.uart or "none", board.wiring.microphone or "none")
            for board in boards
            if board.wiring.uart
        ),
    )


@dataclass(frozen=True)
class Fit:
    """How one board's image came out; `built` is None where it does not fit."""

    board: Board
    built: BuildResult | None

    @property
    def text(self) -> tuple[str, str]:
        """Flash, and RAM with the deepest stack, in bytes and of what the board has."""
        if self.built is None:
            return "does not fit", "does not fit"
        ram = self.built.ram_bytes + self.built.stack_bytes
        return _share(self.built.flash_bytes, self.board.flash_bytes), _share(ram, self.board.ram_bytes)


def build_fit(board: Board, generated: Path, out_dir: Path) -> Fit:
    """Build the test server of one board. `BuildError` for every failure but an image that is too large."""
    try:
        return Fit(board, build_firmware(generated, board.name, out_dir))
    except TooLargeError:
        return Fit(board, None)


def fit_table(bundles: Sequence[str], fits: Sequence[Sequence[Fit]]) -> TextTable:
    """`fits`: for every bundle one per board, the same boards in the same order."""
    titles = tuple(title for name in bundles for title in (f"{name}: flash", "RAM and stack"))
    rows = []
    for of_board in zip(*fits, strict=True):
        cells = tuple(cell for fit in of_board for cell in fit.text)
        rows.append((f"`{of_board[0].board.name}`", *cells))
    return TextTable(("board", *titles), tuple(rows))


def _proof(board: Board) -> str:
    said = [PROVEN[proof] for proof in board.verified if proof in PROVEN]
    return ", ".join(said) or "nothing: it builds"


def _kib(size: int) -> str:
    if not size:
        return ""
    return f"{size // (1024 * 1024)} MiB" if size % (1024 * 1024) == 0 else f"{size / 1024:.4g} KiB"


def _share(used: int, of: int) -> str:
    return f"{used:,} B" + (f" ({100 * used / of:.0f} %)" if of else "")
