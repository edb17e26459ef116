"""A place of labgrid, `labgrid://PLACE`: acquired for as long as it is used, its serial port as a URL."""

from __future__ import annotations

import ast
import getpass
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stapes.errors import StapesError, TargetError, ToolError
from stapes.programs import run_program

_log = logging.getLogger(__name__)

SCHEME = "labgrid://"
PROGRAM = "labgrid-client"
SECONDS = 60.0
LOOK_SECONDS = 3.0
URLS = {"rfc2217": "rfc2217", "raw": "socket"}
RESOURCE = re.compile(r"^Acquired resource '[^']*NetworkSerialPort'.*\n((?:[ \t]+.*\n?)+)", re.MULTILINE)
TAKEN = re.compile(r"already acquired by (\S+)")


@contextmanager
def acquired(place: str, wait: float | None, waiting: Callable[[str], None] | None) -> Iterator[str]:
    """Acquire the place, yield the URL of its serial port, release it. One that this user has acquired stays acquired.

    Waits up to `wait` seconds (None: for ever) for whoever has it. Raises `ToolError` without labgrid, `TargetError`
    with labgrid's words where it refuses. Which coordinator is asked is labgrid's own business (`LG_COORDINATOR`).
    """
    ours = _acquire(place, wait, waiting)
    try:
        yield port_url(place, _client(place, "show"))
    finally:
        if ours:
            try:
                _client(place, "release")
            except StapesError as error:
                _log.debug("%s", error.message)


def port_url(place: str, shown: str) -> str:
    """The URL in what `labgrid-client show` prints of an acquired place."""
    found = RESOURCE.search(shown)
    if found is None:
        raise TargetError(
            f"place {place} of labgrid has no NetworkSerialPort",
            hint="let its exporter share the board's port; see `labgrid-client resources`",
        )
    try:
        parameters: dict[str, Any] = ast.literal_eval(found[1].strip())["params"]
        scheme = URLS[parameters.get("protocol") or "rfc2217"]
        return f"{scheme}://{parameters['host']}:{int(parameters['port'])}"
    except (ValueError, SyntaxError, KeyError, TypeError, AttributeError) as error:
        text = " ".join(found[1].split())[:200]
        raise TargetError(
            f"place {place} of labgrid: its NetworkSerialPort is not understood: {text}",
            hint="name the port by its URL instead",
        ) from error


def _acquire(place: str, wait: float | None, waiting: Callable[[str], None] | None) -> bool:
    """True where it was acquired now, False where this user has had it before."""
    me = (
        f"{os.environ.get('LG_HOSTNAME') or socket.gethostname()}/"
        f"{os.environ.get('LG_USERNAME') or getpass.getuser()}"
    )
    deadline = None if wait is None else time.monotonic() + wait
    while True:
        try:
            _client(place, "acquire")
            return True
        except TargetError as error:
            holder = TAKEN.search(error.message)
            if holder is None:
                raise
            if holder[1] == me:
                return False
            if deadline is not None and time.monotonic() + LOOK_SECONDS > deadline:
                raise
            if waiting:
                waiting(holder[1])
        waiting = None  # once is enough
        time.sleep(LOOK_SECONDS)


def _client(place: str, command: str) -> str:
    path = shutil.which(PROGRAM)
    if path is None:
        raise ToolError(
            f"{PROGRAM} is missing; places of labgrid need it",
            hint="install labgrid in an environment of its own, its programs on PATH (docs/adding-a-target.md)",
        )
    done = run_program([path, "-p", place, command], SECONDS)
    _log.debug("%s -p %s %s: status %d", PROGRAM, place, command, done.returncode)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise TargetError(
            f"labgrid does not {command} place {place}: {words}", hint=f"see `{PROGRAM} -p {place} show`"
        )
    return done.stdout
