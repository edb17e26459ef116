"""Every board: a description that is true, an image that builds and lies where the chip has memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.codegen import generate
from stapes.errors import BuildError, ToolError
from stapes.firmware import BuildResult, board_names, build_firmware, firmware_dir
from stapes.firmware.board_tables import Fit, board_table, build_fit, fit_table, wiring_table
from stapes.firmware.boards import Board, all_boards, read_board
from stapes.firmware.build import require_compiler
from stapes.recipe import Bundle
from stapes.targets.renode import PLATFORMS
from stapes.targets.target import MACHINES

BOARDS = {board.name: board for board in all_boards()}
STM32 = [name for name, board in BOARDS.items() if board.chip.startswith("STM32")]
# The others are built, and run, by the tests of the targets and of the ESP32-C3.
NOT_EMULATED = [name for name in STM32 if not BOARDS[name].qemu]
DOCUMENT = firmware_dir().parent / "docs/boards.md"

GOOD = """name = "some_board"
title = "Some board"
core = "Cortex-M0"
chip = ""
verified = ["build"]
"""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("colour = 'red'", "colour"),
        ("title = ''", "title"),
        ("verified = []", "verified"),
        ("verified = ['hope']", "verified"),
        ("flash_bytes = '1 MiB'", "flash_bytes"),
        ("name = 'other'", "folder"),
        ("= nonsense", "not TOML"),
    ],
)
def test_a_wrong_description_is_one_error(tmp_path: Path, change: str, complaint: str) -> None:
    path = tmp_path / "some_board/board.toml"
    path.parent.mkdir()
    path.write_text(GOOD)
    assert read_board(path).name == "some_board"
    key = change.split(" ")[0]
    path.write_text("".join(line + "\n" for line in GOOD.splitlines() if not line.startswith(key)) + change)
    with pytest.raises(BuildError, match=complaint) as caught:
        read_board(path)
    assert "\n" not in caught.value.message


def test_unknown_boards_are_named_with_the_choices() -> None:
    with pytest.raises(BuildError, match="unknown board 'vax'") as caught:
        Board.load("vax")
    assert "stm32f4_discovery" in caught.value.hint


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_descriptions_agree_with_the_targets(board: Board) -> None:
    assert board.name in board_names()
    if board.qemu:
        assert MACHINES[board.qemu].board == board.name
    if board.renode:
        assert PLATFORMS[board.renode].board == board.name
    assert ("qemu" in board.verified) <= (board.qemu is not None)
    assert ("renode" in board.verified) <= (board.renode is not None)


@pytest.mark.parametrize("name", STM32)
def test_every_stm32_can_be_flashed_and_recognised(name: str) -> None:
    board = BOARDS[name]
    assert board.flashers.pyocd and board.flashers.openocd and board.flashers.st_flash
    assert board.flashers.pyocd.startswith(board.chip.lower())
    assert len(board.device_ids) == 1 and board.device_id_address and board.protection
    assert board.usb and board.wiring.uart
    assert board.flash_origin == 0x08000000


Build = Callable[[str, str], BuildResult]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    directory = tmp_path_factory.mktemp("boards")
    generated = generate(
        make_small_bundle(directory / "bundle", name="app"), directory / "generated"
    ).directory

    def run(board: str, application: str) -> BuildResult:
        try:
            require_compiler(board)
        except ToolError as error:
            pytest.skip(str(error))
        return build_firmware(generated, board, directory / board, application)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", NOT_EMULATED)
def test_every_application_builds_without_a_warning(name: str, build: Build) -> None:
    for application in ("bench_model", "bench_frontend", "live", "hil"):
        built = build(name, application)
        assert "warning" not in (built.elf.parent / "build.log").read_text()
        assert_fits(BOARDS[name], built)


def assert_fits(board: Board, built: BuildResult) -> None:
    """Sections lie in the chip's memory, in the order that makes a stack overflow a fault."""
    with built.elf.open("rb") as stream:
        elf = ELFFile(stream)
        sections = {section.name: section.header for section in elf.iter_sections()}
        symbols = {
            symbol.name: symbol["st_value"] for symbol in elf.get_section_by_name(".symtab").iter_symbols()
        }
        loaded = [segment.header for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
    vectors = sections[".text"]["sh_addr"]
    assert vectors == board.flash_origin == symbols["stapes_vectors"]
    flash_end = board.flash_origin + board.flash_bytes
    for segment in loaded:
        assert (
            board.flash_origin <= segment["p_paddr"] <= segment["p_paddr"] + segment["p_filesz"] <= flash_end
        )
        assert segment["p_memsz"] == segment["p_filesz"], "a loader would clear RAM that outlives a restart"
    stack, noinit = sections[".stack"], sections[".noinit"]
    ram = stack["sh_addr"]
    assert ram == symbols["__stack_limit"] and ram % 0x1000 == 0, "nothing lies below the stack"
    assert stack["sh_size"] >= built.stack_bytes
    assert symbols["__stack_top"] % 8 == 0
    assert symbols["__bss_end"] <= noinit["sh_addr"], "start-up must leave it alone"
    assert noinit["sh_addr"] + noinit["sh_size"] <= ram + board.ram_bytes
    assert noinit["sh_size"] >= 36


@pytest.mark.parametrize("name", STM32)
def test_memory_is_what_the_linker_script_says(name: str) -> None:
    script = (firmware_dir() / "boards" / name / "memory.ld").read_text()
    found = re.findall(r"(FLASH|RAM) .*ORIGIN = (0x\w+), LENGTH = (\d+)K", script)
    (_, origin, flash), (_, _, ram) = found
    board = BOARDS[name]
    assert (int(origin, 16), int(flash) * 1024, int(ram) * 1024) == (
        board.flash_origin,
        board.flash_bytes,
        board.ram_bytes,
    )


def test_the_document_shows_what_the_command_prints() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert board_table(all_boards()).markdown() in text, "stapes boards --markdown"
    assert wiring_table(all_boards()).markdown() in text, "stapes boards --markdown"
    sizes = text[text.index("## What the bundles need") :]
    assert all(f"| `{board.name}` |" in sizes for board in all_boards())


def test_boards_command(tmp_path: Path) -> None:
    out = tmp_path / "boards.json"
    result = CliRunner().invoke(app, ["boards", "--json", str(out)])
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text())["boards"]
    assert [board["name"] for board in told] == board_names()
    assert all(board["name"] in result.output for board in told if len(board["name"]) < 12)
    shown = CliRunner().invoke(app, ["boards", "--markdown", "--board", "microbit"])
    assert (
        "| `microbit` | BBC micro:bit V1 (nRF51822) | Cortex-M0 | 256 KiB | 16 KiB | QEMU |" in shown.output
    )


