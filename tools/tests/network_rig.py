"""The far end of a network line: a TCP or RFC 2217 server before a target's line."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable

import serial
import serial.rfc2217

from stapes.targets import DescriptorStream

Harm = Callable[[bytes], Iterable[bytes]]


def unharmed(data: bytes) -> Iterable[bytes]:
    """A sound line."""
    return [data]


class Rig:
    """The far end: one client at a time, whose bytes go to the firmware's line and back, past `there` and `back`."""

    there: Harm
    back: Harm

    def __init__(self, line: DescriptorStream, kind: str) -> None:
        self.kind = kind
        self.line = line
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{kind}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connection: socket.socket | None = None
        self.sending = threading.Lock()
        self.baud_rates: list[int] = []
        self.there = self.back = unharmed
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.serve, self.answer)]
        for thread in self.threads:
            thread.start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.manager = (
                    serial.rfc2217.PortManager(self.port(), self) if self.kind == "rfc2217" else None
                )
                self.connection = connection
                self.receive(connection)

    def receive(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(4096):
                data = b"".join(self.manager.filter(data)) if self.manager else data
                for piece in self.there(data) if data else []:
                    self.line.write(piece)

    def answer(self) -> None:
        self.line.timeout = 0.1
        while not self.ended.is_set():
            data = self.line.read(4096)
            for piece in self.back(data) if data else []:
                self.write(b"".join(self.manager.escape(piece)) if self.manager else piece)

    def write(self, data: bytes) -> None:
        with self.sending, contextlib.suppress(OSError):
            if self.connection:
                self.connection.sendall(data)

    def port(self) -> serial.SerialBase:
        """The serial port whose settings the client changes."""
        rates = self.baud_rates

        class Port(serial.SerialBase):
            cts = dsr = ri = cd = True

            def _reconfigure_port(self, force_update: bool = False) -> None:
                rates.append(self.baudrate)

            def _update_nothing(self) -> None:
                pass

            _update_rts_state = _update_dtr_state = _update_break_state = _update_nothing
            reset_input_buffer = reset_output_buffer = _update_nothing

        port = Port()
        port.is_open = True
        return port

    def drop(self) -> None:
        """Cut the connection."""
        if self.connection:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()

    def stop(self) -> None:
        self.ended.set()
        with contextlib.suppress(OSError):
            self.drop()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=5)
