"""The file that a chip's own loader takes, where that is not simply the content of flash: Espressif's image format."""

from __future__ import annotations

from pathlib import Path

from stapes.errors import BuildError
from stapes.files import write_atomic
from stapes.firmware.boards import Board
from stapes.firmware.tools import require_program
from stapes.programs import run_program

# What every module with the chip can do; the ROM reads the image with these settings.
FLASH_SETTINGS = ("--flash-mode", "dio", "--flash-freq", "40m", "--flash-size", "4MB")
# Earlier silicon, which was hardly sold, wants another set-up of its analogue part.
OLDEST_REVISION = ("--min-rev-full", "3")


def needs_packing(board: Board) -> bool:
    """Whether the board's loader takes a packed image instead of the ELF's bytes."""
    return board.flashers.esptool is not None


def pack_image(elf: Path, board: Board, packed: Path) -> None:
    """Pack a linked ELF with `esptool elf2image` into `packed`; the conversation is in pack.log beside that.

    Raises `ToolError` without esptool, `BuildError` with its complaint.
    """
    assert board.flashers.esptool is not None
    command = [require_program("esptool"), "--chip", board.flashers.esptool, "elf2image"]
    command += [*FLASH_SETTINGS, *OLDEST_REVISION]
    done = run_program([*command, "--output", str(packed), str(elf)], seconds=120)
    said = done.stdout + done.stderr
    log = packed.with_name("pack.log")
    write_atomic(log, said)
    if done.returncode != 0:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise BuildError(
            f"esptool does not pack {elf.name}: {lines[-1] if lines else 'no output'}", hint=f"see {log}"
        )
