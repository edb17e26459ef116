"""Renode as a target, against a stand-in that plays its monitor and runs the host's build of the firmware."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.codegen import Generated, generate
from stapes.device import Prepared, connect
from stapes.errors import LinkError, TargetError, ToolError
from stapes.firmware import BuildResult, build_firmware, find_program, find_tools, firmware_dir
from stapes.firmware.boards import all_boards
from stapes.link import Client, Hello
from stapes.link.messages import Message
from stapes.recipe import Bundle
from stapes.targets import (
    board_for_target,
    known_fault,
    longest_wait,
    open_target,
    renode,
    repeat_after,
    require_target,
    unit_of_counter,
)

TARGET = "renode:stm32f4_discovery"
FAKE = Path(__file__).with_name("fake_renode.py")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def generated(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(bundle, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def program(generated: Generated, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    try:
        require_target("host")
    except ToolError as error:
        pytest.skip(str(error))
    return build_firmware(generated.directory, "host", tmp_path_factory.mktemp("with a space"))


Fake = Callable[[str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Put the stand-in where Renode is looked for; called with what shall go wrong. Nothing may be left after."""
    launcher = tmp_path / "renode"
    launcher.write_text(
        f'#!/bin/sh\n"{sys.executable}" "{FAKE}" "$@"\n'
    )  # a child of the shell, as the real one
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("STAPES_RENODE", str(launcher))
    monkeypatch.setenv("FAKE_RENODE_STATE", str(tmp_path / "starts"))
    find_program.cache_clear()
    yield lambda wrong: monkeypatch.setenv("FAKE_RENODE", wrong)
    find_program.cache_clear()
    assert list(scratch.iterdir()) == []
    deadline = time.monotonic() + 5
    while running(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(tmp_path) == []


def running(directory: Path) -> list[int]:
    """Processes whose environment names the directory: the stand-ins of this test and what they started. The TFLM
    interpreter's is not theirs; it lives as long as this process.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"tflm_worker" not in command and f"FAKE_RENODE_STATE={directory}".encode() in environment:
                found.append(int(entry.name))
    return found


def starts(directory: Path) -> int:
    return (directory / "starts").stat().st_size


def test_a_whole_check_passes_through_it(
    bundle: Bundle, generated: Generated, program: BuildResult, fake: Fake, tmp_path: Path
) -> None:
    fake("")
    prepared = Prepared(TARGET, generated, program)
    clips = select_clips(bundle, None, 2)
    report = check_bundle(bundle, TARGET, clips, tmp_path, prepared=prepared)
    assert report.passed
    assert report.link["bytes_sent"] / report.link["requests"] < renode.LARGEST_PAYLOAD + 20
    assert report.as_json()["decisions_equal"] == report.as_json()["clips"] == 2


def test_the_firmware_restarts_and_the_monitor_counts(program: BuildResult, fake: Fake) -> None:
    fake("")
    with open_target(TARGET, program.elf) as stream:
        assert isinstance(stream, renode.RenodeStream)
        client = Client(stream)
        assert client.hello().build_id == program.build_id
        assert client.reboot().build_id == program.build_id
        assert stream.monitor.instructions() == 1_000_000
        assert stream.monitor.ask("frobnicate") == ["No such command or device: frobnicate"]


@pytest.mark.parametrize(("target", "unit"), [(TARGET, "instructions"), ("host", "cycles")])
def test_an_emulators_cycles_are_called_instructions(
    target: str,
    unit: str,
    bundle: Bundle,
    program: BuildResult,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hello(client: Client) -> Hello:
        return replace(said(client), counter="cycles")

    fake("")
    said = Client.hello
    monkeypatch.setattr(Client, "hello", hello)
    with connect(bundle, target, program.elf) as (_, told):
        assert told.counter == unit


def test_an_interrupt_leaves_nothing(program: BuildResult, fake: Fake, tmp_path: Path) -> None:
    fake("")
    with pytest.raises(KeyboardInterrupt), open_target(TARGET, program.elf) as stream:
        Client(stream).hello()
        assert len(running(tmp_path)) >= 2
        raise KeyboardInterrupt


def test_an_interrupt_while_starting_leaves_nothing(
    program: BuildResult, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    fake("")
    monkeypatch.setattr(renode, "_version", interrupt)
    with pytest.raises(KeyboardInterrupt), open_target(TARGET, program.elf):
        pass


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "dies",
            r"Renode ended before it answered \(renode, status 134: System.DllNotFoundException: libfoo.so\)",
        ),
        ("old", "Renode is too old: version 1.13.2"),
        ("versionless", "Renode told no version"),
        (
            "refuse:LoadELF",
            r"Renode refused line 7 of stapes.resc \(`sysbus LoadELF \$elf`\): Parameters did not match",
        ),
        ("refuse:connector", r"line 12 of stapes.resc \(`connector Connect \$uart \$line`\)"),
        ("mute", "monitor gave no prompt within"),
        ("stuck", r"monitor did not answer `sysbus LoadELF @\S+` within"),
        ("dies later", r"the target ended \(renode, status -9: System.OutOfMemoryException"),
    ],
)
def test_what_goes_wrong_is_one_line(
    wrong: str,
    message: str,
    program: BuildResult,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fake(wrong)
    if wrong in {"mute", "stuck"}:
        monkeypatch.setattr(renode, "START_SECONDS", 2.0)
        monkeypatch.setattr(renode, "ANSWER_SECONDS", 2.0)
    with pytest.raises(TargetError, match=message) as caught, open_target(TARGET, program.elf):
        pass
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert starts(tmp_path) == 1


def test_a_renode_that_never_listens(
    program: BuildResult, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake("")
    (tmp_path / "renode").write_text("#!/bin/sh\nsleep 60\n")
    monkeypatch.setattr(renode, "START_SECONDS", 0.3)
    with pytest.raises(TargetError, match="did not open its port"), open_target(TARGET, program.elf):
        pass


@pytest.mark.parametrize("wrong", ["terminal port taken", "monitor port taken", "another program"])
def test_a_taken_port_is_another_attempt(
    wrong: str, program: BuildResult, fake: Fake, tmp_path: Path
) -> None:
    fake(wrong)
    with open_target(TARGET, program.elf) as stream:
        assert Client(stream).hello().build_id == program.build_id
    assert starts(tmp_path) == 2


def test_a_silent_program_on_the_monitors_port_is_another_attempt(
    program: BuildResult, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake("")
    free = renode._free_ports
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = iter([[silent.getsockname()[1], *free(1)], free(2)])
        monkeypatch.setattr(renode, "_free_ports", lambda count: next(ports))
        with open_target(TARGET, program.elf) as stream:
            assert Client(stream).hello().build_id == program.build_id
    assert starts(tmp_path) == 2


def test_ports_that_are_always_taken_are_an_error(
    program: BuildResult, fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(renode, "_free_ports", lambda count: [1] * count)
    fake("refuse:CreateServerSocketTerminal")
    (tmp_path / "renode").write_text("#!/bin/sh\necho 'socket:[AddressAlreadyInUse]' >&2\nexit 1\n")
    with pytest.raises(TargetError, match="took Renode's port"), open_target(TARGET, program.elf):
        pass


def test_an_emulation_that_dies_is_said_by_the_stream(
    program: BuildResult, fake: Fake, tmp_path: Path
) -> None:
    fake("")
    with open_target(TARGET, program.elf) as stream:
        client = Client(stream, timeout=5.0)
        client.hello()
        for process in running(tmp_path):
            os.kill(process, 9)
        with pytest.raises(TargetError, match=r"the target ended \(renode, status -9\)"):
            client.stats()


def test_no_count_is_an_error(program: BuildResult, fake: Fake) -> None:
    fake("countless")
    with open_target(TARGET, program.elf) as stream:
        assert isinstance(stream, renode.RenodeStream)
        with pytest.raises(TargetError, match="gave no instruction count"):
            stream.monitor.instructions()


def test_the_quantum_follows_the_version(program: BuildResult, fake: Fake) -> None:
    fake("1.16")
    with open_target(TARGET, program.elf) as stream:
        assert Client(stream).hello().build_id == program.build_id


def test_its_log_is_kept_and_its_first_error_told(program: BuildResult, fake: Fake) -> None:
    fake("complains")
    with (
        pytest.raises(
            LinkError, match=r"no answer to HELLO .*; Renode says: cpu: CPU abort \[PC=0xFFFFFFFE\]"
        ) as error,
        open_target(TARGET, program.elf) as stream,
    ):
        Client(stream, hello_timeout=0.2).hello()
    kept = program.elf.with_name("renode.log")
    assert str(kept) in error.value.hint and "\n" not in error.value.message
    assert "cpu: started" in kept.read_text()


def test_wishes_are_granted_before_the_start(program: BuildResult, fake: Fake) -> None:
    fake("")
    token = renode.WISHES.set(renode.Wishes(gdb=3333, commands=("wish", "wish")))
    try:
        with open_target(TARGET, program.elf) as stream:
            assert isinstance(stream, renode.RenodeStream)
            assert Client(stream).hello().build_id == program.build_id
            assert longest_wait(TARGET) > 3600.0
        renode.WISHES.set(renode.Wishes(commands=("frobnicate it",)))
        with (
            pytest.raises(TargetError, match="refused `frobnicate it`: No such command") as error,
            open_target(TARGET, program.elf),
        ):
            pass
        assert "--renode" in error.value.hint
    finally:
        renode.WISHES.reset(token)


def test_wishes_are_for_renode(run_stapes: Callable[..., tuple[int, str]]) -> None:
    code, said = run_stapes("check", "models/esc10-nano", "--gdb", "3333")
    assert code == 2 and "only with --target renode:PLATFORM" in said


def test_no_request_is_repeated_early(
    program: BuildResult, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeat_after("qemu:netduinoplus2") is repeat_after("host") is None
    fake("")
    with open_target(TARGET, program.elf) as stream:
        client = Client(stream, repeat_after=repeat_after(TARGET))
        client.hello()
        write, sent = stream.write, []
        monkeypatch.setattr(stream, "write", lambda data: sent.append(time.monotonic()))
        with pytest.raises(LinkError, match="no answer to STATS"):
            client._request(Message.STATS, timeout=3.0)  # the usual wait is over after less than 0.1 s
        assert len(sent) == 1
        monkeypatch.setattr(stream, "write", write)
        client.hello()


def test_one_that_runs_already_is_attached_to(
    program: BuildResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STAPES_RENODE", str(tmp_path / "absent"))
    find_program.cache_clear()
    with open_target("host", program.elf) as device, socket.create_server(("127.0.0.1", 0)) as server:
        target = f"{TARGET}@{server.getsockname()[1]}"
        assert (
            board_for_target(target) == "stm32f4_discovery"
            and unit_of_counter(target, "cycles") == "instructions"
        )

        def carry() -> None:
            connection, _ = server.accept()
            device.timeout = 0.1
            connection.settimeout(0.01)
            with connection:
                while True:
                    try:
                        data = connection.recv(4096)
                    except TimeoutError:
                        connection.sendall(device.read(4096))
                        continue
                    if not data:
                        break
                    device.write(data)

        carrier = threading.Thread(target=carry)
        carrier.start()
        with open_target(target) as stream:
            assert Client(stream).hello().build_id == program.build_id
        carrier.join()
    find_program.cache_clear()
    with pytest.raises(TargetError, match="nobody listens on port"), open_target(target):
        pass
    with pytest.raises(TargetError, match="no port: 'x'"), open_target(f"{TARGET}@x"):
        pass


def test_names() -> None:
    assert board_for_target(TARGET) == "stm32f4_discovery"
    assert unit_of_counter(TARGET, "cycles") == "instructions"
    assert unit_of_counter(TARGET, "nanoseconds") == "nanoseconds"
    assert unit_of_counter("board:stm32f4_discovery@/dev/ttyACM0", "cycles") == "cycles"
    with pytest.raises(TargetError, match="no board for Renode platform 'vax'") as caught:
        board_for_target("renode:vax")
    assert "stm32f4_discovery" in caught.value.hint


@pytest.mark.parametrize("name", sorted(renode.PLATFORMS))
def test_every_platform_starts(name: str, program: BuildResult, fake: Fake) -> None:
    fake("")
    with open_target(f"renode:{name}", program.elf) as stream:
        assert Client(stream).hello().build_id == program.build_id


def test_a_model_that_is_refused_is_one_line(program: BuildResult, fake: Fake) -> None:
    fake("refuse:include")
    with (
        pytest.raises(TargetError, match=r"Renode refused esp32c3.cs: Parameters"),
        open_target("renode:esp32c3", program.elf),
    ):
        pass


def test_boards_and_platforms_name_each_other() -> None:
    told = {board.renode: board.name for board in all_boards() if board.renode}
    assert told == {name: platform.board for name, platform in renode.PLATFORMS.items()}
    for board in all_boards():
        assert board.renode or "renode" not in board.verified


REPL_LINE = re.compile(
    r"""\w+:(\ (\w+\.)?\w+\ )?(\ ?@\ .+)?                  # an entry, new or added to, with its place
    |\ {4}(\w+:\ .+|init:|[\w\[\], -]*->\ \S+)             # an attribute
    |\ {8}\S.*|\ {4}\}                                    # a line of init, or of many places
    |//\ .*|""",
    re.VERBOSE,
)


