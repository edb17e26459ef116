"""Targets: names, start, conversation, errors, and nothing left running."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.errors import LinkError, TargetError, ToolError
from stapes.firmware import BuildResult, build_firmware, find_program, firmware_dir, require_program
from stapes.firmware.boards import all_boards
from stapes.link import Client
from stapes.targets import DescriptorStream, Stream, board_for_target, open_target, require_target
from stapes.targets import target as target_module

QEMU = [f"qemu:{machine}" for machine in target_module.MACHINES]
TARGETS = ["host", *QEMU]


Build = Callable[[str, str], BuildResult]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds an application for a target; one directory per board, so that the runtime is compiled once."""
    directory = tmp_path_factory.mktemp("targets")
    generated = generate(make_small_bundle(directory / "bundle"), directory / "generated").directory

    def run(target: str, app: str) -> BuildResult:
        try:
            require_target(target)
        except ToolError as error:
            pytest.skip(str(error))
        board = board_for_target(target)
        assert board is not None
        built = build_firmware(generated, board, directory / board, app)
        kept = built.elf.with_name(f"{Path(app).stem}.elf")
        shutil.copy(built.elf, kept)
        return replace(built, elf=kept)

    return run


@pytest.fixture(scope="module")
def programs(build: Build) -> dict[str, BuildResult]:
    class Lazy(dict[str, BuildResult]):
        def __missing__(self, target: str) -> BuildResult:
            self[target] = build(target, "hil")
            return self[target]

    return Lazy()


def run_clip(client: Client) -> list[tuple[object, ...]]:
    hello = client.hello()
    samples = hello.frame_length + hello.hop_length * (hello.window_frames + 2 * hello.window_hop_frames - 1)
    pcm = np.random.default_rng(3).integers(-9000, 9000, samples).astype(np.int16)
    client.reset()
    position, results = 0, []
    while position < len(pcm):
        pushed = client.push(pcm[position:])
        position = pushed.samples
        if pushed.window_ready:
            window = client.window()
            results.append((window.features_crc, window.layer_crcs, window.scores.tobytes(), window.weight))
    assert len(results) == 3
    return [*results, (client.decision(),)]


@pytest.fixture(scope="module")
def expected(programs: dict[str, BuildResult]) -> list[tuple[object, ...]]:
    with open_target("host", programs["host"].elf) as stream:
        return run_clip(Client(stream))


def test_every_emulated_board_is_described_as_that() -> None:
    emulated = {board.qemu: board.name for board in all_boards() if board.qemu}
    assert emulated == {name: machine.board for name, machine in target_module.MACHINES.items()}


@pytest.mark.parametrize("target", TARGETS)
def test_every_board_builds_without_a_warning(target: str, programs: dict[str, BuildResult]) -> None:
    built = programs[target]
    assert built.flash_bytes > 10_000 and built.ram_bytes > 4_000 and 200 < built.stack_bytes < 4_000
    assert "warning" not in (built.elf.parent / "build.log").read_text()


@pytest.mark.parametrize("target", QEMU)
def test_an_emulated_board_computes_what_the_host_computes(
    target: str, programs: dict[str, BuildResult], expected: list[tuple[object, ...]]
) -> None:
    built = programs[target]
    with open_target(target, built.elf) as stream:
        client = Client(stream)
        hello = client.hello()
        assert hello.board == board_for_target(target)
        assert hello.build_id == built.build_id
        assert hello.counter == "instructions"
        assert client.self_test().passed
        assert run_clip(client) == expected
        counts = client.window()
        assert 0 < sum(counts.layer_counts) <= counts.total_count
        stats = client.stats()
        assert 0 < stats.stack_high_water <= built.stack_bytes + 16
        assert stats.frames_bad == 0


def test_instruction_counts_repeat_exactly(programs: dict[str, BuildResult]) -> None:
    seen = []
    for _ in range(2):
        with open_target("qemu:netduinoplus2", programs["qemu:netduinoplus2"].elf) as stream:
            client = Client(stream)
            run_clip(client)
            window = client.window()
            seen.append((window.frontend_count, window.total_count, window.layer_counts))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("target", QEMU)
def test_the_emulated_uart_carries_the_same(target: str, programs: dict[str, BuildResult]) -> None:
    with open_target(target, programs[target].elf, uart=True) as stream:
        client = Client(stream)
        client.hello()
        assert client.self_test().passed
        client.reset()
        assert client.push(np.ones(700, dtype=np.int16)).frames == 1


