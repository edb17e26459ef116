"""The boot loader in an STM32's ROM on a pseudo-terminal: the UART protocol of ST's application note AN3155.

Answers ACK or NACK to commands that come with their complement; a protected chip refuses to be read,
erased and written.
"""

from __future__ import annotations

import os
import pty
import threading
import tty
from functools import reduce

ACK, NACK = b"\x79", b"\x1f"
GET, GET_ID, READ, GO, WRITE, EXTENDED_ERASE = 0x00, 0x02, 0x11, 0x21, 0x31, 0x44
FLASH = 0x08000000


class RomLoader:
    """Runs in a thread until `close`; `flash` is its memory, `journal` what changed it."""

    def __init__(
        self, device_id: int, *, size: int = 1 << 16, protected: bool = False, weak: bool = False
    ) -> None:
        self.device_id = device_id
        self.protected = protected
        self.weak = weak  # a bit of the flash does not take
        self.flash = bytearray(b"\x00" * size)
        self.journal: list[str] = []
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and the line."""
        os.close(self._theirs)
        self._thread.join(5)
        os.close(self._ours)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += os.read(self._ours, count - len(data))
        return data

    def _serve(self) -> None:
        try:
            while True:
                command = self._take(1)[0]
                if command == 0x7F:
                    os.write(self._ours, ACK)
                elif self._take(1)[0] != command ^ 0xFF:
                    os.write(self._ours, NACK)
                else:
                    self._execute(command)
        except OSError:
            pass  # the line was closed

    def _execute(self, command: int) -> None:
        known = {GET: self._get, GET_ID: self._get_id, READ: self._read, WRITE: self._write}
        known |= {GO: self._go, EXTENDED_ERASE: self._erase}
        if command not in known or (self.protected and command in (READ, GO, WRITE, EXTENDED_ERASE)):
            os.write(self._ours, NACK)
            return
        os.write(self._ours, ACK)
        known[command]()

    def _get(self) -> None:
        commands = bytes([GET, 0x01, GET_ID, READ, GO, WRITE, EXTENDED_ERASE, 0x63, 0x73, 0x82, 0x92])
        os.write(self._ours, bytes([len(commands), 0x31]) + commands + ACK)

    def _get_id(self) -> None:
        os.write(self._ours, b"\x01" + self.device_id.to_bytes(2, "big") + ACK)

    def _address(self) -> int:
        data = self._take(5)
        assert reduce(int.__xor__, data) == 0
        os.write(self._ours, ACK)
        return int.from_bytes(data[:4], "big") - FLASH

    def _read(self) -> None:
        place = self._address()
        count = self._take(2)[0] + 1
        os.write(self._ours, ACK + bytes(self.flash[place : place + count]))

    def _go(self) -> None:
        self.journal.append(f"go {self._address():#x}")

    def _write(self) -> None:
        place = self._address()
        count = self._take(1)[0] + 1
        data = self._take(count + 1)
        assert reduce(int.__xor__, data, count - 1) == 0
        self.journal.append("write")
        for offset, byte in enumerate(data[:-1]):
            self.flash[place + offset] &= byte & (0xFE if self.weak else 0xFF)  # flash can only clear bits
        os.write(self._ours, ACK)

    def _erase(self) -> None:
        assert self._take(3) == b"\xff\xff\x00"
        self.journal.append("erase")
        self.flash[:] = b"\xff" * len(self.flash)
        os.write(self._ours, ACK)
