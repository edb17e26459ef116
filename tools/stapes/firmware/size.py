"""Flash and RAM of a linked ELF, from its sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

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


@dataclass(frozen=True)
class Placed:
    """A function or an object in memory: `size` in bytes, `memory` is "flash" or "RAM"."""

    name: str
    size: int
    memory: str


def largest_objects(out_dir: Path) -> list[Placed]:
    """What is in the object files of a build that need not have been linked, the largest first."""
    found = []
    for path in sorted(out_dir.rglob("*.obj")):
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            symbols = elf.get_section_by_name(".symtab")
            if not isinstance(symbols, SymbolTableSection):
                continue
            for symbol in symbols.iter_symbols():
                section = symbol["st_shndx"]  # a name where it is none of the file's
                if symbol["st_info"]["type"] in ("STT_OBJECT", "STT_FUNC") and isinstance(section, int):
                    is_data = elf.get_section(section)["sh_flags"] & SH_FLAGS.SHF_WRITE
                    found.append(Placed(symbol.name, symbol["st_size"], "RAM" if is_data else "flash"))
    return sorted(found, key=lambda placed: -placed.size)
