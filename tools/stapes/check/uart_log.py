"""Everything that went over a target's line, as a text file: seconds since the start, direction, bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from stapes.errors import StapesError
from stapes.targets import Stream


class LoggedStream:
    """A stream that writes down each read (`<`, from the target) and each write (`>`) before it passes it on."""

    def __init__(self, stream: Stream, log: TextIO) -> None:
        self._stream = stream
        self._log = log
        self._start = time.monotonic()

    @property
    def timeout(self) -> float | None:
        """The wrapped stream's."""
        return self._stream.timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._stream.timeout = seconds

    @property
    def in_waiting(self) -> int:
        """The wrapped stream's."""
        return self._stream.in_waiting

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes."""
        data = self._stream.read(size)
        if data:
            self._note("<", data)
        return data

    def write(self, data: bytes, /) -> int | None:
        """Send everything."""
        self._note(">", data)
        return self._stream.write(data)

    def _note(self, direction: str, data: bytes) -> None:
        self._log.write(f"{time.monotonic() - self._start:.6f} {direction} {data.hex()}\n")


@contextmanager
def logged(stream: Stream, path: Path) -> Iterator[Stream]:
    """`stream` with a log in `path`, line by line on disk as it happens."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("w", encoding="ascii", buffering=1)
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint="choose another place for the UART log"
        ) from error
    with log:
        yield LoggedStream(stream, log)
