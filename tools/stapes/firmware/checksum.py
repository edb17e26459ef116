"""The CRC-32 of an image's constants, written into the image after linking and tested by the device.

firmware/app/device.c keeps a `stapes_checksum` structure: offset of the constants from itself, their size,
their CRC-32. On a bare-metal board the constants are all of `.text` (code and tables), on the host
`.rodata`.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from elftools.elf.elffile import ELFFile

SECTION = ".checksum"
_CHECKSUM = struct.Struct("<iII")


def read_checksum(elf_path: Path) -> tuple[int, int] | None:
    """Size and CRC-32 of the constants as `write_checksum` wrote them; None where it did not, or this is no ELF."""
    with elf_path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
        place = ELFFile(stream).get_section_by_name(SECTION)
        if place is None or place["sh_size"] < _CHECKSUM.size:
            return None
        _, size, crc = _CHECKSUM.unpack_from(place.data())
    return (size, crc) if size else None


def write_checksum(elf_path: Path) -> bool:
    """Fill in the structure; False when the image has none."""
    with elf_path.open("rb") as stream:
        elf = ELFFile(stream)
        place = elf.get_section_by_name(SECTION)
        constants = elf.get_section_by_name(".rodata") or elf.get_section_by_name(".text")
        if place is None or constants is None:
            return False
        offset = constants["sh_addr"] - place["sh_addr"]
        content = constants.data()
        position = place["sh_offset"]
    value = _CHECKSUM.pack(offset, len(content), zlib.crc32(content))
    with elf_path.open("rb") as stream:
        stream.seek(position)
        if stream.read(len(value)) == value:
            return True  # a program that runs now cannot be opened for writing
    with elf_path.open("r+b") as stream:
        stream.seek(position)
        stream.write(value)
    return True
