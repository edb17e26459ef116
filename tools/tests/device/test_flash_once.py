"""A flashed board says itself what it runs; it is flashed once for each image. The board is a program of this computer
behind a pseudo-terminal, its debug probe a stand-in for pyOCD.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.cli.app import run as run_command
from stapes.codegen import generate
from stapes.device import connection
from stapes.device import flash as flash_module
from stapes.device.flash import confirm, flash_once, plan_flash
from stapes.errors import BuildError, IdentityError, LinkError, TargetError
from stapes.firmware import BuildResult, build_firmware, find_program
from stapes.firmware.boards import Board, Flashers
from stapes.link import Client
from stapes.recipe import Bundle

FAKE = Path(__file__).parents[1] / "targets" / "fake_flashers.py"
SERIAL = "066EFF555185754867203837"
HOST_WITH_PROBE = Board(
    name="host",
    title="This machine behind a probe",
    core="any",
    chip="STM32F407VG",
    flash_bytes=1 << 20,
    flash_origin=0x08000000,
    device_ids=(0x413,),
    device_id_address=0xE0042000,
    flashers=Flashers(pyocd="stm32f407vgtx"),
    verified=("build",),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def program(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    generated = generate(bundle, tmp_path_factory.mktemp("generated"))
    return build_firmware(generated.directory, "host", tmp_path_factory.mktemp("host"))


@pytest.fixture
def port(program: BuildResult) -> Iterator[str]:
    process = subprocess.Popen([str(program.elf)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    pyocd = tmp_path / "bin" / "pyocd"
    pyocd.parent.mkdir()
    pyocd.write_text(f"#!{sys.executable} -IS\n{FAKE.read_text(encoding='utf-8')}")
    pyocd.chmod(0o755)
    chip = {"id": 0x10076413, "optcr": 0, "esp": "", "serials": [SERIAL], "wrong": ""}
    (tmp_path / "chip.json").write_text(json.dumps({**chip, "journal": str(tmp_path / "journal")}))
    monkeypatch.setenv("FAKE_CHIP", str(tmp_path / "chip.json"))
    monkeypatch.setenv("PATH", f"{pyocd.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(Board, "load", classmethod(lambda cls, name: HOST_WITH_PROBE))
    find_program.cache_clear()
    yield tmp_path / "journal"
    find_program.cache_clear()


def image(tmp_path: Path, program: BuildResult, content: bytes) -> BuildResult:
    """The build, with an image that the stand-in can take instead of a program for this computer."""
    path = tmp_path / "image.bin"
    path.write_bytes(content)
    return replace(program, elf=path)


def test_the_same_image_is_flashed_once(
    bundle: Bundle, program: BuildResult, port: str, journal: Path, tmp_path: Path
) -> None:
    target = f"board:host@{port}"
    first = image(tmp_path, program, b"one")
    assert flash_once(bundle, target, first) is True
    assert flash_once(bundle, target, first) is False
    assert journal.read_text().splitlines() == ["pyocd load"]
    assert flash_once(bundle, target, image(tmp_path, program, b"two")) is True
    assert journal.read_text().splitlines() == ["pyocd load"] * 2


def test_what_is_remembered_is_not_believed_against_the_board(
    bundle: Bundle, program: BuildResult, port: str, journal: Path, tmp_path: Path
) -> None:
    target = f"board:host@{port}"
    build = image(tmp_path, program, b"one")
    assert flash_once(bundle, target, build)
    other = replace(build, build_id="0123456789ab")
    with pytest.raises(IdentityError, match=f"host runs another build \\({build.build_id}, not 0123456789ab"):
        flash_once(bundle, target, other)
    assert journal.read_text().splitlines() == ["pyocd load"] * 2


def test_a_failed_flash_is_not_remembered(
    bundle: Bundle, program: BuildResult, port: str, journal: Path, tmp_path: Path
) -> None:
    target = f"board:host@{port}"
    build = image(tmp_path, program, b"one")
    assert flash_once(bundle, target, build)
    chip = json.loads((tmp_path / "chip.json").read_text())
    (tmp_path / "chip.json").write_text(json.dumps({**chip, "wrong": "mismatch"}))
    with pytest.raises(TargetError, match="verification failed"):
        flash_once(bundle, target, image(tmp_path, program, b"two"))
    (tmp_path / "chip.json").write_text(json.dumps(chip))
    assert flash_once(bundle, target, image(tmp_path, program, b"one"))
    assert len(journal.read_text().splitlines()) == 3


def test_the_state_file_may_be_anything(
    bundle: Bundle, program: BuildResult, port: str, journal: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state" / "stapes" / "flashed.json"
    state.parent.mkdir(parents=True)
    for content in ("", "[]", "{broken"):
        state.write_text(content)
        assert flash_once(bundle, f"board:host@{port}", image(tmp_path, program, b"one"))


@pytest.mark.parametrize("target", ["board:host", "host", "qemu:netduinoplus2"])
def test_only_a_board_on_a_port_can_be_flashed_once(
    target: str, bundle: Bundle, program: BuildResult
) -> None:
    with pytest.raises(TargetError, match="cannot be flashed"):
        flash_once(bundle, target, program)


def test_the_boards_own_word_decides(
    bundle: Bundle, program: BuildResult, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert confirm(bundle, "host", port, program.build_id).build_id == program.build_id
    with pytest.raises(IdentityError, match="is a host, not the stm32f4_discovery that was flashed"):
        confirm(bundle, "stm32f4_discovery", port, None)
    other = make_small_bundle(tmp_path / "other", seed=2)
    with pytest.raises(IdentityError, match="runs firmware of another bundle"):
        confirm(other, "host", port, None)


def test_damaged_constants_are_no_success(bundle: Bundle, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Client.self_test
    monkeypatch.setattr(
        Client, "self_test", lambda client: replace(real(client), size=100, computed=1, expected=2)
    )
    with pytest.raises(IdentityError, match="the constants in the device are damaged: CRC-32 0x00000001"):
        confirm(bundle, "host", port, None)


def test_a_board_that_stays_silent(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:

    ours, theirs = pty.openpty()
    monkeypatch.setattr("stapes.device.flash.HELLO_SECONDS", 0.5)
    with pytest.raises(LinkError, match="was flashed, but does not answer on") as caught:
        confirm(bundle, "host", os.ttyname(theirs), None)
    assert "press RESET" in caught.value.hint
    os.close(ours)
    os.close(theirs)


def test_a_port_may_come_back(
    bundle: Bundle, program: BuildResult, port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = iter([tmp_path / "absent"] * 2)
    real = connection.open_target
    monkeypatch.setattr(flash_module, "PORT_SECONDS", 0.01)
    monkeypatch.setattr(
        connection, "open_target", lambda target, elf, microphone: real(f"board:host@{next(absent, port)}")
    )
    assert confirm(bundle, "host", port, program.build_id).board == "host"
    monkeypatch.setattr(flash_module, "HELLO_SECONDS", 0.1)
    monkeypatch.setattr(
        connection, "open_target", lambda target, elf, microphone: real(f"board:host@{tmp_path / 'absent'}")
    )
    with pytest.raises(TargetError, match="cannot open"):
        confirm(bundle, "host", port, None)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stapes", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_command()
    return int(caught.value.code or 0)


def test_the_command(
    bundle: Bundle,
    program: BuildResult,
    port: str,
    journal: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "image.bin").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    arguments = [
        "flash",
        str(bundle.directory),
        "--board",
        "host",
        "--image",
        "image.bin",
        "--json",
        "x.json",
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert command(monkeypatch, *arguments, "--dry-run", "--port", "auto") == 0
    planned = json.loads((tmp_path / "x.json").read_text())
    assert planned["dry_run"] is True and len(planned["commands"]) == 4
    assert not journal.exists()
    assert "pyocd load --no-wait -u PROBE -t stm32f407vgtx" in capsys.readouterr().out

    assert command(monkeypatch, *arguments) == 0
    assert json.loads((tmp_path / "x.json").read_text())["confirmed"] is False
    assert "give --port" in capsys.readouterr().out

    assert command(monkeypatch, *arguments, "--port", port) == 0
    result = json.loads((tmp_path / "x.json").read_text())
    assert result["confirmed"] is True and result["build_id"] == program.build_id
    assert result["identity"] == "0x413" and result["probe"] == SERIAL
    assert Path(result["log"]).is_file()

    chip = json.loads((tmp_path / "chip.json").read_text())
    (tmp_path / "chip.json").write_text(json.dumps({**chip, "id": 0x10006421}))
    before = journal.read_text()
    assert command(monkeypatch, *arguments) == 1
    assert "the chip that answers is 0x421, host (STM32F407VG) has 0x413" in capsys.readouterr().err
    assert journal.read_text() == before


def test_an_unknown_application(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="unknown application 'doom'"):
        plan_flash(bundle, "stm32f4_discovery", tmp_path, app="doom")


@pytest.mark.parametrize("app", ["hil", "live"])
def test_a_plan_builds_for_the_board(app: str, bundle: Bundle, tmp_path: Path) -> None:
    if find_program("arm-none-eabi-gcc") is None or find_program("openocd") is None:
        pytest.skip("needs arm-none-eabi-gcc and openocd")
    plan = plan_flash(bundle, "stm32f4_discovery", tmp_path, app=app, tool="openocd")
    assert plan.image.address == 0x08000000
    assert plan.build_id
    # A vector table: the stack in RAM, then the reset handler in flash.
    stack, reset = (int.from_bytes(plan.image.path.read_bytes()[i : i + 4], "little") for i in (0, 4))
    assert 0x20000000 < stack <= 0x20020000 and 0x08000000 < reset < 0x08000000 + plan.image.size