def test_boards_command_builds_bundles(tmp_path: Path) -> None:
    out = tmp_path / "boards.json"
    bundle = make_small_bundle(tmp_path / "bundle")
    arguments = [
        "boards",
        str(bundle.directory),
        "--board",
        "host",
        "--out",
        str(tmp_path / "build"),
        "--json",
        str(out),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (host,) = json.loads(out.read_text())["boards"]
    assert host["images"]["small"]["flash_bytes"] > 0
    assert "small: flash" in result.output


def test_an_image_that_is_too_large_is_no_error_of_the_table(tmp_path: Path) -> None:
    try:
        require_compiler("microbit")
    except ToolError as error:
        pytest.skip(str(error))
    esc10 = Bundle.load(firmware_dir().parent / "models/esc10")
    generated = generate(esc10, tmp_path / "generated").directory
    fit = build_fit(BOARDS["microbit"], generated, tmp_path / "build")
    assert fit.built is None


def test_an_image_that_does_not_fit_is_shown_as_that() -> None:
    board = BOARDS["stm32vldiscovery"]
    built = BuildResult(Path("x.elf"), 65536, 4096, 2048, "id")
    table = fit_table(["a", "b"], [[Fit(board, built)], [Fit(board, None)]])
    assert table.rows == (
        ("`stm32vldiscovery`", "65,536 B (50 %)", "6,144 B (75 %)", "does not fit", "does not fit"),
    )
