"""The byte stream that every target yields: the part of pyserial's interface that the link uses."""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import time
from collections.abc import Callable
from typing import Protocol

from stapes.errors import TargetError

MOST = 65536


class Stream(Protocol):
    """What the link needs; a `serial.Serial` is one.

    `read` waits up to `timeout` seconds for the first byte and returns what came, b"" if nothing did.
    """

    timeout: float | None

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes."""

    def write(self, data: bytes, /) -> int | None:
        """Send everything."""


class DescriptorStream:
    """A stream over a file descriptor (socket or pseudo-terminal) that belongs to it.

    When the other end is gone, `read` and `write` raise `TargetError` with the reason that `explain` gives.
    """

    def __init__(self, descriptor: int, explain: Callable[[], str] = lambda: "") -> None:
        self.descriptor = descriptor
        self.timeout: float | None = 1.0
        self.write_timeout = 10.0
        self._explain = explain
        os.set_blocking(descriptor, False)

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        count = array.array("i", [0])
        fcntl.ioctl(self.descriptor, termios.FIONREAD, count)
        return count[0]

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes, as soon as there are any; b"" after `timeout` seconds."""
        ready, _, _ = select.select([self.descriptor], [], [], self.timeout)
        if not ready:
            return b""
        try:
            data = os.read(self.descriptor, size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        return data

    def write(self, data: bytes, /) -> int:
        """Send everything; `TargetError` when the target takes nothing for `write_timeout` seconds."""
        view = memoryview(data)
        deadline = time.monotonic() + self.write_timeout
        while view:
            try:
                view = view[os.write(self.descriptor, view) :]
                continue
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._gone() from error
            _, ready, _ = select.select([], [self.descriptor], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TargetError("the target takes no more bytes", hint="it hangs; start it again")
        return len(data)

    def close(self) -> None:
        """Close the descriptor; harmless when repeated."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _gone(self) -> TargetError:
        return TargetError(f"the target ended{self._explain()}", hint="start it again")
