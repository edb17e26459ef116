"""Programs of somebody else's that stapes runs: each ends with all that it started, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stapes.errors import ToolError


@contextlib.contextmanager
def program(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start `command` as a group of its own (`options` as for `subprocess.Popen`); where the block does not see it end,
    the whole group is killed.

    A signal to stapes alone would otherwise leave compilers behind that still write; and Ctrl-C reaches stapes only,
    which alone knows in what order things must end. Raises `OSError` where the program does not start.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True, **options
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            end_group(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill what `process` leads (it was started as a session of its own), and wait for it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_program(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """The ended program with its output. Raises `ToolError` where it takes longer than `seconds`."""
    try:
        with program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            output, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{Path(command[0]).name} did not end within {seconds:.0f} s and was stopped",
            hint="see whether the machine is too busy, or the disk too slow",
        ) from error
    return subprocess.CompletedProcess(command, process.returncode, output, complaint)
