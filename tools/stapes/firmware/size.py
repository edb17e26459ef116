"""Flash and RAM of a linked ELF, from its sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

STACK_SECTION = ".stack"


@dataclass(frozen=True)
class Sizes:
    """Bytes. `flash` holds code, constants and the initial values of data; `ram` holds data, not the
    stack.
    """

    flash: int
    ram: int


def measure(elf_path: Path) -> Sizes:
    """Sum the sections that occupy memory."""
    flash = ram = 0
    with elf_path.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or section.name == STACK_SECTION:
                continue
            if section["sh_type"] != "SHT_NOBITS":
                flash += section["sh_size"]
            if section["sh_flags"] & SH_FLAGS.SHF_WRITE:
                ram += section["sh_size"]
    return Sizes(flash, ram)
