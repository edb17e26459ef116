"""Targets by name: `host`, `qemu:MACHINE`, `renode:PLATFORM[@PORT]`, `board:NAME@PORT`, or a pyserial URL."""

from __future__ import annotations

import logging
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from stapes.errors import TargetError
from stapes.firmware import require_program
from stapes.firmware.boards import Board
from stapes.firmware.build import board_names, require_board, require_compiler
from stapes.targets.microphone import StandIn
from stapes.targets.ports import find_port
from stapes.targets.process import TargetProcess
from stapes.targets.renode import (
    LARGEST_PAYLOAD,
    WISHES,
    attach_renode,
    find_platform,
    open_renode,
    running_port,
)
from stapes.targets.serial_line import open_serial
from stapes.targets.stream import DescriptorStream, Stream
from stapes.targets.turns import turn

_log = logging.getLogger(__name__)

START_SECONDS = 10.0


DSP_CORES = ("Cortex-M4", "Cortex-M7", "Cortex-M33")
"""Cores with DSP instructions."""


class Machine(NamedTuple):
    """An emulated board: how QEMU calls it, its folder in firmware/boards, the index of the UART it uses, and whether
    its line is the emulator's own standard input and output.
    """

    emulator: str
    machine: str
    board: str
    uart: int = 0
    options: tuple[str, ...] = ()
    standard: bool = False


MACHINES = {
    "netduinoplus2": Machine("qemu-system-arm", "netduinoplus2", "stm32f4_discovery", uart=1),
    "stm32vldiscovery": Machine("qemu-system-arm", "stm32vldiscovery", "stm32vldiscovery"),
    "microbit": Machine("qemu-system-arm", "microbit", "microbit"),
    "mps2-an385": Machine("qemu-system-arm", "mps2-an385", "mps2_an385"),
    "mps2-an386": Machine("qemu-system-arm", "mps2-an386", "mps2_an386"),
    "mps2-an500": Machine("qemu-system-arm", "mps2-an500", "mps2_an500"),
    "mps2-an505": Machine("qemu-system-arm", "mps2-an505", "mps2_an505"),
    "mps3-an547": Machine("qemu-system-arm", "mps3-an547", "mps3_an547"),
    "riscv32-virt": Machine("qemu-system-riscv32", "virt", "riscv32_virt", options=("-bios", "none")),
    "xtensa-sim": Machine(
        "qemu-system-xtensa", "sim", "xtensa_sim", options=("-cpu", "lx106"), standard=True
    ),
}


def board_for_target(target: str) -> str | None:
    """The board whose firmware the target runs; None when that is not ours to know (a pyserial URL)."""
    if target == "host":
        return "host"
    kind, _, rest = target.partition(":")
    if kind == "qemu":
        return _machine(rest).board
    if kind == "renode":
        return find_platform(rest).board
    if kind == "board":
        name = rest.partition("@")[0]
        require_board(name, TargetError)
        return name
    if "://" not in target and not target.startswith(("/dev/", "COM")):
        hint = "give host, qemu:MACHINE, renode:PLATFORM, board:NAME@PORT or a pyserial URL"
        if target in MACHINES:
            hint = f"give qemu:{target}"
        elif target in board_names():
            hint = f"give board:{target}@auto for the board on your desk"
        raise TargetError(f"unknown target {target!r}", hint=hint)
    return None


def require_target(target: str) -> None:
    """Raise `ToolError` with the install command when something that the target needs is missing; `TargetError` for
    targets that there are not, and for a board without a port.
    """
    board = board_for_target(target)
    if not runs_here(target):
        _port_of(target)
    if board is not None:
        require_compiler(board)
    if target.startswith("qemu:"):
        require_program(_machine(target.removeprefix("qemu:")).emulator)
    if target.startswith("renode:") and running_port(target.removeprefix("renode:")) is None:
        require_program("renode")


def runs_here(target: str) -> bool:
    """Whether the target is a program of this computer: the host's build or an emulator."""
    return target == "host" or target.startswith(("qemu:", "renode:"))


def line_of(target: str) -> str | None:
    """The port or URL that leads to the target, `auto` found; None for a program that runs here.

    Raises `TargetError` for a board without a port.
    """
    if runs_here(target):
        return None
    return find_port(_port_of(target))


def _port_of(target: str) -> str:
    port = target.removeprefix("board:").partition("@")[2] if target.startswith("board:") else target
    if not port:
        raise TargetError(
            f"{target} names no port", hint=f"give it as {target}@/dev/ttyACM0 or {target}@auto"
        )
    return port


def unit_of_counter(target: str, said: str) -> str:
    """What the target's counter counts, `said` by the device: Renode models the cycle counter so that it counts
    instructions, not the time that they take, and the device cannot tell.
    """
    return "instructions" if said == "cycles" and target.startswith("renode:") else said


def known_fault(target: str) -> str | None:
    """What the target's emulator itself is known to compute wrongly in our firmware; docs/emulators.md has it all."""
    board = board_for_target(target)
    if target.startswith("renode:") and board and Board.load(board).core.startswith(DSP_CORES):
        return (
            "known of Renode: its SMLALD adds both products in 32 bits (1.15.3, 1.16.1), before 1.16 its SSUB8 sets "
            "wrong flags for SEL (docs/emulators.md)"
        )
    return None


def largest_payload(target: str) -> int | None:
    """Bytes that one request may carry where long ones are slow; None for no limit but the device's."""
    return LARGEST_PAYLOAD if target.startswith("renode:") else None


