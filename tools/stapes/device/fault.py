"""What a device says of its last restart, with the name of the function from the program's ELF."""

from __future__ import annotations

import logging
from pathlib import Path

from stapes.errors import LinkError, StapesError
from stapes.link import Client, Fault, Hello

_log = logging.getLogger(__name__)


def symbol_at(elf: Path, address: int) -> str | None:
    """The function of the program `elf` that holds `address`, as `name+0xOFFSET`; None when none does."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    with elf.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
        table = ELFFile(stream).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return None
        for symbol in table.iter_symbols():
            start = symbol["st_value"] & ~1  # bit 0 says Thumb
            if symbol["st_info"]["type"] == "STT_FUNC" and start <= address < start + symbol["st_size"]:
                return f"{symbol.name}+0x{address - start:x}"
    return None


def describe_fault(fault: Fault, elf: Path | None) -> str:
    """One line: what happened, where, and in which function of `elf` where that is known."""
    return fault.describe(symbol_at(elf, fault.pc) if elf and fault.pc else None)


def explain_loss(error: LinkError, client: Client, hello: Hello, elf: Path | None) -> LinkError:
    """What lies behind a link that broke: where the device restarted, that, and after which fault; else `error`."""
    try:
        client.hello()
        fault = client.fault()
    except StapesError as silence:
        _log.debug("after %r it does not say why: %s", error.message, silence.message)
        return error
    if fault is not None:
        return LinkError(
            f"{hello.board} restarted after {describe_fault(fault, elf)}",
            hint="look at that function; --uart-log DIR shows the request before it",
        )
    if "STAPES_E_SESSION" in error.message:
        return LinkError(
            f"{hello.board} restarted in the middle, without a fault of its own",
            hint="check its power supply and its reset line, and that nobody else uses the port",
        )
    return error
