"""Turns at a line: on one machine only one program at a time talks to a board, whoever runs it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from stapes.errors import TargetError
from stapes.files import safe_name, sha256
from stapes.targets.places import SCHEME, acquired

_log = logging.getLogger(__name__)

PLACES = (Path("/run/lock"), Path("/tmp"))
"""Where the locks of all users are; not the user's own temporary folder, which differs."""

LOOK_SECONDS = 0.2

_held: dict[str, str] = {}
"""By its name what was opened of each line that this program holds."""


def line_name(port: str) -> str:
    """One name for a line, however it is written: a link under /dev/serial/by-id is the device that it leads to."""
    path = port.removeprefix("spy://").partition("?")[0]
    return path if "://" in path else os.path.realpath(path)


@contextmanager
def turn(
    port: str, *, wait: float | None = 0.0, waiting: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Hold the line `port` against all other programs of this machine, and yield what to open: the port itself, or that
    of the place `labgrid://PLACE`, which is acquired meanwhile. The same program may hold a line several times.

    Waits up to `wait` seconds for whoever holds it (None: for ever), tells `waiting` once who that is, then raises
    `TargetError`. A program that ends, however it ends, holds nothing.
    """
    name = line_name(port)
    if name in _held:
        yield _held[name]
        return
    handle = _open(_place() / f"stapes-{safe_name(name)}-{sha256(name.encode())[:8]}.lock", port)
    try:
        _take(handle, port, wait, waiting)
        with (
            acquired(name.removeprefix(SCHEME), wait, waiting)
            if name.startswith(SCHEME)
            else nullcontext(port) as url
        ):
            _held[name] = url
            try:
                yield url
            finally:
                del _held[name]
    finally:
        os.close(handle)


def _place() -> Path:
    return next((place for place in PLACES if os.access(place, os.W_OK)), PLACES[-1])


def _open(path: Path, port: str) -> int:
    """The lock's file, made for all users where it is missing; never through a link that somebody put there."""
    try:
        while True:
            try:
                return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                # Apart from opening: kernels refuse O_CREAT for another user's file in a folder like /tmp.
                try:
                    handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                except FileExistsError:
                    continue
                os.fchmod(handle, 0o644)
                return handle
    except OSError as error:
        raise TargetError(
            f"cannot take turns at {port}: {path}: {error.strerror}",
            hint="remove that file, or let all read it",
        ) from error


def _take(handle: int, port: str, wait: float | None, waiting: Callable[[str], None] | None) -> None:
    deadline = None if wait is None else time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        holder = _holder(handle)
        if deadline is not None and time.monotonic() >= deadline:
            raise TargetError(
                f"{port} is in use{f' by {holder}' if holder else ''}",
                hint="close that program, or wait until it is done",
            )
        if not told:
            told = True
            _log.debug("waiting for %s, in use by %s", port, holder or "somebody")
            if waiting:
                waiting(holder)
        time.sleep(LOOK_SECONDS)


def _holder(handle: int, locks: Path = Path("/proc/locks")) -> str:
    """Who holds the lock, as far as this system tells: user, program and its number."""
    try:
        inode = os.fstat(handle).st_ino
        found = re.search(rf"FLOCK\s+\S+\s+WRITE\s+(\d+)\s+\w+:\w+:{inode}\s", locks.read_text())
        if found is None or found[1] == "0":
            return ""
        process = Path("/proc") / found[1]
        name = (process / "comm").read_text().strip()
        return f"{pwd.getpwuid(process.stat().st_uid).pw_name} ({name}, process {found[1]})"
    except (OSError, KeyError):
        return ""
