"""The line to a program that `stapes prove` asks: firmware/app/prove.h is the other end."""

from __future__ import annotations

import struct
import time

from stapes.definitions import numbered
from stapes.errors import TargetError
from stapes.targets import Stream

DEFINITIONS = "app/prove.def"
_PIECE = numbered(DEFINITIONS, "NUMBER")["PIECE"][0]
_ANSWERS = dict(numbered(DEFINITIONS, "STATUS").values())
_NO_ROOM = numbered(DEFINITIONS, "STATUS")["NO_ROOM"][0]
SILENCE_SECONDS = 120.0


class NoRoomError(TargetError):
    """The target has too little memory for what it was asked."""


class ProofLine:
    """Requests and answers, one after the other."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._pending = bytearray()
        self._stopped = False

    def stop(self) -> None:
        """Let a request that another thread waits for fail within a second."""
        self._stopped = True

    def _take(self, count: int) -> bytes:
        deadline = time.monotonic() + SILENCE_SECONDS
        while len(self._pending) < count:
            if self._stopped:
                raise TargetError("the target was stopped")
            data = self.stream.read(65536)
            if data:
                self._pending += data
                deadline = time.monotonic() + SILENCE_SECONDS
            elif time.monotonic() > deadline:
                raise TargetError("the target is silent", hint="build it again, or start the board again")
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def request(self, letter: str, payload: bytes = b"") -> bytes:
        """One question and its answer; `NoRoomError` where the target lacks memory for it."""
        self.stream.write(letter.encode() + struct.pack("<I", len(payload)) + payload[:_PIECE])
        for at in range(_PIECE, len(payload), _PIECE):
            sign = self._take(1)
            if sign != b"+":
                self._pending[:0] = sign  # it wants no more: its answer
                break
            self.stream.write(payload[at : at + _PIECE])
        status, count = struct.unpack("<BI", self._take(5))
        if status == _NO_ROOM:
            raise NoRoomError(f"the target cannot do this: {_ANSWERS[status]}")
        if status:
            raise TargetError(
                f"the target cannot do this: {_ANSWERS.get(status, status)}", hint="build it again"
            )
        return self._take(count)
