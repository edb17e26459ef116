"""A serial port, here or far away: pyserial behind the stream that the link uses."""

from __future__ import annotations

import logging
import socket
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from stapes.errors import LinkError, TargetError
from stapes.targets.ports import PortFinder
from stapes.targets.stream import DescriptorStream, Stream

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import serial

BAUD = 115200
CONNECT_SECONDS = 10.0
TURN = 0.05  # seconds that one read of the port waits
RETURN_SECONDS = 8.0  # that a port may stay away; a hello waits for ten
LOOK_SECONDS = 0.1

Result = TypeVar("Result")


class SerialStream:
    """A stream over a pyserial port.

    The port keeps one short timeout: changing it makes pyserial set up the whole port again, which over
    RFC 2217 is a conversation with the far end.

    A chip's own USB port vanishes when the chip restarts and comes back, perhaps by another name: a port of this
    computer is opened again and used on, `TargetError` when it stays away for `RETURN_SECONDS`. What was on its way is
    lost.
    """

    def __init__(self, port: serial.Serial) -> None:
        self.timeout: float | None = 1.0
        self._port = port
        self._name = str(port.port)
        self._find = PortFinder(self._name)

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return self._kept(lambda: int(self._port.in_waiting))

    @property
    def baudrate(self) -> int:
        """The port's speed."""
        return int(self._port.baudrate)

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        try:
            self._kept(lambda: setattr(self._port, "baudrate", baud))
        except ValueError as error:  # pyserial's word for it, of an adapter as of an RFC 2217 server
            raise LinkError(
                f"{self._name} refuses {baud} baud: {error}", hint="use a slower speed"
            ) from error

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes, as soon as there are any; b"" after `timeout` seconds."""
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        while True:
            data = self._kept(lambda: bytes(self._port.read(1)))
            if data:
                more = min(self.in_waiting, size - 1)
                return data + (bytes(self._kept(partial(self._port.read, more))) if more else b"")
            if deadline is not None and time.monotonic() >= deadline:
                return b""

    def write(self, data: bytes, /) -> int | None:
        """Send everything; `TargetError` when the port takes nothing for ten seconds."""
        self._kept(lambda: self._port.write(data))
        return len(data)

    def _kept(self, act: Callable[[], Result]) -> Result:
        """What `act` gives on the port; where that has vanished, on the port that came back."""
        import serial

        if not self._port.is_open:  # gone already; pyserial then says TypeError
            self._reopen(serial.PortNotOpenError())
        try:
            return act()
        except serial.SerialTimeoutException as error:
            raise TargetError(
                f"{self._name} takes no more bytes", hint="the board hangs: press RESET"
            ) from error
        except (OSError, termios.error) as error:
            self._reopen(error)
        try:
            return act()
        except (OSError, termios.error) as error:
            raise self._gone(error) from error

    def _reopen(self, error: Exception) -> None:
        if "://" in self._name:
            raise self._gone(error) from error
        _log.debug("%s vanished: %s", self._name, error)
        self._port.close()
        begin = time.monotonic()
        while True:
            try:
                self._port.port = self._find()
                self._port.open()
                _log.debug("%s is back after %.1f s", self._port.port, time.monotonic() - begin)
                return
            except (OSError, termios.error) as still:
                # Its owner and rights come a moment after the port itself.
                if time.monotonic() - begin >= RETURN_SECONDS:
                    raise self._gone(still, f" did not come back within {RETURN_SECONDS:g} s") from error
            time.sleep(LOOK_SECONDS)

    def _gone(self, error: Exception, what: str = " is gone") -> TargetError:
        return TargetError(
            f"{self._name}{what}: {error}", hint="check the cable and the board's power, then start again"
        )


@contextmanager
def open_serial(url: str, *, dtr: bool | None = None, rts: bool | None = None) -> Iterator[Stream]:
    """The line behind a device name or a pyserial URL. Errors while it is open are `TargetError`.

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
    try:
        yield SerialStream(port)
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
