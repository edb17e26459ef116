"""The real stm32loader flashes a boot loader that speaks ST's protocol on a pseudo-terminal."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stm32_rom import RomLoader

from stapes.errors import TargetError
from stapes.firmware import find_program
from stapes.firmware.boards import Board
from stapes.targets.flash import FlashResult, choose_tool, flash_image, read_image
from stapes.targets.flash.tool import Job

F407 = Board.load("stm32f4_discovery")

# A pseudo-terminal has neither RTS nor DTR (a person holds BOOT0 and presses RESET), and no parity.
SITE = """
import serial
serial.Serial._update_rts_state = serial.Serial._update_dtr_state = lambda self: None
from serial import serialposix
configure = serialposix.Serial._reconfigure_port
def without_parity(self, *args, **kwargs):
    self._parity = serial.PARITY_NONE
    configure(self, *args, **kwargs)
serialposix.Serial._reconfigure_port = without_parity
"""


@pytest.fixture
def content() -> bytes:
    return random.Random(5).randbytes(3000) + b"end"


@pytest.fixture
def flash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> Callable[[RomLoader], FlashResult]:
    if find_program("stm32loader") is None:
        pytest.skip("stm32loader is missing")
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "image.bin").write_bytes(content)

    def run(chip: RomLoader) -> FlashResult:
        job = Job(F407, read_image(tmp_path / "image.bin", F407, tmp_path), port=chip.port)
        return flash_image(choose_tool(F407, "stm32loader"), job, tmp_path / "flash.log")

    return run


@pytest.fixture
def chips() -> Iterator[Callable[..., RomLoader]]:
    made: list[RomLoader] = []

    def make(device_id: int, **options: bool) -> RomLoader:
        made.append(RomLoader(device_id, **options))
        return made[-1]

    yield make
    for chip in made:
        chip.close()


Make = Callable[..., RomLoader]
Flash = Callable[[RomLoader], FlashResult]


def test_the_image_arrives(flash: Flash, chips: Make, content: bytes) -> None:
    chip = chips(0x413)
    result = flash(chip)
    assert result.identity.text == "0x413"
    assert chip.flash[: len(content)] == content
    assert set(chip.flash[len(content) + 4 :]) == {0xFF}
    assert chip.journal == ["erase", *["write"] * 12, "go 0x0"]


def test_another_chip_keeps_what_it_has(flash: Flash, chips: Make) -> None:
    chip = chips(0x415)
    with pytest.raises(TargetError, match=r"the chip that answers is 0x415, stm32f4_discovery .* has 0x413"):
        flash(chip)
    assert chip.journal == [] and set(chip.flash) == {0}


def test_a_protected_chip_is_explained(flash: Flash, chips: Make) -> None:
    chip = chips(0x413, protected=True)
    with pytest.raises(TargetError, match="the chip is locked"):
        flash(chip)
    assert chip.journal == []


def test_a_worn_flash_is_found_by_the_verification(flash: Flash, chips: Make) -> None:
    with pytest.raises(TargetError, match="verification failed"):
        flash(chips(0x413, weak=True))
