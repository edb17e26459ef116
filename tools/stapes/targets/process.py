"""A program that plays a board: started in its own process group, never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from stapes.errors import TargetError
from stapes.programs import end_group, first_complaint

_log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
LONGEST = 2000


def die_with_parent() -> Callable[[], None] | None:
    """What to run in the child before the program: on Linux, ask to be killed when the parent dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    return ask


class TargetProcess:
    """A running program; its standard error is kept for `explain`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        read_output: bool = False,
        standard: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`standard`: the descriptor that becomes its standard input and output."""
        self.name = Path(command[0]).name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if standard is None else standard,
                stdout=subprocess.PIPE if read_output else self._errors if standard is None else standard,
                stderr=self._errors,
                pass_fds=pass_fds,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                preexec_fn=die_with_parent(),
            )
        except OSError as error:
            self._errors.close()
            raise TargetError(
                f"{command[0]} did not start: {error.strerror}", hint="build it again"
            ) from error
        _log.debug("process %d: %s", self.process.pid, shlex.join(command))

    def explain(self) -> str:
        """` (status and what it complained of)`, or nothing while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1.0)
        status = self.process.poll()
        if status is None:
            return ""
        words = first_complaint(self.output())
        return f" ({self.name}, status {status}{': ' + words if words else ''})"

    def output(self) -> str:
        """What it wrote to standard error, and to standard output unless somebody reads that; the beginning."""
        return os.pread(self._errors.fileno(), LONGEST, 0).decode(errors="replace")

    def stop(self) -> None:
        """End the whole process group, and wait for it."""
        status = self.process.poll()
        ended = "is stopped" if status is None else f"had ended with status {status}"
        _log.debug("process %d (%s) %s", self.process.pid, self.name, ended)
        end_group(self.process)
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()