@pytest.mark.parametrize("name", sorted(renode.PLATFORMS))
def test_every_platform_has_its_description(name: str) -> None:
    text = (firmware_dir() / "renode" / f"{name}.repl").read_text()
    for line in text.splitlines():
        assert REPL_LINE.fullmatch(line), line
    mips = int(text.split("PerformanceInMips: ")[1].split()[0])
    if counter := re.search(
        r"\n(?:dwt|timer2): .*\n    frequency: (\d+)\n", text
    ):  # it must count instructions
        assert int(counter[1]) == 1_000_000 * mips
    else:
        assert "ExecutedInstructions" in text
    models = re.findall(r": Stapes\.(\w+) @", text)
    source = renode.PLATFORMS[name].models
    assert bool(models) == bool(source)
    for model in models:
        assert f"public class {model} " in (firmware_dir() / "renode" / source).read_text()


@pytest.mark.parametrize(
    ("is_read", "value"), [("isRead", "value"), ("IsRead", "Value")], ids=["1.15", "1.16"]
)
def test_the_c3_counts_instructions_whatever_a_request_is_called(is_read: str, value: str) -> None:
    text = (firmware_dir() / "renode" / "esp32c3.repl").read_text(encoding="utf-8")
    script = re.search(r'RegisterCSRHandlerFromString 0x7E2 "(.*)"', text)
    assert script
    for reads, expected in ((True, 1234), (False, 0)):
        request = SimpleNamespace(**{is_read: reads, value: None})
        exec(script[1], {"request": request, "cpu": SimpleNamespace(ExecutedInstructions=1234)})
        assert vars(request) == {is_read: reads, value: expected}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(renode.PLATFORMS))
