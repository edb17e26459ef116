"""A serial port, here or far away: pyserial behind the stream that the link uses."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stapes.errors import LinkError, TargetError
from stapes.targets.stream import DescriptorStream, Stream

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import serial

BAUD = 115200
CONNECT_SECONDS = 10.0
TURN = 0.05  # seconds that one read of the port waits


class SerialStream:
    """A stream over a pyserial port.

    The port keeps one short timeout: changing it makes pyserial set up the whole port again, which over
    RFC 2217 is a conversation with the far end.
    """

    def __init__(self, port: serial.Serial) -> None:
        self.timeout: float | None = 1.0
        self._port = port

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return int(self._port.in_waiting)

    @property
    def baudrate(self) -> int:
        """The port's speed."""
        return int(self._port.baudrate)

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self._port.baudrate = baud

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes, as soon as there are any; b"" after `timeout` seconds."""
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        while True:
            data = bytes(self._port.read(1))
            if data:
                more = min(self.in_waiting, size - 1)
                return data + (bytes(self._port.read(more)) if more else b"")
            if deadline is not None and time.monotonic() >= deadline:
                return b""

    def write(self, data: bytes, /) -> int | None:
        """Send everything."""
        self._port.write(data)
        return len(data)


@contextmanager
def open_serial(url: str, *, dtr: bool | None = None, rts: bool | None = None) -> Iterator[Stream]:
    """The line behind a device name or a pyserial URL. Errors while it is open are `LinkError`.

    `dtr` and `rts` are set before the port is opened; None leaves them as pyserial has them (active). A port of this
    computer is opened for this process alone: two that read one line would each get half of it.
    """
    if url.startswith("socket://") and "?" not in url:
        # pyserial reads a socket byte by byte.
        stream = DescriptorStream(_connect(url), lambda: f" ({url} was closed)")
        try:
            yield stream
        finally:
            stream.close()
        return
    port = _open(url, dtr, rts)
    import serial

    try:
        yield SerialStream(port)
    except serial.SerialException as error:
        raise LinkError(f"{url}: {error}", hint="check the cable") from error
    finally:
        port.close()


def _connect(url: str) -> int:
    try:
        parts = urlsplit(url)
        if not parts.hostname or not parts.port:
            raise ValueError("give it as socket://HOST:PORT")
        _log.debug("connecting to %s", url)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise TargetError(f"cannot open {url}: {error}", hint="check that the rig listens there") from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection.detach()


def _open(url: str, dtr: bool | None, rts: bool | None) -> serial.Serial:
    import serial

    # pyserial's RFC 2217 client refuses a timeout for writing; TCP has its own.
    limits: dict[str, float] = {} if url.startswith("rfc2217://") else {"write_timeout": 10.0}
    _log.debug("opening port %s at %d baud", url, BAUD)
    try:
        port = serial.serial_for_url(url, do_not_open=True, baudrate=BAUD, timeout=TURN, **limits)
        if "://" not in url:
            port.exclusive = True
        if dtr is not None:
            port.dtr = dtr
        if rts is not None:
            port.rts = rts
        port.open()
        return port
    except (serial.SerialException, ValueError, OSError) as error:
        hint = "check the cable and the port's name"
        if "ermission" in str(error):
            hint = "allow this user the port: sudo usermod -aG dialout $USER, then log in again"
        elif "exclusively lock" in str(error):
            hint = "another program has it open: close it, or wait until it is done"
        elif "option 'control'" in str(error):
            hint = f"that server does not answer for flow control; give {url}?ign_set_control"
        raise TargetError(f"cannot open {url}: {error}", hint=hint) from error
