"""Everything that went over a target's line, as a text file: seconds since the start, direction, bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from stapes.errors import StapesError
from stapes.targets import Stream

MOST_CHARACTERS = 1 << 30
"""Of a log; a device that never stops talking does not fill the disk."""


class LoggedStream:
    """A stream that writes down each read (`<`, from the target) and each write (`>`); all else is the stream's own."""

    timeout: float | None
    in_waiting: int
    _stream: Stream
    _log: TextIO
    _start: float

    def __init__(self, stream: Stream, log: TextIO) -> None:
        for name, value in {"_stream": stream, "_log": log, "_start": time.monotonic()}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._stream, name, value)

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
        if self._log.tell() < MOST_CHARACTERS:
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