def test_with_the_real_one(
    name: str,
    bundle: Bundle,
    generated: Generated,
    tmp_path: Path,
    run_stapes: Callable[..., tuple[int, str]],
) -> None:
    target = f"renode:{name}"
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    build = build_firmware(generated.directory, renode.PLATFORMS[name].board, tmp_path)
    with open_target(target, build.elf) as stream:
        assert isinstance(stream, renode.RenodeStream)
        client = Client(stream, timeout=300.0, hello_timeout=100.0)
        assert client.hello().build_id == build.build_id
        assert client.reboot().build_id == build.build_id
        version = renode._version(stream.monitor.ask("version"))
    report = check_bundle(
        bundle, target, select_clips(bundle, None, 1), tmp_path, prepared=Prepared(target, generated, build)
    )
    fault = known_fault(target)
    assert report.passed or (fault is not None and version < renode.SYNCHRONISES)
    assert report.link["retries"] <= 3  # HELLO, while the machine starts
    portable = ("--portable",) if fault else ()
    code, said = run_stapes("bench", "frontend", "--target", target, "--out", str(tmp_path / "f"), *portable)
    assert code == 0 and "instructions a frame" in said and "equal to the reference" in said


def test_where_renode_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cmake = find_program("cmake")
    gcc = find_program("arm-none-eabi-gcc")
    if cmake is None or gcc is None or shutil.which("ninja") is None:
        pytest.skip("the compiler for the board is missing, which is said first")
    monkeypatch.setenv("STAPES_RENODE", str(tmp_path / "absent"))
    find_program.cache_clear()
    try:
        with pytest.raises(ToolError, match="STAPES_RENODE names no program") as caught:
            require_target(TARGET)
        assert "1.14" in caught.value.hint
        monkeypatch.delenv("STAPES_RENODE")
        monkeypatch.setattr("shutil.which", lambda command, path=None: None)
        find_program.cache_clear()
        with pytest.raises(ToolError, match="renode is missing"):
            renode.require_program("renode")
    finally:
        find_program.cache_clear()


def test_doctor_knows_its_version(fake: Fake) -> None:
    fake("")
    status = next(status for status in find_tools() if status.tool.name == "renode")
    assert status.found
    assert status.version == "1.15.3.20210"


def test_doctor_tells_one_that_does_not_start(
    fake: Fake, run_stapes: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    fake("dies at once")
    code, said = run_stapes("doctor", "--json", str(tmp_path / "doctor.json"))
    tools = json.loads((tmp_path / "doctor.json").read_text())["tools"]
    told = next(tool for tool in tools if tool["name"] == "renode")
    assert code == 0 and not told["found"]
    assert told["problem"] == "does not start: status 134: System.DllNotFoundException: libfoo.so"
    assert "does not" in said
