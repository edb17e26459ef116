"""Which chip answers, and which one the board has."""

from __future__ import annotations

from dataclasses import dataclass

from stapes.firmware.boards import Board

DEVICE_ID_MASK = 0xFFF
"""The DEV_ID field of an STM32's DBGMCU_IDCODE register; above it is the revision."""

PROBE_KINDS = {0x0483: "st-link", 0x0D28: "cmsis-dap", 0x1366: "j-link"}
"""USB vendor of a board's own probe, and what openocd calls that kind."""


@dataclass(frozen=True)
class Identity:
    """Who answered: an STM32's device id as `0x413`, an Espressif chip as `esp32c3`. `locked` is whether its flash is
    protected against reading, None where the program cannot tell.
    """

    text: str
    locked: bool | None = None


def device_id(idcode: int) -> str:
    """An STM32's IDCODE register as an identity."""
    return f"0x{idcode & DEVICE_ID_MASK:03x}"


def expected_identities(board: Board) -> tuple[str, ...]:
    """What the board's chip answers; empty where that is not known."""
    if board.flashers.esptool:
        return (board.flashers.esptool,)
    return tuple(device_id(value) for value in board.device_ids)


def tool_targets(board: Board) -> dict[str, str]:
    """What each program that can flash the board calls its chip, the preferred program first."""
    flashers = board.flashers
    names = {
        "esptool": flashers.esptool,
        "pyocd": flashers.pyocd,
        "openocd": flashers.openocd,
        "st-flash": board.chip if flashers.st_flash else None,
        "stm32loader": flashers.stm32loader,
    }
    return {tool: name for tool, name in names.items() if name}


def probe_kind(board: Board) -> str:
    """`st-link`, `cmsis-dap` or `j-link`: the probe on the board; an ST-Link where it has none."""
    return next((PROBE_KINDS[usb.vid] for usb in board.usb if usb.vid in PROBE_KINDS), "st-link")


def registers_identity(board: Board, words: dict[int, int]) -> Identity | None:
    """From registers by address; None when one that was asked for is missing."""
    if board.device_id_address not in words:
        return None
    text = device_id(words[board.device_id_address])
    protection = board.protection
    if protection is None:
        return Identity(text)
    if protection.address not in words:
        return None
    return Identity(text, words[protection.address] & protection.mask != protection.unlocked)


def identity_registers(board: Board) -> list[int]:
    """Addresses of the registers that tell who answers and whether it is locked."""
    addresses = [] if board.device_id_address is None else [board.device_id_address]
    return addresses + ([board.protection.address] if board.protection else [])