@pytest.mark.parametrize("target", ["qemu:netduinoplus2", "qemu:stm32vldiscovery"])
def test_bytes_are_received_while_the_main_loop_is_away(target: str, build: Build) -> None:
    """Of a UART that is asked in turn only one byte would wait; and what does not fit the ring is not lost."""
    built = build(target, str(firmware_dir() / "tests/uart_driver.c"))
    with open_target(target, built.elf, uart=True) as stream:
        stream.timeout = 60.0
        text = b""
        while b"\n" not in text:
            text += stream.read(100)
        stream.write(bytes(range(256)))
        counts: list[int] = []
        while sum(counts) < 256:
            received = stream.read(4096)
            assert received, f"silence after {text!r}"
            text += received
            counts = [int(count) for count in re.findall(rb"found (\d+) wrong 0\n", text)]
    assert sum(counts) == 256
    assert max(counts) >= 16


@pytest.mark.parametrize("target", TARGETS)
def test_reboot_starts_afresh(target: str, programs: dict[str, BuildResult]) -> None:
    with open_target(target, programs[target].elf) as stream:
        client = Client(stream)
        client.hello()
        client.push(np.zeros(1000, dtype=np.int16))
        client.reboot()
        assert client.push(np.zeros(4, dtype=np.int16)).samples == 4


UNDEFINED, NOWHERE, WATCHDOG, WILD_JUMP, OVERFLOW = range(5)  # as firmware/tests/fault_driver.c fails
HARD, BUS, USAGE, LATE, EXCEPTION, XTENSA = 1, 3, 4, 5, 6, 7  # as board.h
CORE_WITH_STATUS = {UNDEFINED: USAGE, NOWHERE: BUS, WILD_JUMP: BUS, OVERFLOW: BUS}
FAULTS = {
    "qemu:netduinoplus2": CORE_WITH_STATUS,
    "qemu:stm32vldiscovery": CORE_WITH_STATUS,
    "qemu:microbit": dict.fromkeys((UNDEFINED, NOWHERE, WILD_JUMP, OVERFLOW), HARD),
    # These machines do not fail below their RAM, nor on instructions fetched from nowhere.
    "qemu:mps2-an385": {UNDEFINED: USAGE, NOWHERE: BUS, WATCHDOG: LATE},
    "qemu:mps2-an500": {UNDEFINED: USAGE, NOWHERE: BUS, WATCHDOG: LATE},
    "qemu:mps2-an505": {**CORE_WITH_STATUS, WATCHDOG: LATE},
    "qemu:riscv32-virt": dict.fromkeys((UNDEFINED, NOWHERE, WILD_JUMP), EXCEPTION),
    "qemu:xtensa-sim": dict.fromkeys((UNDEFINED, NOWHERE, WILD_JUMP, OVERFLOW), XTENSA),
}


@pytest.mark.parametrize("target", FAULTS)
def test_every_fault_is_reported_after_the_restart(target: str, build: Build) -> None:
    built = build(target, str(firmware_dir() / "tests/fault_driver.c"))
    expected = dict(sorted(FAULTS[target].items()))
    lines: list[str] = []
    with open_target(target, built.elf) as stream:
        stream.timeout = 60.0
        text = b""
        while text.count(b"\n") <= len(expected):
            received = stream.read(4096)
            assert received, f"silence after {text!r}"
            text += received
        lines = text.decode().splitlines()
    assert lines[0] == "fresh 0"
    reports = []
    for line in lines[1:]:
        words = line.split()
        reports.append({name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)})
    assert {report["stage"]: report["cause"] for report in reports} == expected
    functions = function_ranges(built.elf)
    for report in reports:
        assert report["kept"] == 1 and report["again"] == 0, "a report is read once"
        if report["stage"] in (UNDEFINED, NOWHERE):
            start, end = functions["fail"]
            assert start <= report["pc"] < end
        if report["stage"] == NOWHERE and report["cause"] != HARD:
            assert report["address"] == 0xD0000000
        if report["stage"] == WILD_JUMP:
            assert report["pc"] in (0x1AAAAAA0, 0x1AAAAAA1)


def function_ranges(elf: Path) -> dict[str, tuple[int, int]]:
    with elf.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab").iter_symbols()
        return {
            symbol.name: (symbol["st_value"] & ~1, (symbol["st_value"] & ~1) + symbol["st_size"])
            for symbol in symbols
            if symbol["st_info"]["type"] == "STT_FUNC"
        }


