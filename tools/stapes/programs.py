"""Programs of somebody else's that stapes runs: each ends with all that it started, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stapes.errors import ToolError

_GONE_SECONDS = 2.0


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
    """Kill what `process` leads (it was started as a session of its own), and wait for it.

    The others are nobody's to wait for: they are looked for until they are gone, or for `_GONE_SECONDS`, as where
    nothing collects orphans (a container without an init) the dead stay in the list.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        end = time.monotonic() + _GONE_SECONDS
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.01)
    process.wait()


def run_program(command: Sequence[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """The ended program with its output. Raises `ToolError` where it takes longer than `seconds`, if given."""
    try:
        with program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            output, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{Path(command[0]).name} did not end within {error.timeout:.0f} s and was stopped",
            hint="see whether the machine is too busy, or the disk too slow",
        ) from error
    return subprocess.CompletedProcess(command, process.returncode, output, complaint)


def first_complaint(text: str) -> str:
    """The first line that is more than a heading; what follows it are consequences and advice."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.endswith(":")), "")
