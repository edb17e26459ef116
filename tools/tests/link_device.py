"""A device made of Python, to test the client with."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np

from stapes.link import messages as m
from stapes.link.frame import Receiver, encode
from stapes.link.messages import ANSWER, DAMAGED, Message, error_code

CLASSES, LAYERS, PAYLOAD = 3, 20, 64
WINDOW = 100  # samples
FEATURES = np.arange(-60, 60, dtype=np.int8)


class FakeDevice:
    """Answers like firmware; a window is complete after every WINDOW samples."""

    timeout: float | None = 1.0

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.output = bytearray()
        self.samples: list[int] = []
        self.requests: list[bytes] = []
        self.executed = 0
        self.last: tuple[int, bytes] | None = None
        self.protocol = m.PROTOCOL_VERSION
        self.override: dict[Message, bytes] = {}
        self.refusals: dict[Message, int] = {}
        self.lies_after: int | None = None  # requests, then scores change
        self.silent_after: int | None = None
        self.forgets_answers = False  # and carries out a repeated request again
        self.on_request: Callable[[bytes], bytes | None] = lambda data: data
        self.on_answer: Callable[[bytes], bytes | None] = lambda data: data

    @property
    def in_waiting(self) -> int:
        return len(self.output)

    def read(self, size: int = 1) -> bytes:
        if not self.output:
            time.sleep(min(self.timeout or 0, 0.02))  # short: a test's silence is final
        data = bytes(self.output[:size])
        del self.output[:size]
        return data

    def write(self, data: bytes, /) -> int:
        arrived = self.on_request(data)
        for frame in self.receiver.feed(arrived) if arrived else []:
            if frame is None:
                self._send(struct.pack("<HBb", 0, DAMAGED, error_code("STAPES_E_FRAME")))
            else:
                self._receive(frame)
        return len(data)

    def _send(self, content: bytes) -> None:
        self.output += self.on_answer(encode(content)) or b""

    def _receive(self, frame: bytes) -> None:
        sequence, kind = struct.unpack_from("<HB", frame)
        self.requests.append(frame)
        if self.silent_after is not None and len(self.requests) > self.silent_after:
            return
        new = self.last is None or sequence != self.last[0] or kind == Message.HELLO
        if new or self.forgets_answers:
            self.executed += 1
            message = Message(kind)
            status = self.refusals.get(message, 0)
            if message == Message.PCM and m.PCM_REQUEST.unpack_from(frame, 3)[0] != len(self.samples):
                status = error_code("STAPES_E_STATE")
            payload = b"" if status else self._answer(message, frame[3:])
            self.last = (sequence, struct.pack("<HBb", sequence, kind | ANSWER, status) + payload)
        self._send(self.last[1])

    def _answer(self, message: Message, payload: bytes) -> bytes:
        if message in self.override:
            return self.override[message]
        if message == Message.HELLO:
            geometry = (PAYLOAD, LAYERS, CLASSES, 1, 1, 20, WINDOW, WINDOW)
            hashes = (b"b" * 32, b"f" * 32)
            fixed = m.HELLO_FIXED.pack(self.protocol, 2, 1, 40, 1, 16000, *geometry, *hashes)
            return fixed + b"".join(
                bytes([len(text)]) + text for text in (b"fake", b"build", b"0.1.0", b"\x12\x34")
            )
        if message == Message.RESET:
            self.samples = []
        if message == Message.PCM:
            room = WINDOW - len(self.samples) % WINDOW
            new = struct.unpack(f"<{(len(payload) - 4) // 2}h", payload[4:])[:room]
            self.samples += new
            ready = bool(new) and len(self.samples) % WINDOW == 0
            crc = zlib.crc32(struct.pack(f"<{len(self.samples)}h", *self.samples))
            return m.PCM_ANSWER.pack(
                len(self.samples), len(self.samples) // 10, len(self.samples) // WINDOW, ready, crc
            )
        if message == Message.WINDOW:
            (first,) = m.WINDOW_REQUEST.unpack(payload)
            page = [(1000 + i, i) for i in range(first, min(first + 4, LAYERS))]
            lie = self.lies_after is not None and len(self.requests) > self.lies_after
            head = m.WINDOW_FIXED.pack(0, 11, 22, 33, 44, first, len(page)) + bytes([1, 255, 3 + lie])
            return head + b"".join(m.WINDOW_LAYER.pack(*layer) for layer in page)
        if message in (Message.FEATURES, Message.ACTIVATIONS):
            offset = struct.unpack("<I", payload[-4:])[0]
            data = FEATURES.tobytes()
            return m.PAGE_FIXED.pack(len(data), offset) + data[offset : offset + 50]
        if message == Message.DECISION:
            return struct.pack(f"<hhiIQ{CLASSES}q", -1, 2, 77, 3, 3, -5, 0, 9)
        if message == Message.STATS:
            return m.STATS_ANSWER.pack(1, 2, 3, 4)
        if message == Message.SELF_TEST:
            return m.SELF_TEST_ANSWER.pack(100, 5, 5)
        return b""
