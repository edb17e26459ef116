"""The one order of events: find the probe, read the chip, compare, write, verify. Nothing is written before."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stapes.errors import TargetError
from stapes.firmware import find_program, require_program
from stapes.firmware.boards import Board
from stapes.progress import Progress, no_progress
from stapes.targets.flash.explain import VENDORS, explain, udev_hint, unlock_hint
from stapes.targets.flash.identity import Identity, expected_identities, probe_kind, tool_targets
from stapes.targets.flash.runner import Answer, Runner
from stapes.targets.flash.tool import IDENTITY_SECONDS, PROBE_SECONDS, Job, Tool
from stapes.targets.flash.tools import TOOLS
from stapes.targets.ports import find_port
from stapes.targets.usb_access import connected_probes, forbidden_device

_log = logging.getLogger(__name__)

NOBODY = ("0x000", "0xfff")
"""What a bus without a chip reads as."""


@dataclass(frozen=True)
class FlashResult:
    """What was written, where, and by what."""

    tool: str
    identity: Identity
    job: Job
    commands: list[list[str]]
    log: Path
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Part of `stapes flash --json`."""
        return {
            "board": self.job.board.name,
            "chip": self.job.board.chip,
            "identity": self.identity.text,
            "tool": self.tool,
            "probe": self.job.probe,
            "port": self.job.port,
            "image": str(self.job.image.path),
            "image_bytes": self.job.image.size,
            "image_sha256": self.job.image.sha256,
            "address": self.job.image.address,
            "commands": self.commands,
            "log": str(self.log),
            "seconds": self.seconds,
        }


def choose_tool(board: Board, wanted: str | None = None) -> Tool:
    """The program to flash `board` with: the wanted one, else the first installed of those that can.

    Raises `TargetError` for one that cannot, `ToolError` with the install command for one that is missing.
    """
    able = list(tool_targets(board))
    if not able:
        raise TargetError(f"{board.name} is not a board that can be flashed", hint="see docs/flashing.md")
    if not expected_identities(board):
        raise TargetError(
            f"the identity of {board.name}'s chip is not known, so nothing may be erased",
            hint="use its own way, e.g. copying a .hex to its USB drive",
        )
    if wanted is not None and wanted not in able:
        raise TargetError(
            f"{wanted} cannot flash {board.name} ({board.chip})", hint=f"choose one of {', '.join(able)}"
        )
    usable = [wanted] if wanted else able
    for name in usable:
        missing = [program for program in TOOLS[name].programs if not find_program(program)]
        _log.debug(
            "%s for %s: %s", name, board.name, f"{', '.join(missing)} missing" if missing else "chosen"
        )
        if not missing:
            return TOOLS[name]
    for program in TOOLS[usable[0]].programs:
        require_program(program)
    raise AssertionError("one of them is missing")


def planned_commands(tool: Tool, job: Job) -> list[list[str]]:
    """Every command that `flash_image` runs when all goes well; PROBE and PORT stand for what is found then."""
    commands = [] if job.probe else tool.probe_commands()[:1]
    return [*commands, tool.identity_command(job), *(list(step.command) for step in tool.write_steps(job))]


def flash_image(
    tool: Tool,
    job: Job,
    log: Path,
    *,
    progress: Progress = no_progress,
) -> FlashResult:
    """Write and verify the job's image; `log` gets every command and its output.

    Raises `TargetError`, before anything is written, when the chip does not answer, is another one than the
    board's, or is locked; and after it when verification fails or the program does not say that it succeeded.
    """
    begin = time.monotonic()
    runner = Runner(log)
    if tool.needs_port:
        job = replace(job, port=find_port(job.port or "auto"))
    progress("finding the probe", 0, 3)
    job = replace(job, probe=_find_probe(tool, job, runner))
    progress("reading the chip", 1, 3)
    identity = _identify(tool, job, runner)
    progress(f"writing {job.image.size:,} bytes", 2, 3)
    for step in tool.write_steps(job):
        answer = _run(runner, step.command, step.seconds)
        if answer.status != 0 or not re.search(step.proof, answer.everything):
            raise _explained(tool, job, runner, answer.everything)
    progress("verified", 3, 3)
    return FlashResult(tool.name, identity, job, runner.commands, log, time.monotonic() - begin)


def _identify(tool: Tool, job: Job, runner: Runner) -> Identity:
    """Who answers, when that is the board's chip and open; raises `TargetError` in any other case."""
    answer = _run(runner, tool.identity_command(job), IDENTITY_SECONDS)
    identity = tool.identity(job, answer.everything)
    if identity is None:
        raise _explained(tool, job, runner, answer.everything)
    if identity.text in NOBODY:
        raise TargetError(
            f"{tool.name}: the probe is there, the chip does not answer (device id {identity.text})",
            hint="check power, the SWD jumpers and cable; hold RESET while it starts if the program sleeps",
        )
    expected = expected_identities(job.board)
    _log.debug("%s: chip %s, expected %s", tool.name, identity.text, " or ".join(expected))
    if identity.text not in expected:
        raise TargetError(
            f"the chip that answers is {identity.text}, {job.board.name} ({job.board.chip}) has "
            f"{' or '.join(expected)}",
            hint="nothing was written; name the right --board, or the right --probe or --port",
        )
    if identity.locked:
        raise TargetError(
            f"{job.board.chip} is locked: its flash is protected against reading", hint=unlock_hint(tool.name)
        )
    if answer.status != 0:
        raise _explained(tool, job, runner, answer.everything)
    return identity


def _find_probe(tool: Tool, job: Job, runner: Runner) -> str | None:
    """The one probe that is meant; of a program that lists none and would take any, the system says what is there."""
    if tool.needs_port:
        return job.probe
    said = ""
    found: list[str] = []
    for command in tool.probe_commands():
        answer = _run(runner, command, PROBE_SECONDS)
        said += answer.everything
        found = list(dict.fromkeys(tool.probes(answer.output)))  # a probe with two interfaces is listed twice
        if found:
            break
    if not tool.probe_commands():
        found = connected_probes(VENDORS[probe_kind(job.board)])
        if len(found) == 1 or not found:
            return job.probe
    _log.debug(
        "%s finds the probes %s; wanted: %s", tool.name, ", ".join(found) or "none", job.probe or "any"
    )
    meant = [serial for serial in found if job.probe is None or job.probe.lower() in serial.lower()]
    if len(meant) == 1:
        return meant[0]
    if not found:
        raise _explained(tool, job, runner, said)
    if not meant:
        raise TargetError(f"no probe {job.probe} is connected", hint=f"connected: {', '.join(found)}")
    raise TargetError(
        f"{len(meant)} probes are connected: {', '.join(meant)}", hint="name one with --probe ID"
    )


def _run(runner: Runner, command: Sequence[str], seconds: float) -> Answer:
    return runner.run([require_program(command[0]), *command[1:]], seconds)


def _explained(tool: Tool, job: Job, runner: Runner, said: str) -> TargetError:
    forbidden = None if tool.needs_port else forbidden_device()
    if forbidden:
        return TargetError(
            f"no permission to use the probe at {forbidden}", hint=udev_hint(probe_kind(job.board))
        )
    return explain(
        said,
        tool=tool.name,
        board=job.board.name,
        log=runner.log,
        port=job.port,
        interface=probe_kind(job.board),
    )