def require_stand_in(target: str) -> None:
    """Raise `TargetError` where no recording can stand in for the target's microphone."""
    board = board_for_target(target) if target == "host" or target.startswith("qemu:") else None
    if board != "host" and not (board or "").startswith("mps"):
        fit = [
            "host",
            *(f"qemu:{name}" for name, machine in MACHINES.items() if machine.board.startswith("mps")),
        ]
        raise TargetError(
            f"no recording can stand in for the microphone of {target}",
            hint=f"choose one of {', '.join(fit)}",
        )


def repeat_after(target: str) -> float | None:
    """Seconds before a request is sent again where the line loses nothing and answers take long; None elsewhere.

    A repeated request interrupts the network, and what that takes is counted as the network's.
    """
    return 30.0 if target.startswith("renode:") else None


def longest_wait(target: str) -> float:
    """Seconds that a request may go without an answer: an emulator on a busy computer takes long for a window."""
    if not target.startswith("renode:"):
        return 30.0
    return 300.0 if WISHES.get().gdb is None else 86400.0  # whoever debugs stops for as long as it takes


@contextmanager
def open_target(
    target: str,
    elf: Path | None = None,
    *,
    uart: bool = False,
    counts: bool = True,
    microphone: StandIn | None = None,
) -> Iterator[Stream]:
    """Start the target and yield its byte stream; stop it afterwards, whatever happened.

    `elf` is the program to run (host, QEMU and Renode). `uart` makes QEMU use the emulated UART rather than the
    semihosting console, which is about forty times as fast and carries the same bytes. Without `counts` QEMU counts no
    instructions and is twice as fast; its console then stalls when more than 1,024 bytes wait in it. `microphone` is
    what the target hears; see `require_stand_in`.
    """
    if microphone:
        require_stand_in(target)
    begin = time.monotonic()
    _log.debug("opening %s%s", target, f" with {elf}" if elf else "")
    try:
        with _line(target, elf, uart=uart, counts=counts, microphone=microphone) as stream:
            _log.debug("%s is open after %.3f s", target, time.monotonic() - begin)
            yield stream
    finally:
        _log.debug("%s is closed after %.1f s", target, time.monotonic() - begin)


@contextmanager
def _line(
    target: str, elf: Path | None, *, uart: bool, counts: bool, microphone: StandIn | None
) -> Iterator[Stream]:
    if target == "host":
        with _host(_program(target, elf), microphone) as stream:
            yield stream
    elif target.startswith("qemu:"):
        machine = target.removeprefix("qemu:")
        with _qemu(machine, _program(target, elf), microphone, uart=uart, counts=counts) as stream:
            yield stream
    elif target.startswith("renode:"):
        name = target.removeprefix("renode:")
        running = running_port(name)
        with attach_renode(running) if running else open_renode(name, _program(target, elf)) as stream:
            yield stream
    else:
        port = line_of(target)
        assert port is not None
        name = target.removeprefix("board:").partition("@")[0]
        wiring = Board.load(name).wiring if target.startswith("board:") else None
        lines = {"dtr": wiring.dtr, "rts": wiring.rts} if wiring else {}
        with turn(port) as url, open_serial(url, **lines) as stream:
            yield stream


def _machine(name: str) -> Machine:
    try:
        return MACHINES[name]
    except KeyError:
        raise TargetError(
            f"no board for QEMU machine {name!r}", hint=f"choose one of {', '.join(sorted(MACHINES))}"
        ) from None


def _program(target: str, elf: Path | None) -> Path:
    if elf is None or not elf.is_file():
        raise TargetError(f"{target} has no program to run: {elf}", hint="build it with `stapes build`")
    return elf.absolute()


@contextmanager
def _host(program: Path, microphone: StandIn | None) -> Iterator[Stream]:
    heard = {}
    if microphone:
        heard = {"STAPES_HOST_MICROPHONE": microphone.path, "STAPES_HOST_SPEED": str(microphone.speed)}
    process = TargetProcess(
        [str(program)],
        read_output=True,
        environment=heard,
        pass_fds=[microphone.descriptor] if microphone else [],
    )
    try:
        output = process.process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], START_SECONDS)
        name = output.readline().decode().strip() if ready else ""
        if not name:
            raise TargetError(
                f"the host program did not open its line{process.explain()}", hint="build it again"
            )
        stream = DescriptorStream(os.open(name, os.O_RDWR | os.O_NOCTTY), process.explain)
        try:
            yield stream
        finally:
            stream.close()
    finally:
        process.stop()


@contextmanager
def _qemu(
    machine: str, program: Path, microphone: StandIn | None, *, uart: bool, counts: bool
) -> Iterator[Stream]:
    emulated = _machine(machine)
    ours, theirs = socket.socketpair()
    command = [require_program(emulated.emulator), "-machine", emulated.machine, *emulated.options]
    command += ["-nodefaults", "-display", "none", "-monitor", "none"]
    if counts:
        # One instruction is one virtual nanosecond: the same counts on every run.
        command += ["-icount", "shift=0"]
    command += ["-kernel", str(program)]
    console = "" if uart or emulated.standard else ",chardev=line,arg=stapes-console"
    console += f",arg=stapes-microphone={microphone.path}" if microphone else ""
    command += ["-semihosting-config", f"enable=on,target=native{console}"]
    if emulated.standard:
        # Through a character device, which the main loop fills while the core reads, bytes get lost.
        theirs.setblocking(False)
    else:
        command += ["-chardev", f"socket,id=line,fd={theirs.fileno()}"]
        command += ["-serial", "null"] * emulated.uart + ["-serial", "chardev:line" if uart else "null"]
    try:
        heard = [microphone.descriptor] if microphone else []
        process = TargetProcess(
            command,
            pass_fds=[theirs.fileno(), *heard],
            standard=theirs.fileno() if emulated.standard else None,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    stream = DescriptorStream(ours.detach(), process.explain)
    try:
        yield stream
    finally:
        stream.close()
        process.stop()
