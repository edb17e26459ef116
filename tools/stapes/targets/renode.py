"""Renode as a target: its process, the conversation with its monitor, and the board's UART as a TCP stream."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import NamedTuple

from stapes.definitions import firmware_dir
from stapes.errors import LinkError, TargetError
from stapes.firmware import require_program
from stapes.targets.process import TargetProcess
from stapes.targets.stream import DescriptorStream

_log = logging.getLogger(__name__)

OLDEST = (1, 14)
ATTEMPTS = 3
START_SECONDS = 180.0
ANSWER_SECONDS = 60.0
GREETINGS = 20
# The cycle counter moves on once a quantum, until 1.16 synchronised when it is read: 1 microsecond is 100 instructions.
SYNCHRONISES = (1, 16)
FINE_QUANTUM, QUANTUM = '"0.000001"', '"0.0001"'
# Each waiting byte makes the next one slower: a burst of 2000 bytes arrives at a tenth of the speed of 100.
LARGEST_PAYLOAD = 132

# What a telnet client answers to the twelve bytes that the monitor opens with; it drops the nine bytes that
# come first, whatever they are.
TELNET_ANSWER = bytes([255, 251, 0, 255, 253, 1, 255, 253, 3])
TELNET_COMMAND = re.compile(rb"\xff[\xfb-\xfe].", re.DOTALL)
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROMPT = re.compile(r"\([\w-]+\) ")
REFUSAL = re.compile(
    r"There was an error executing command|No such command or device|No such variable|Could not tokenize"
    r"|Could not find file|Bad parameters for command|Parameters did not match"
)
COMPLAINT = re.compile(r"\[ERROR\] (.*)")
LOG_NAME = "renode.log"
PORT_TAKEN = re.compile("AddressAlreadyInUse|already in use", re.IGNORECASE)


class Platform(NamedTuple):
    """An emulated board: its folder in firmware/boards, the name of its UART in firmware/renode/NAME.repl; `models`
    is a C# file there with peripherals that Renode lacks.
    """

    board: str
    uart: str
    models: str = ""


PLATFORMS = {
    "esp32c3": Platform("esp32c3", "sysbus.uart0", models="esp32c3.cs"),
    "nucleo_f767zi": Platform("nucleo_f767zi", "sysbus.usart3"),
    "nucleo_h753zi": Platform("nucleo_h753zi", "sysbus.usart3"),
    "nucleo_l552ze_q": Platform("nucleo_l552ze_q", "sysbus.lpuart1"),
    "stm32f072b_discovery": Platform("stm32f072b_discovery", "sysbus.usart1"),
    "stm32f4_discovery": Platform("stm32f4_discovery", "sysbus.usart2"),
}


class Wishes(NamedTuple):
    """What a person wants of the emulation besides: `gdb`, a port where a debugger can attach, and `commands` for the
    monitor, before the machine starts.
    """

    gdb: int | None = None
    commands: tuple[str, ...] = ()


NONE = Wishes()
WISHES: ContextVar[Wishes] = ContextVar("WISHES", default=NONE)
"""Of whoever opens a Renode next; no layer between needs to know."""


class PortTakenError(TargetError):
    """Somebody else took a port between its choice and its use; another attempt takes others."""


def find_platform(name: str) -> Platform:
    """The platform of that name (`@PORT` behind it or not); `TargetError` with the choices where there is none."""
    name = name.partition("@")[0]
    try:
        return PLATFORMS[name]
    except KeyError:
        raise TargetError(
            f"no board for Renode platform {name!r}", hint=f"choose one of {', '.join(sorted(PLATFORMS))}"
        ) from None


def running_port(name: str) -> int | None:
    """The port in `PLATFORM@PORT`: the line of a Renode that somebody else has started; None where stapes starts it."""
    port = name.partition("@")[2]
    if "@" in name and not (port.isdecimal() and 0 < int(port) < 65536):
        raise TargetError(
            f"no port: {port!r}", hint="give renode:PLATFORM@PORT, the port of the board's line"
        )
    return int(port) if port else None


@contextmanager
def attach_renode(port: int) -> Iterator[DescriptorStream]:
    """The emulated UART of a Renode that runs on this computer and stays."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=5.0)
    except OSError as error:
        raise TargetError(
            f"nobody listens on port {port} of this computer", hint="start the machine in Renode first"
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = DescriptorStream(connection.detach())
    try:
        yield stream
    finally:
        stream.close()


class Monitor:
    """Renode's command line over a stream; each command is followed by a mark that ends its answer."""

    def __init__(self, stream: DescriptorStream) -> None:
        self._stream = stream
        self._bytes = b""
        self._marks = 0
        stream.write(TELNET_ANSWER)

    def greet(self, token: str, process: TargetProcess) -> None:
        """Wait for the prompt, then for the variable that only the Renode we started has."""
        taken = PortTakenError("another program took Renode's port", hint="try again")
        deadline = time.monotonic() + START_SECONDS
        while not PROMPT.search(self._bytes.decode(errors="replace")):
            self._more(time.monotonic() + 0.5)
            if PORT_TAKEN.search(process.output()):
                raise taken
            if time.monotonic() > deadline:
                raise TargetError(
                    f"Renode's monitor gave no prompt within {START_SECONDS:.0f} s",
                    hint="see whether this Renode runs by itself",
                )
        for _ in range(GREETINGS):
            if token in self.ask("echo $stapes"):
                return
            time.sleep(0.1)
        raise taken

    def ask(self, command: str) -> list[str]:
        """Run a command; the lines that it printed. `TargetError` when they do not end in time."""
        self._marks += 1
        mark = f"stapes-{self._marks}"
        self._stream.write(f'{command}\necho "{mark}"\n'.encode())
        deadline = time.monotonic() + ANSWER_SECONDS
        answer: list[str] = []
        while (line := self._line(deadline)) is not None:
            if line == mark:
                return answer
            if line and not PROMPT.match(line):
                answer.append(line)
        raise TargetError(
            f"Renode's monitor did not answer `{command}` within {ANSWER_SECONDS:.0f} s",
            hint="see whether this Renode runs by itself",
        )

    def instructions(self) -> int:
        """Instructions executed since the machine was made."""
        answer = self.ask("sysbus.cpu ExecutedInstructions")
        try:
            return int(answer[0].split()[0], 0)
        except (IndexError, ValueError):
            raise TargetError(f"Renode gave no instruction count: {' '.join(answer)}") from None

    def _line(self, deadline: float) -> str | None:
        """The next line without telnet commands and colours; None when there is none by then."""
        while b"\n" not in self._bytes:
            if not self._more(deadline):
                return None
        line, _, self._bytes = self._bytes.partition(b"\n")
        text = TELNET_COMMAND.sub(b"", line).decode(errors="replace")
        return CONTROL_SEQUENCE.sub("", text).strip()

    def _more(self, deadline: float) -> bool:
        """Wait for bytes; False when the time is over."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self._stream.timeout = left
        self._bytes += self._stream.read(4096)
        return True


class RenodeStream(DescriptorStream):
    """The emulated UART, and the monitor of the Renode behind it."""

    def __init__(self, descriptor: int, process: TargetProcess, monitor: Monitor) -> None:
        super().__init__(descriptor, process.explain)
        self.monitor = monitor


@contextmanager
def open_renode(name: str, program: Path) -> Iterator[RenodeStream]:
    """Start Renode with `program` (an ELF) on the platform, yield its UART, end it afterwards.

    Its log stays beside the program; the first error in it is part of what is raised meanwhile.
    """
    kept = program.with_name(LOG_NAME)
    platform = find_platform(name)
    for left in reversed(range(ATTEMPTS)):
        with ExitStack() as stack:
            try:
                stream, log = _start(stack, name, platform, program, kept)
            except PortTakenError as taken:
                _log.debug("%s; %d attempts left", taken.message, left)
                if left:
                    continue
                raise
            try:
                yield stream
            except (LinkError, TargetError) as error:
                if complaint := COMPLAINT.search(log.read_text(errors="replace")):
                    error.message += f"; Renode says: {complaint[1].strip()}"
                    error.hint = f"see {kept}"
                raise
            return


def _start(
    stack: ExitStack, name: str, platform: Platform, program: Path, kept: Path
) -> tuple[RenodeStream, Path]:
    """The UART, and the file with the log, which becomes `kept` in the end."""
    # Killed, Renode leaves temporary files behind; here they go with the directory.
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="stapes-renode-")))
    (directory / "config").write_text(f"[general]\nhistory-path = {directory / 'history'}\n")
    log = directory / LOG_NAME
    stack.callback(_keep, log, kept)
    elf = directory / "firmware.elf"
    elf.symlink_to(program)
    monitor_port, line_port = _free_ports(2)
    _log.debug("Renode: monitor on port %d, the board's line on port %d", monitor_port, line_port)
    token = secrets.token_hex(8)
    command = [require_program("renode"), "--disable-xwt", "--plain", "--hide-log"]
    command += ["--config", str(directory / "config"), "-P", str(monitor_port), "-e", f'$stapes="{token}"']
    process = TargetProcess(command, environment={"TMPDIR": str(directory)})
    stack.callback(process.stop)

    stream = DescriptorStream(_connect(monitor_port, process), process.explain)
    stack.callback(stream.close)
    monitor = Monitor(stream)
    monitor.greet(token, process)
    version = _version(monitor.ask("version"))
    _run(monitor, f"logFile {_path(log)} true", "its log")
    if platform.models:
        _run(monitor, f"include {_path(firmware_dir() / 'renode' / platform.models)}", platform.models)
    values = {
        "platform": _path(firmware_dir() / "renode" / f"{name}.repl"),
        "elf": _path(elf),
        "port": str(line_port),
        "uart": platform.uart,
        "name": '"stapes"',
        "line": '"line"',
        "quantum": QUANTUM if version >= SYNCHRONISES else FINE_QUANTUM,
    }
    _run_script(monitor, firmware_dir() / "renode" / "stapes.resc", values)
    line = RenodeStream(_connect(line_port, process), process, monitor)
    stack.callback(line.close)
    return line, log


def _keep(log: Path, kept: Path) -> None:
    with suppress(OSError):  # none yet, or nowhere to keep it
        shutil.copyfile(log, kept)


def _run_script(monitor: Monitor, script: Path, values: dict[str, str]) -> None:
    for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line == "start":
            _grant(monitor, WISHES.get())
        _run(monitor, Template(line).substitute(values), f"line {number} of {script.name} (`{line}`)")


def _grant(monitor: Monitor, wishes: Wishes) -> None:
    for command in wishes.commands:
        _run(monitor, command, f"`{command}`", "see the command of --renode")
    if wishes.gdb is not None:
        _run(monitor, f"machine StartGdbServer {wishes.gdb}", f"port {wishes.gdb} for a debugger", "free it")


def _run(monitor: Monitor, command: str, name: str, hint: str = "") -> None:
    """Run a command; `TargetError` with its name where Renode refuses it."""
    answer = monitor.ask(command)
    if any(REFUSAL.search(said) for said in answer):
        text = _reason(answer)
        if PORT_TAKEN.search(text) and not hint:
            raise PortTakenError(f"Renode could not open its port: {text}", hint="try again")
        raise TargetError(
            f"Renode refused {name}: {text}",
            hint=hint or "see whether this Renode is 1.14 or later and complete",
        )


def _reason(answer: Sequence[str]) -> str:
    """Why a command was refused: what follows the sentence that it was."""
    lines = [line for line in answer if not line.startswith("There was an error executing command")]
    return " ".join(dict.fromkeys(lines or answer))


def _version(answer: Sequence[str]) -> tuple[int, int]:
    """Major and minor number; `TargetError` where that is older than what we know."""
    text = " ".join(answer)
    found = re.search(r"version (\d+)\.(\d+)(\.\d+)?", text)
    if found is None:
        raise TargetError(f"Renode told no version: {text}", hint="install Renode 1.14 or later")
    _log.debug("Renode: %s", found.group())
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise TargetError(f"Renode is too old: {found.group()}", hint="install Renode 1.14 or later")
    return version


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _connect(port: int, process: TargetProcess) -> int:
    """A connection to a port that the process opens sooner or later; the descriptor belongs to the caller."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=1.0)
        except OSError as error:
            if process.process.poll() is not None:
                if PORT_TAKEN.search(process.output()):
                    raise PortTakenError("another program took Renode's port", hint="try again") from error
                raise TargetError(
                    f"Renode ended before it answered{process.explain()}",
                    hint="see whether this Renode runs by itself",
                ) from error
            if time.monotonic() > deadline:
                raise TargetError(
                    f"Renode did not open its port within {START_SECONDS:.0f} s",
                    hint="see whether this Renode runs by itself",
                ) from error
            time.sleep(0.05)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection.detach()


def _path(path: Path) -> str:
    """A path as the monitor reads it."""
    return "@" + str(path).replace(" ", "\\ ")
