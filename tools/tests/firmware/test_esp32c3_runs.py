"""The ESP32-C3's packed image at work: loaded as the ROM does it, run by Unicorn's core, checked over its UART."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from esp32c3_chip import (
    CPU_CLOCK,
    DIVIDER,
    SUPER_CONFIG,
    SYSCLK,
    TIMER_WDT,
    WDT_CONFIG,
    WDT_WHILE_BOOTING,
    Esp32c3,
)
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.codegen import Generated, generate
from stapes.device import Prepared, connection
from stapes.errors import ToolError
from stapes.firmware import BuildResult, build_firmware
from stapes.firmware.boards import Board
from stapes.firmware.pack import pack_image
from stapes.link import Client
from stapes.link.messages import Raise
from stapes.recipe import Bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("small") / "bundle")


@pytest.fixture(scope="module")
def generated(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(bundle, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def built(generated: Generated, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    try:
        built = build_firmware(generated.directory, "esp32c3", tmp_path_factory.mktemp("esp32c3"))
        pack_image(built.elf, Board.load("esp32c3"), built.elf.with_suffix(".bin"))
    except ToolError as error:
        pytest.skip(str(error))
    return built


@pytest.fixture
def chip(built: BuildResult) -> Esp32c3:
    return Esp32c3(built.elf.with_suffix(".bin"))


def test_every_bit_is_the_references(
    bundle: Bundle,
    generated: Generated,
    built: BuildResult,
    chip: Esp32c3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    @contextmanager
    def opened(target: str, elf: Path | None = None, microphone: None = None) -> Iterator[Esp32c3]:
        yield chip

    monkeypatch.setattr(connection, "open_target", opened)
    prepared = Prepared("renode:esp32c3", generated, built)
    report = check_bundle(
        bundle, "renode:esp32c3", select_clips(bundle, None, 1), tmp_path, prepared=prepared
    )
    assert report.passed
    assert report.as_json()["decisions_equal"] == report.as_json()["clips"] == 1
    assert chip.starts == 1
    assert chip.interrupts > 10


def test_clock_and_watchdogs(chip: Esp32c3) -> None:
    chip.run()
    assert chip.starts == 1
    assert chip.registers[CPU_CLOCK] & 7 == 5  # PLL at 480 MHz, core at 160 MHz
    assert chip.registers[SYSCLK] & 0xFFF == 1 << 10  # from the PLL, undivided
    assert {block for block, _, _ in chip.analogue} == {0x66}
    assert (0x66, 4, 0x6B) in chip.analogue and (0x66, 3, 8) in chip.analogue  # 480 MHz of 40 MHz
    assert chip.registers[WDT_CONFIG] & WDT_WHILE_BOOTING == 0
    assert all(chip.registers.get(watchdog, 0) >> 31 == 0 for watchdog in TIMER_WDT)
    assert chip.registers[TIMER_WDT[0]] & 1 << 14 == 0  # the one that runs while booting
    assert chip.registers[SUPER_CONFIG] >> 31 == 1  # feeds itself


def test_a_pll_that_does_not_run_leaves_a_slower_board(built: BuildResult) -> None:
    chip = Esp32c3(built.elf.with_suffix(".bin"), pll_works=False)
    client = Client(chip)
    assert client.hello().board == "esp32c3"
    assert chip.starts == 2
    assert chip.registers[SYSCLK] & 3 << 10 == 0  # the crystal
    assert client.fault() is None  # not the application's fault


def test_the_line_gets_faster(chip: Esp32c3) -> None:
    client = Client(chip)
    client.hello()
    for baud, asked in ((115200, 0), (921600, 921600)):
        if asked:
            chip.baudrate = baud  # type: ignore[attr-defined]
            assert client.speed_up() == asked
        divider = chip.registers[DIVIDER]
        assert 40e6 / ((divider & 0xFFF) + (divider >> 20) / 16) == pytest.approx(baud, rel=0.002)


def test_a_fault_is_reported_after_the_restart(chip: Esp32c3, built: BuildResult) -> None:
    client = Client(chip)
    hello = client.hello()
    assert hello.unique_id == "0200c3000001"
    assert hello.counter == "cycles"
    assert client.self_test().expected == client.self_test().computed
    assert client.fault() is None
    client.raise_fault(Raise.TRAP)
    client.hello()
    fault = client.fault()
    assert fault is not None and chip.starts == 2
    assert fault.status == 3 and 0x40380000 <= fault.pc < 0x403E0000
    assert 0x3FC80000 < fault.sp <= 0x3FC82000
    assert client.reboot().build_id == built.build_id
    assert client.fault() is None


def test_the_watchdog_ends_a_hang(chip: Esp32c3, built: BuildResult) -> None:
    with built.elf.open("rb") as stream:
        [hangs] = ELFFile(stream).get_section_by_name(".symtab").get_symbol_by_name("raise_fault")
    chip.slow(hangs["st_value"], hangs["st_value"] + hangs["st_size"] - 1)
    client = Client(chip)
    client.hello()
    client.raise_fault(Raise.HANG)
    client.hello()
    assert chip.starts == 2
    assert "watchdog" in str(client.fault())
