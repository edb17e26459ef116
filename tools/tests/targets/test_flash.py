"""Flashing through the programs that people have, against stand-ins that replay what those print."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stapes.errors import BuildError, StapesError, TargetError, ToolError
from stapes.firmware import find_program, tools
from stapes.firmware.boards import Board, all_boards
from stapes.targets.flash import (
    TOOLS,
    FlashResult,
    Image,
    choose_tool,
    flash_image,
    flasher,
    planned_commands,
    read_image,
)
from stapes.targets.flash.identity import expected_identities, tool_targets
from stapes.targets.flash.openocd import INTERFACES
from stapes.targets.flash.runner import Runner
from stapes.targets.flash.tool import Job
from stapes.targets.usb_access import connected_probes, forbidden_device

FAKE = Path(__file__).with_name("fake_flashers.py")
PROGRAMS = ("pyocd", "openocd", "st-info", "st-flash", "stm32loader", "esptool")
F407 = Board.load("stm32f4_discovery")
C3 = Board.load("esp32c3")
BOARDS = {name: C3 if name == "esptool" else F407 for name in TOOLS}
SERIAL = "066EFF555185754867203837"
IDCODE, OPEN = 0x10076413, 0x0FFFAAED


@dataclass
class Bench:
    """The stand-ins' chip, and what was done to it."""

    directory: Path

    def set(self, **changes: object) -> None:
        path = self.directory / "chip.json"
        values = {"id": IDCODE, "optcr": OPEN, "esp": "ESP32-C3", "serials": [SERIAL], "wrong": ""}
        path.write_text(json.dumps({**values, "journal": str(self.directory / "journal"), **changes}))

    @property
    def changes(self) -> list[str]:
        journal = self.directory / "journal"
        return journal.read_text().splitlines() if journal.exists() else []

    @property
    def log(self) -> str:
        return (self.directory / "flash.log").read_text()

    def flash(self, name: str, *, probe: str | None = None) -> FlashResult:
        board = BOARDS[name]
        image = self.directory / "with a space.bin"
        image.write_bytes(bytes(range(256)) * 117)
        port = str(self.directory / "ttyUSB0") if TOOLS[name].needs_port else None
        job = Job(board, read_image(image, board, self.directory), probe=probe, port=port)
        return flash_image(choose_tool(board, name), job, self.directory / "flash.log")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        path = programs / name
        path.write_text(f"#!{sys.executable} -IS\n{FAKE.read_text(encoding='utf-8')}")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_CHIP", str(tmp_path / "chip.json"))
    monkeypatch.setattr(flasher, "forbidden_device", lambda: None)
    monkeypatch.setattr(flasher, "connected_probes", lambda vendor: [])
    find_program.cache_clear()
    bench = Bench(tmp_path)
    bench.set()
    yield bench
    find_program.cache_clear()


every_tool = pytest.mark.parametrize("name", list(TOOLS))


@every_tool
def test_the_image_is_written_and_verified(name: str, bench: Bench) -> None:
    result = bench.flash(name)
    assert bench.changes and bench.changes[-1].startswith(name)
    assert result.identity.text in expected_identities(BOARDS[name])
    assert result.as_json()["image_bytes"] == 256 * 117
    assert all(command[0].endswith(PROGRAMS) for command in result.commands)
    assert bench.log.count("[status 0 after") == len(result.commands)
    for command in result.commands:
        assert command[-1] in bench.log


@every_tool
def test_the_plan_is_what_is_run(name: str, bench: Bench) -> None:
    result = bench.flash(name)
    job = Job(BOARDS[name], result.job.image, port=result.job.port)
    planned = flasher.planned_commands(TOOLS[name], job)
    known = [[word.replace("PROBE", SERIAL) for word in command] for command in planned]
    assert [[Path(command[0]).name, *command[1:]] for command in result.commands] == known


