"""A line that damages frames on purpose, the same way for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from stapes.errors import LinkError
from stapes.link.frame import DELIMITER, encode
from stapes.link.messages import REQUEST_HEADER, Message
from stapes.targets import Stream

FAULTS = ("flip", "drop", "duplicate", "truncate", "reorder", "burst", "garbage", "reset")


def parse_faults(text: str) -> tuple[str, ...]:
    """`all`, `none`, or names separated by commas."""
    if text in ("all", "none"):
        return FAULTS if text == "all" else ()
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise LinkError(
            f"unknown fault {', '.join(unknown)}", hint=f"choose all, none or {', '.join(FAULTS)}"
        )
    return names


class FaultyStream:
    """Passes frames on to `stream` and back, each with probability `rate` hit by one of `faults`.

    flip: one bit; drop: the frame is gone; duplicate: it comes twice; truncate: its end is missing, delimiter and
    all; reorder: it comes after the next one; burst: a run of bytes is overwritten; garbage: noise comes before it;
    reset (requests only): half of it comes, then the device restarts.
    """

    def __init__(self, stream: Stream, faults: Sequence[str], rate: float, seed: int = 1) -> None:
        self.faults = tuple(faults)
        self.rate = rate
        self.injected: Counter[str] = Counter()
        self.frames = 0
        self._stream = stream
        self._random = random.Random(seed)
        self._arriving = bytearray()
        self._ready = bytearray()
        self._held: dict[str, bytes] = {}

    @property
    def timeout(self) -> float | None:
        """Seconds that `read` waits."""
        return self._stream.timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._stream.timeout = seconds

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self._ready)

    def write(self, data: bytes, /) -> int:
        """Send one frame, or what the fault makes of it."""
        self._stream.write(self._pass("there", data, self.faults))
        return len(data)

    def read(self, size: int = 1) -> bytes:
        """What came, frame by frame, or what the faults make of it."""
        if not self._ready:
            data = self._stream.read(1)
            if data and self._stream.in_waiting:
                data += self._stream.read(self._stream.in_waiting)
            self._arriving += data
            *frames, rest = bytes(self._arriving).split(DELIMITER)
            self._arriving = bytearray(rest)
            back = [fault for fault in self.faults if fault != "reset"]
            for frame in frames:
                if frame:
                    self._ready += self._pass("back", DELIMITER + frame + DELIMITER, back)
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _pass(self, way: str, frame: bytes, faults: Sequence[str]) -> bytes:
        self.frames += 1
        late = self._held.pop(way, b"")
        if not faults or self._random.random() >= self.rate:
            return frame + late
        fault = self._random.choice(faults)
        self.injected[fault] += 1
        return self._damage(way, fault, frame) + late

    def _damage(self, way: str, fault: str, frame: bytes) -> bytes:
        choose = self._random
        if fault == "drop":
            return b""
        if fault == "duplicate":
            return frame * 2
        if fault == "truncate":
            return frame[: choose.randrange(1, len(frame))]
        if fault == "reorder":
            self._held[way] = frame
            return b""
        if fault == "garbage":
            return choose.randbytes(choose.randrange(1, 64)) + frame
        if fault == "reset":
            return frame[: len(frame) // 2] + self._restart(frame)
        damaged = bytearray(frame)
        if fault == "flip":
            damaged[choose.randrange(len(damaged))] ^= 1 << choose.randrange(8)
        else:
            start = choose.randrange(len(damaged))
            run = damaged[start : start + choose.randrange(2, 40)]
            damaged[start : start + len(run)] = choose.randbytes(len(run))
        return bytes(damaged)

    @staticmethod
    def _restart(frame: bytes) -> bytes:
        """A reboot request in the place of this one."""
        from cobs import cobs

        header = REQUEST_HEADER.unpack(cobs.decode(frame.strip(DELIMITER)))
        return encode(REQUEST_HEADER.pack(**header | {"type": Message.REBOOT}))
