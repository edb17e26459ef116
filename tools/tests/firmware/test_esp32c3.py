"""The ESP32-C3's image, read back as the chip's ROM reads it: esptool is the independent reader."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.codegen import generate
from stapes.errors import BuildError, ToolError
from stapes.firmware import BuildResult, build_firmware, find_program
from stapes.firmware.boards import Board
from stapes.firmware.pack import needs_packing, pack_image

# ESP32-C3 Technical Reference Manual 1.3, 3.3.2: one memory on two buses; what the ROM needs while it loads begins at
# ROM_DATA (ESP-IDF, bootloader.memory.ld.in).
DRAM = range(0x3FC80000, 0x3FCE0000)
IRAM = range(0x40380000, 0x403E0000)
ROM_DATA = 0x3FCDC710


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bundle = make_small_bundle(tmp_path_factory.mktemp("small") / "bundle")
    return generate(bundle, tmp_path_factory.mktemp("generated")).directory


@pytest.fixture(scope="module")
def built(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    try:
        return build_firmware(generated, "esp32c3", tmp_path_factory.mktemp("esp32c3"))
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def packed(built: BuildResult) -> Path:
    path = built.elf.with_suffix(".bin")
    try:
        pack_image(built.elf, Board.load("esp32c3"), path)
    except ToolError as error:
        pytest.skip(str(error))
    return path


def segments(packed: Path) -> tuple[int, dict[int, bytes]]:
    """Entry point, and the loaded bytes by address."""
    reader = pytest.importorskip("esptool.bin_image")
    image: Any = reader.LoadFirmwareImage("esp32c3", str(packed))
    return image.entrypoint, {segment.addr: segment.data for segment in image.segments}


def test_esptool_accepts_it(packed: Path) -> None:
    esptool = find_program("esptool")
    assert esptool is not None
    said = subprocess.run([esptool, "image-info", packed], capture_output=True, text=True, check=True).stdout
    assert "Detected image type: ESP32-C3" in said
    assert "Minimal chip revision: v0.3" in said
    assert re.search(r"Checksum: 0x\w\w \(valid\)", said)
    assert re.search(r"Validation hash: \w{64} \(valid\)", said)


def test_every_segment_lies_where_the_rom_can_load_it(packed: Path) -> None:
    entry, loaded = segments(packed)
    assert len(loaded) <= 16  # what the ROM takes at most
    places = []
    for address, data in loaded.items():
        last = address + len(data) - 1
        bus = IRAM if address in IRAM else DRAM
        assert address in bus and last in bus
        assert address % 4 == 0
        start = address - bus.start + DRAM.start  # in the memory itself
        places.append(range(start, start + len(data)))
    assert max(place.stop for place in places) <= ROM_DATA
    for place, following in zip(
        sorted(places, key=lambda p: p.start), sorted(places, key=lambda p: p.start)[1:], strict=False
    ):
        assert place.stop <= following.start
    code = [range(address, address + len(data)) for address, data in loaded.items() if address in IRAM]
    assert any(entry in place for place in code)


def test_the_loaded_memory_is_the_linked_program(built: BuildResult, packed: Path) -> None:
    entry, loaded = segments(packed)
    memory = {address + i: byte for address, data in loaded.items() for i, byte in enumerate(data)}
    with built.elf.open("rb") as stream:
        elf = ELFFile(stream)
        assert entry == elf["e_entry"]
        symbols = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        for segment in elf.iter_segments("PT_LOAD"):
            start = segment["p_vaddr"]
            assert segment.data() == bytes(memory[start + i] for i in range(segment["p_filesz"]))
    assert entry == symbols["stapes_entry"]
    assert symbols["esp32c3_vectors"] % 256 == 0
    assert symbols["__stack_limit"] == DRAM.start  # an overflow leaves RAM
    assert not any(symbols["__stack_limit"] <= address < symbols["__stack_top"] for address in memory)


def test_code_and_data_share_the_memory_without_overlap(
    generated: Path, built: BuildResult, tmp_path: Path
) -> None:
    text = 'const unsigned char big[330000] = {1};\n#include "board.h"\n'
    text += "int main(void) {\n    board_init();\n    board_write(big, sizeof big);\n    board_exit(0);\n}\n"
    (tmp_path / "app.c").write_text(text)
    build_firmware(None, "esp32c3", built.elf.parent / "app", str(tmp_path / "app.c"))
    (tmp_path / "app.c").write_text(text.replace("330000", "380000"))
    with pytest.raises(
        BuildError,
        match=r"does not fit esp32c3: .* bytes too small; the largest things there are big 380,000 B",
    ):
        build_firmware(None, "esp32c3", built.elf.parent / "app", str(tmp_path / "app.c"))


def test_the_command_packs(built: BuildResult, packed: Path, tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle").directory
    report = tmp_path / "build.json"
    arguments = [
        "build",
        str(bundle),
        "--board",
        "esp32c3",
        "--out",
        str(tmp_path / "out"),
        "--json",
        str(report),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    image = Path(json.loads(report.read_text())["image"])
    assert image.read_bytes()[0] == 0xE9  # the image's magic
    assert image.stat().st_size % 16 == 0


def test_what_cannot_be_packed_is_one_line(tmp_path: Path, packed: Path) -> None:
    wrong = tmp_path / "wrong.elf"
    wrong.write_text("not an ELF")
    with pytest.raises(BuildError, match=r"esptool does not pack wrong.elf: .+") as caught:
        pack_image(wrong, Board.load("esp32c3"), tmp_path / "wrong.bin")
    assert "\n" not in caught.value.message
    assert "pack.log" in caught.value.hint


def test_only_espressif_boards_are_packed() -> None:
    assert needs_packing(Board.load("esp32c3"))
    assert not needs_packing(Board.load("stm32f4_discovery"))
