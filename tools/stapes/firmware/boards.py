"""What is known of every board: firmware/boards/NAME/board.toml, typed and validated in one place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stapes.definitions import firmware_dir
from stapes.errors import BuildError
from stapes.firmware.build import board_names, require_board

Proof = Literal["board", "renode", "qemu", "build"]
"""Where an image was seen to work: on the board itself, in an emulator, or only that it builds and links."""

PROOFS: tuple[Proof, ...] = get_args(Proof)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Flashers(_Table):
    """What each flashing tool calls the chip; None where the tool does not know it."""

    pyocd: str | None = Field(None, description="target type (`pyocd list --targets`)")
    openocd: str | None = Field(None, description="configuration of the target, e.g. target/stm32f4x.cfg")
    st_flash: bool = Field(False, description="whether st-flash (stlink) writes it")
    stm32loader: str | None = Field(
        None, description="family (`stm32loader --family`), through the UART bootloader"
    )
    esptool: str | None = Field(None, description="chip (`esptool --chip`)")


class Protection(_Table):
    """A register that tells whether the flash is protected: its bits under `mask` equal `unlocked` when it is not."""

    address: int = Field(ge=0, le=0xFFFFFFFF)
    mask: int = Field(ge=1, le=0xFFFFFFFF)
    unlocked: int = Field(ge=0, le=0xFFFFFFFF)


class FlashTiming(_Table):
    """What code and data in flash wait for; the wait states themselves are what the firmware writes to `control`."""

    control: int = Field(ge=0, le=0xFFFFFFFF, description="address of FLASH_ACR")
    row_bytes: int = Field(ge=4, description="read at once")
    instruction_rows: int = Field(ge=0, description="that the cache of instructions keeps")
    data_rows: int = Field(ge=0, description="that the cache of data keeps")


class Usb(_Table):
    """A USB device that the board shows: its probe or its serial port."""

    vid: int = Field(ge=1, le=0xFFFF)
    pid: int = Field(ge=1, le=0xFFFF)
    what: str = Field(min_length=1, description="e.g. ST-LINK/V2-1")


class Wiring(_Table):
    """Where a person connects what, as text for docs/boards.md, and how the host holds the line's DTR and RTS."""

    uart: str = ""
    microphone: str = ""
    dtr: bool = Field(
        False, description="active while the port is open; USB CDC of the chip itself may want it"
    )
    rts: bool = Field(False, description="active while the port is open")


class Board(_Table):
    """One board. Sizes in bytes; `ram_bytes` is the RAM that the linker script uses."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="the folder's name")
    title: str = Field(min_length=1)
    core: str = Field(min_length=1, description="e.g. Cortex-M4F")
    chip: str = Field(description="order code without package, e.g. STM32F407VG")
    flash_bytes: int = Field(0, ge=0, description="0: a program for the machine at hand")
    ram_bytes: int = Field(0, ge=0)
    flash_origin: int = Field(0, ge=0, le=0xFFFFFFFF, description="address of the first byte")
    device_ids: tuple[Annotated[int, Field(ge=0, le=0xFFF)], ...] = Field(
        (), strict=False, description="device id(s): bits 11 to 0 of DBGMCU_IDCODE"
    )
    device_id_address: int | None = Field(None, ge=0, le=0xFFFFFFFF, description="address of DBGMCU_IDCODE")
    flashers: Flashers = Flashers()
    protection: Protection | None = Field(None, description="read protection (RDP); None: not known")
    flash_timing: FlashTiming | None = Field(None, description="for estimates of cycles; None: not known")
    usb: tuple[Usb, ...] = Field((), strict=False)
    qemu: str | None = Field(None, description="machine of the target qemu:MACHINE")
    renode: str | None = Field(None, description="platform of the target renode:PLATFORM")
    wiring: Wiring = Wiring()
    verified: Annotated[tuple[Proof, ...], BeforeValidator(tuple)] = Field(min_length=1)

    @classmethod
    def load(cls, name: str) -> Board:
        """Read a board's description; `BuildError` for an unknown board or a description that is wrong."""
        require_board(name)
        return read_board(firmware_dir() / "boards" / name / "board.toml")


def read_board(path: Path) -> Board:
    """Read one board.toml. Every mistake in it is one `BuildError` that names the key."""
    try:
        with path.open("rb") as stream:
            board = Board.model_validate(tomllib.load(stream))
    except OSError as error:
        raise BuildError(
            f"cannot read {path}: {error.strerror}", hint="see docs/adding-a-board.md"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{path} is not TOML: {error}", hint="see docs/adding-a-board.md") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BuildError(f"{path}: {key}: {first['msg']}", hint="see docs/adding-a-board.md") from error
    if board.name != path.parent.name:
        raise BuildError(f"{path}: name: is {board.name!r}, the folder is {path.parent.name!r}")
    return board


def all_boards() -> list[Board]:
    """Every board that can be built, by name."""
    return [Board.load(name) for name in board_names()]