STOPS = {
    "another chip": (
        {"id": 0x10006421, "esp": "ESP32-S3"},
        r"the chip that answers is (0x421|esp32s3), .* has (0x413|e)",
    ),
    "unreadable": ({"wrong": "unreadable"}, "failed|did not|Get ID|Chip"),
    "no chip": ({"wrong": "no chip"}, "does not answer"),
    "silent": ({"wrong": "silent"}, "it said nothing"),
    "crash": ({"wrong": "crash"}, "failed: RuntimeError: something new|failed: Traceback"),
    "busy": ({"wrong": "busy"}, r"another program (uses the probe|has \S+ open)"),
    "permission": ({"wrong": "permission", "serials": []}, "no permission to (use the probe|open)"),
}


@every_tool
@pytest.mark.parametrize("stop", list(STOPS))
def test_nothing_is_written_when_the_chip_is_not_known_to_be_the_boards(
    name: str, stop: str, bench: Bench
) -> None:
    changes, message = STOPS[stop]
    bench.set(**changes)
    with pytest.raises(TargetError, match=message) as caught:
        bench.flash(name)
    assert bench.changes == []
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("pyocd", {"optcr": 0x0FFF55ED}),
        ("openocd", {"optcr": 0x0FFF55ED}),
        ("esptool", {"wrong": "locked"}),
    ],
)
def test_a_locked_chip_is_left_alone(name: str, changes: dict[str, object], bench: Bench) -> None:
    bench.set(**changes)
    with pytest.raises(TargetError, match="is locked: its flash is protected") as caught:
        bench.flash(name)
    assert bench.changes == []
    assert ("fuses" if name == "esptool" else "level 0") in caught.value.hint


@pytest.mark.parametrize("name", ["pyocd", "openocd", "st-flash", "stm32loader"])
def test_a_protection_met_while_writing_is_explained(name: str, bench: Bench) -> None:
    bench.set(wrong="protected")
    with pytest.raises(TargetError, match="the chip is locked"):
        bench.flash(name)
    assert bench.changes == []


@every_tool
def test_a_mismatch_is_an_error(name: str, bench: Bench) -> None:
    bench.set(wrong="mismatch")
    with pytest.raises(TargetError, match="verification failed: the flash does not hold"):
        bench.flash(name)


@pytest.mark.parametrize("name", ["openocd", "esptool"])
def test_a_chip_swapped_after_it_was_read_is_left_alone(name: str, bench: Bench) -> None:
    bench.set(wrong="swapped")
    with pytest.raises(TargetError, match=r"another chip than .* answers"):
        bench.flash(name)
    assert bench.changes == []


