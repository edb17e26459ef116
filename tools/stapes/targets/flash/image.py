"""The bytes that go into flash: one block from a linked ELF, packed where the chip's loader wants that, or a .bin as
it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stapes.errors import BuildError
from stapes.files import sha256, write_atomic
from stapes.firmware.boards import Board
from stapes.firmware.pack import needs_packing, pack_image

ERASED = b"\xff"


@dataclass(frozen=True)
class Image:
    """A raw file and the address where it goes; `sha256` is of the file's bytes."""

    path: Path
    address: int
    size: int
    sha256: str


def read_image(source: Path, board: Board, directory: Path) -> Image:
    """`source` (.elf or .bin) as one raw file for `board`; an ELF's is written to `directory`/flash.bin.

    Raises `BuildError` when the file is neither, or does not fit where the board's flash is.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise BuildError(f"{source}: {error.strerror}", hint="build it, or give another --image") from error
    path = directory / "flash.bin"
    if data[:4] == b"\x7fELF" and needs_packing(board):
        pack_image(source, board, path)
        data = path.read_bytes()
    elif data[:4] == b"\x7fELF":
        data = _flash_content(source, board)
        write_atomic(path, data)
    elif source.suffix == ".bin":
        path = source.absolute()
    else:
        raise BuildError(
            f"{source} is neither an ELF nor a .bin", hint="give the file that `stapes build` made"
        )
    if not 0 < len(data) <= board.flash_bytes:
        raise BuildError(
            f"{source} has {len(data):,} bytes for flash; {board.chip} holds {board.flash_bytes:,}",
            hint="choose a smaller model or another board",
        )
    return Image(path.absolute(), board.flash_origin, len(data), sha256(data))


def _flash_content(elf_path: Path, board: Board) -> bytes:
    """All loaded bytes from the flash's first address on; gaps are as after erasing."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    content = bytearray()
    try:
        with elf_path.open("rb") as stream:
            segments = [s for s in ELFFile(stream).iter_segments("PT_LOAD") if s["p_filesz"]]
            for segment in sorted(segments, key=lambda s: int(s["p_paddr"])):
                start = segment["p_paddr"] - board.flash_origin
                if start < 0 or start + segment["p_filesz"] > board.flash_bytes:
                    raise BuildError(
                        f"{elf_path} has bytes at {segment['p_paddr']:#010x}, outside of {board.chip}'s flash",
                        hint=f"build it for {board.name}",
                    )
                content += ERASED * (start - len(content))
                content[start : start + segment["p_filesz"]] = segment.data()
    except ELFError as error:
        raise BuildError(f"{elf_path}: {error}", hint="build it again") from error
    return bytes(content)