@pytest.mark.parametrize("target", ["host", "qemu:netduinoplus2"])
def test_a_program_that_dies_is_one_error_that_says_so(target: str, programs: dict[str, BuildResult]) -> None:
    with open_target(target, programs[target].elf) as stream:
        client = Client(stream, timeout=5.0)
        client.hello()
        for child in children():
            os.kill(child, signal.SIGKILL)
        with pytest.raises((TargetError, LinkError), match=r"ended.*status -9"):
            client.stats()


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_left_running(target: str, programs: dict[str, BuildResult]) -> None:
    elf = programs[target].elf
    before = children()
    with pytest.raises(KeyboardInterrupt), open_target(target, elf) as stream:
        Client(stream).hello()
        assert children() - before
        raise KeyboardInterrupt
    assert children() == before


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux kills children with their parent"
)
@pytest.mark.parametrize("target", ["host", "qemu:netduinoplus2"])
def test_nothing_outlives_a_killed_parent(target: str, programs: dict[str, BuildResult]) -> None:
    script = f"""
import sys, time
from pathlib import Path
from stapes.targets import open_target
with open_target({target!r}, Path({str(programs[target].elf)!r})) as stream:
    print("up", flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"up\n"
    grandchildren = children(parent.pid)
    assert grandchildren
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while any(alive(child) for child in grandchildren) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(child) for child in grandchildren)


def children(parent: int | None = None) -> set[int]:
    found = set()
    for task in Path(f"/proc/{parent or os.getpid()}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def alive(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_several_at_once_do_not_clash(
    programs: dict[str, BuildResult], expected: list[tuple[object, ...]]
) -> None:
    results: list[object] = []

    def run(target: str) -> None:
        with open_target(target, programs[target].elf) as stream:
            results.append(run_clip(Client(stream)))

    names = ["host", "qemu:netduinoplus2", "host", "qemu:netduinoplus2"]
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [expected] * 4


def test_qemu_that_refuses_to_start_says_why(
    programs: dict[str, BuildResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = programs["qemu:netduinoplus2"].elf
    machine = target_module.Machine("qemu-system-arm", "no-such", "stm32f4_discovery")
    monkeypatch.setitem(target_module.MACHINES, "no-such", machine)
    with (
        open_target("qemu:no-such", elf) as stream,
        pytest.raises(TargetError, match="unsupported machine"),
    ):
        Client(stream).hello()


def test_a_program_that_is_not_ours_never_answers(programs: dict[str, BuildResult], tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho $(tty >/dev/null) \nsleep 30\n")
    silent.chmod(0o755)
    with pytest.raises(TargetError, match="did not open its line"), open_target("host", silent):
        pass


def test_missing_program_and_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="no program"), open_target("host", tmp_path / "absent"):
        pass
    find_program.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    try:
        with pytest.raises(ToolError, match="qemu-system-arm is missing; it is needed for ") as caught:
            require_program("qemu-system-arm")
        assert "install" in caught.value.hint
        with pytest.raises(ToolError):
            require_target("qemu:netduinoplus2")
        with pytest.raises(ToolError):
            require_target("host")
    finally:
        find_program.cache_clear()


@pytest.mark.parametrize(
    ("target", "board"),
    [
        ("host", "host"),
        ("qemu:netduinoplus2", "stm32f4_discovery"),
        ("board:stm32f4_discovery@/dev/ttyACM0", "stm32f4_discovery"),
        ("/dev/ttyACM0", None),
        ("socket://localhost:4000", None),
        ("rfc2217://localhost:4000", None),
    ],
)
def test_board_for_target(target: str, board: str | None) -> None:
    assert board_for_target(target) == board


@pytest.mark.parametrize("target", ["qemu:vax", "board:vax@/dev/null", "nowhere", "qemu:", ""])
def test_unknown_targets_are_named_with_the_choices(target: str) -> None:
    with pytest.raises(TargetError, match=r"no board|unknown") as caught:
        board_for_target(target)
    assert caught.value.hint


def test_serial_port_errors_are_one_line() -> None:
    with pytest.raises(TargetError, match="cannot open"), open_target("/dev/no-such-port"):
        pass
    with pytest.raises(TargetError, match="cannot open"), open_target("nonsense://"):
        pass
    with pytest.raises(TargetError, match="names no port"), open_target("board:stm32f4_discovery"):
        pass


def test_a_silent_serial_line_times_out() -> None:
    with open_target("loop://") as stream:
        client = Client(stream, hello_timeout=0.3)
        with pytest.raises(LinkError, match="no answer"):
            client.hello()


def test_descriptor_stream_is_bounded() -> None:
    ours, theirs = os.pipe()
    reader, writer = DescriptorStream(ours), DescriptorStream(theirs)
    reader.timeout = 0.05
    assert reader.read(10) == b""
    writer.write_timeout = 0.1
    with pytest.raises(TargetError, match="no more bytes"):
        writer.write(bytes(1 << 20))
    assert reader.in_waiting > 0
    writer.close()
    reader.close()
    reader.close()


def test_the_emulated_uart_changes_its_speed(programs: dict[str, BuildResult]) -> None:
    with open_target("qemu:netduinoplus2", programs["qemu:netduinoplus2"].elf, uart=True) as stream:
        client = Client(Port(stream))
        client.hello()
        assert client.speed_up() == 460800  # 16 MHz allows no more
        client.push(np.zeros(40, dtype=np.int16))
        time.sleep(1.5)  # a speed that was heard at is kept
        assert client.push(np.zeros(40, dtype=np.int16)).samples == 80


class Port:
    """A stream that looks like a serial port; the emulated UART hears at any speed."""

    port = "emulated"

    def __init__(self, stream: Stream) -> None:
        self.baudrate = 115200
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