@every_tool
def test_a_program_that_hangs_is_ended(name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.set(wrong="hang")
    monkeypatch.setattr(flasher, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(flasher, "IDENTITY_SECONDS", 0.5)
    with pytest.raises(TargetError, match=r"did not end within \d s and was stopped"):
        bench.flash(name)
    assert bench.changes == []
    assert "still busy" in bench.log and "[stopped after" in bench.log


@every_tool
def test_writing_is_bounded_too(name: str, bench: Bench) -> None:
    job = bench.flash(name).job
    assert all(0 < step.seconds <= 600 for step in TOOLS[name].write_steps(job))


@pytest.mark.parametrize("name", ["pyocd", "openocd", "st-flash"])
def test_no_probe(name: str, bench: Bench) -> None:
    bench.set(serials=[])
    with pytest.raises(TargetError, match="no debug probe found") as caught:
        bench.flash(name)
    assert "plug the board in" in caught.value.hint


@pytest.mark.parametrize("name", ["pyocd", "st-flash"])
def test_several_probes_need_a_name(name: str, bench: Bench) -> None:
    other = "0670FF3031454D3043223045"
    bench.set(serials=[other, SERIAL])
    with pytest.raises(TargetError, match=f"2 probes are connected: {other}, {SERIAL}"):
        bench.flash(name)
    with pytest.raises(TargetError, match="no probe 0999 is connected"):
        bench.flash(name, probe="0999")
    assert bench.changes == []
    assert bench.flash(name, probe=SERIAL[:6]).job.probe == SERIAL


def test_openocd_does_not_take_any_of_several(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists no probes and would write to the first: the system says which are plugged in."""
    other = "0670FF3031454D3043223045"
    monkeypatch.setattr(
        flasher, "connected_probes", lambda vendor: [other, SERIAL] if vendor == 0x0483 else []
    )
    with pytest.raises(TargetError, match=f"2 probes are connected: {other}, {SERIAL}"):
        bench.flash("openocd")
    with pytest.raises(TargetError, match="no probe 0999 is connected"):
        bench.flash("openocd", probe="0999")
    assert bench.changes == []
    result = bench.flash("openocd", probe=SERIAL[:6])
    assert f"adapter serial {SERIAL}" in result.commands[-1]


def test_a_probe_that_is_listed_twice_is_one(bench: Bench) -> None:
    bench.set(serials=[SERIAL, SERIAL])
    assert bench.flash("pyocd").job.probe == SERIAL


def test_probes_that_are_plugged_in(tmp_path: Path) -> None:
    devices = [("1-1", "0483", "374b", SERIAL), ("1-2", "0483", "374b", None), ("1-3", "0483", "5740", "CDC")]
    for name, vendor, product, serial in [*devices, ("1-4", "0d28", "0204", "DAP")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "idVendor").write_text(f"{vendor}\n")
        (tmp_path / name / "idProduct").write_text(f"{product}\n")
        if serial:
            (tmp_path / name / "serial").write_text(f"{serial}\n")
    assert connected_probes(0x0483, tmp_path) == [SERIAL, "none"]
    assert connected_probes(0x0D28, tmp_path) == ["DAP"]
    assert connected_probes(0x1366, tmp_path / "none") == []


def test_no_permission_names_the_udev_rule(bench: Bench) -> None:
    bench.set(serials=[], wrong="permission")
    with pytest.raises(TargetError) as caught:
        bench.flash("pyocd")
    assert 'ATTRS{idVendor}=="0483"' in caught.value.hint
    assert "/etc/udev/rules.d/" in caught.value.hint


@pytest.mark.parametrize("name", ["stm32loader", "esptool"])
@pytest.mark.parametrize(
    ("wrong", "message", "hint"),
    [
        ("no port", "there is no port", "--port auto"),
        ("permission", "no permission to open", "usermod -aG dialout"),
        ("busy", "another program has", "close"),
        ("no chip", "loader does not answer", "BOOT"),
    ],
)
def test_what_is_wrong_with_a_port(name: str, wrong: str, message: str, hint: str, bench: Bench) -> None:
    bench.set(wrong=wrong)
    with pytest.raises(TargetError, match=message) as caught:
        bench.flash(name)
    assert hint in caught.value.hint


def test_a_missing_pack_names_its_command(bench: Bench) -> None:
    bench.set(wrong="no pack")
    with pytest.raises(TargetError, match="pyOCD does not know stm32f407vgtx yet") as caught:
        bench.flash("pyocd")
    assert caught.value.hint == "pyocd pack install stm32f407vgtx"
    assert bench.changes == []


def test_the_first_installed_program_is_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.directory / "bin"))
    monkeypatch.setattr(sys, "executable", str(bench.directory / "python"))
    assert choose_tool(F407).name == "pyocd"
    (bench.directory / "bin" / "pyocd").unlink()
    find_program.cache_clear()
    assert choose_tool(F407).name == "openocd"
    with pytest.raises(ToolError, match="pyocd is missing") as missing:
        choose_tool(F407, "pyocd")
    assert missing.value.hint == "pip install 'stapes[flash]'"
    shutil.rmtree(bench.directory / "bin")
    find_program.cache_clear()
    with pytest.raises(ToolError, match="pyocd is missing"):
        choose_tool(F407)


def test_doctor_knows_every_program() -> None:
    needed = {program for tool in TOOLS.values() for program in tool.programs}
    known = {tool.command: tool for tool in tools.PROGRAMS}
    assert needed <= set(known)
    assert all("stapes[flash]" in known[name].install for name in ("pyocd", "stm32loader", "esptool"))


FLASHABLE = [board for board in all_boards() if tool_targets(board) and expected_identities(board)]


@pytest.mark.parametrize("board", FLASHABLE, ids=lambda board: board.name)
def test_every_board_has_a_plan_for_each_of_its_programs(board: Board, tmp_path: Path) -> None:
    image = Image(tmp_path / "x.bin", board.flash_origin, 4, "")
    for name in tool_targets(board):
        commands = planned_commands(TOOLS[name], Job(board, image, probe=SERIAL, port="/dev/ttyUSB0"))
        assert len(commands) >= 2
        writes = [command for command in commands if str(tmp_path / "x.bin") in " ".join(command)]
        assert writes and commands[0] not in writes  # the chip is asked first
    if "esptool" not in tool_targets(board):
        assert board.device_id_address and board.protection


def test_openocd_has_a_file_for_every_board() -> None:
    scripts = Path("/usr/share/openocd/scripts")
    if not scripts.is_dir():
        pytest.skip("openocd is not installed where Debian puts it")
    for board in FLASHABLE:
        if board.flashers.openocd:
            assert (scripts / board.flashers.openocd).is_file(), board.name
    for interface in INTERFACES.values():
        assert (scripts / interface).is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pyocd", "No connected debug probe matches unique ID|No target device available"),
        ("stm32loader", "could not open port"),
        ("esptool", "could not open port"),
    ],
)
def test_the_real_program_understands_every_option(name: str, said: str, tmp_path: Path) -> None:
    """No chip is touched: neither the probe nor the port exists."""
    if find_program(name) is None:
        pytest.skip(f"{name} is missing")
    (tmp_path / "x.bin").write_bytes(b"1234")
    board = BOARDS[name]
    image = Image(tmp_path / "x.bin", board.flash_origin, 4, "")
    job = Job(board, image, probe="no-such-probe", port=str(tmp_path / "no-such-port"))
    for command in planned_commands(TOOLS[name], job):
        answer = Runner(tmp_path / "log").run([find_program(name) or "", *command[1:]], 60)
        assert re.search(said, answer.everything), answer.everything


@pytest.mark.parametrize(
    ("board", "name", "message"),
    [
        ("host", None, "host is not a board that can be flashed"),
        ("mps2_an386", None, "not a board that can be flashed"),
        ("microbit", None, "identity of microbit's chip is not known, so nothing may be erased"),
        ("stm32f4_discovery", "esptool", "esptool cannot flash stm32f4_discovery"),
    ],
)
def test_what_cannot_be_flashed(board: str, name: str | None, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        choose_tool(Board.load(board), name)


def test_images_are_checked(tmp_path: Path) -> None:
    def refused(name: str, content: bytes, message: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BuildError, match=message):
            read_image(tmp_path / name, F407, tmp_path)

    refused("empty.bin", b"", "has 0 bytes")
    refused("large.bin", bytes(F407.flash_bytes + 1), "holds 1,048,576")
    refused("notes.txt", b"hello", "neither an ELF nor a .bin")
    refused("broken.elf", b"\x7fELF\x01\x01", "broken.elf")
    with pytest.raises(BuildError, match="No such file"):
        read_image(tmp_path / "absent.bin", F407, tmp_path)


@pytest.mark.parametrize(("address", "ok"), [("0x08000000", True), ("0x20000000", False)])
def test_an_elf_becomes_what_objcopy_makes_of_it(address: str, ok: bool, tmp_path: Path) -> None:
    compiler = find_program("arm-none-eabi-gcc")
    if compiler is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    source = tmp_path / "x.c"
    source.write_text(
        "const int table[5] = {1, 2, 3}; int state = 7; int entry(void) { return state + table[0]; }"
    )
    elf = tmp_path / "x.elf"
    script = tmp_path / "x.ld"
    script.write_text(
        f"MEMORY {{ F : ORIGIN = {address}, LENGTH = 64K\n R : ORIGIN = 0x20008000, LENGTH = 64K }}\n"
        "SECTIONS { .text : { *(.text*) } > F\n .rodata : { *(.rodata*) } > F\n"
        " .data : { *(.data*) } > R AT > F }\n"
    )
    flags = ["-mcpu=cortex-m4", "-nostdlib", "-Wl,-n,-e,entry", "-T", str(script)]
    subprocess.run([compiler, *flags, str(source), "-o", str(elf)], check=True)
    if not ok:
        with pytest.raises(BuildError, match="0x20000000, outside of STM32F407VG's flash"):
            read_image(elf, F407, tmp_path)
        return
    expected = tmp_path / "expected.bin"
    objcopy = compiler.removesuffix("gcc") + "objcopy"
    subprocess.run([objcopy, "-O", "binary", str(elf), str(expected)], check=True)
    image = read_image(elf, F407, tmp_path / "out")
    assert image.path.read_bytes() == expected.read_bytes()
    assert image.address == 0x08000000 and image.size == expected.stat().st_size


@pytest.mark.parametrize(("idcode", "written"), [("0x10076413", True), ("0x10006421", False)])
def test_the_real_openocd_obeys_the_guard(idcode: str, written: bool, tmp_path: Path) -> None:
    program = find_program("openocd")
    if program is None:
        pytest.skip("openocd is missing")
    image = tmp_path / "with a space.bin"
    image.write_bytes(b"1234")
    (step,) = TOOLS["openocd"].write_steps(Job(F407, read_image(image, F407, tmp_path)))
    script = step.command[-1]
    setup = ["adapter driver dummy", "adapter speed 100", "proc init {} {}"]
    setup += [f"proc read_memory args {{return {idcode}}}"]
    setup += ["proc program args {foreach word $args {echo <$word>}; shutdown}"]
    command = [program, *(word for line in [*setup, "init", script] for word in ("-c", line))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    if written:
        assert f"<{image}>\n<0x08000000>\n<verify>\n<reset>\n<exit>" in said
    else:
        assert "** Wrong chip: device id 0x421 **" in said and "<verify>" not in said
    assert (done.returncode == 0) is written


@pytest.mark.parametrize(
    ("vendor", "product", "mode", "expected"),
    [
        ("0483", "374b", 0o440, True),
        ("0483", "374b", 0o660, False),
        ("0483", "5740", 0o440, False),  # an application's own USB port
        ("0d28", "0204", 0o440, True),
        ("046d", "c077", 0o440, False),
    ],
)
def test_a_probe_without_permission_is_seen(
    vendor: str, product: str, mode: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "sys" / "1-2"
    device.mkdir(parents=True)
    for name, text in (("idVendor", vendor), ("idProduct", product), ("busnum", "1"), ("devnum", "7")):
        (device / name).write_text(f"{text}\n")
    node = tmp_path / "usb" / "001" / "007"
    node.parent.mkdir(parents=True)
    node.touch()
    # Root may write to everything; the mode stands for what the kernel would say.
    monkeypatch.setattr("os.access", lambda path, _: bool(mode & 0o200) and Path(path) == node)
    found = forbidden_device(tmp_path / "sys", tmp_path / "usb")
    assert found == (str(node) if expected else None)


def test_a_probe_that_may_not_be_used_is_the_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.set(serials=[])
    monkeypatch.setattr(flasher, "forbidden_device", lambda: "/dev/bus/usb/001/007")
    with pytest.raises(
        StapesError, match=r"no permission to use the probe at /dev/bus/usb/001/007"
    ) as caught:
        bench.flash("st-flash")
    assert "udevadm" in caught.value.hint
