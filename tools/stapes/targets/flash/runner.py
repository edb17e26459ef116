"""Run one program of somebody else's: bounded in time, with all that it says in a log."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stapes.errors import TargetError
from stapes.programs import end_group, program

_log = logging.getLogger(__name__)

COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Answer:
    """How a program ended: its exit status, its standard output alone, and both outputs together."""

    status: int
    output: str
    everything: str


@dataclass
class Runner:
    """Runs commands and appends each with its output to the file `log`."""

    log: Path
    commands: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")

    def run(self, command: Sequence[str], seconds: float) -> Answer:
        """The program's answer; `TargetError` when it does not start or does not end within `seconds`.

        Whatever happens, the program and all that it started have ended afterwards.
        """
        self.commands.append(list(command))
        begin = time.monotonic()
        environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        pipe, late = subprocess.PIPE, False
        try:
            with program(command, stdout=pipe, stderr=pipe, env=environment) as process:
                try:
                    output, complaint = process.communicate(timeout=seconds)
                except subprocess.TimeoutExpired:
                    late = True
                    end_group(process)
                    output, complaint = process.communicate()
        except OSError as error:
            raise TargetError(
                f"{command[0]} did not start: {error.strerror}", hint="install it again; see `stapes doctor`"
            ) from error
        output, complaint = COLOUR.sub("", output), COLOUR.sub("", complaint)
        status = "stopped" if late else f"status {process.returncode}"
        _log.debug("%s: %s after %.1f s", shlex.join(command), status, time.monotonic() - begin)
        self._write(command, output + complaint, f"{status} after {time.monotonic() - begin:.1f} s")
        if late:
            raise TargetError(
                f"`{Path(command[0]).name}` did not end within {seconds:.0f} s and was stopped",
                hint=f"unplug the board and plug it in again; what it said is in {self.log}",
            )
        return Answer(process.returncode, output, output + complaint)

    def _write(self, command: Sequence[str], said: str, end: str) -> None:
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {shlex.join(command)}\n{said}")
            stream.write(f"{'' if said.endswith(chr(10)) or not said else chr(10)}[{end}]\n\n")
