"""Boards with each kind of microphone build the listening application, with driver and room for its interrupt."""

import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from live_bundle import make_live_bundle

from stapes.codegen import generate
from stapes.firmware import build_firmware

# Number of the DMA's interrupt.
BOARDS = {
    "stm32f4_discovery": 14,
    "nucleo_f767zi": 14,
    "nucleo_l476rg": 11,
    "stm32f072b_discovery": 9,
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("live")
    return generate(make_live_bundle(directory / "bundle"), directory / "generated").directory


@pytest.mark.parametrize("board", BOARDS)
def test_the_live_application_has_the_boards_microphone(board: str, generated: Path, tmp_path: Path) -> None:
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is missing")
    build = build_firmware(generated, board, tmp_path, "live")
    with build.elf.open("rb") as stream:
        symbols = {
            symbol.name: symbol for symbol in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()
        }
    assert symbols["board_audio"]["st_info"]["bind"] == "STB_GLOBAL"  # not the weak one that answers NULL
    handler = f"cortex_m_interrupt_{BOARDS[board]}"
    assert symbols[handler]["st_info"]["bind"] == "STB_GLOBAL"
    stack = symbols["__stack_top"]["st_value"] - symbols["__stack_limit"]["st_value"]
    assert build.stack_bytes <= stack  # with both interrupts, the UART's in the microphone's
