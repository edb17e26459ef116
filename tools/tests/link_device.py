"""A device made of Python, to test the client with."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np

from stapes.link import messages as m
from stapes.link.frame import Receiver, encode
from stapes.link.live import STATUS_ANSWER, STATUS_REQUEST
from stapes.link.messages import ANSWER, DAMAGED, Message, error_code

CLASSES, LAYERS, PAYLOAD = 3, 20, 64
WINDOW = 100  # samples
FEATURES = np.arange(-60, 60, dtype=np.int8)


class FakeDevice:
    """Answers like firmware; a window is complete after every WINDOW samples."""

    timeout: float | None = 1.0

    def __init__(self, classes: int = CLASSES) -> None:
        self.classes = classes
        self.scores = (np.arange(classes) * 7 % 256).astype(np.uint8).tobytes()
        self.sums = [(-1) ** n * n << 33 for n in range(classes)]
        self.windows = 0
        self.windows_between_pages = 0
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
        self.lie = False
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
            if message == Message.PCM and m.PCM_REQUEST.unpack(frame[3:])["samples"] != len(self.samples):
                status = error_code("STAPES_E_STATE")
            payload = b"" if status else self._answer(message, frame[3:])
            self.last = (sequence, struct.pack("<HBb", sequence, kind | ANSWER, status) + payload)
        self._send(self.last[1])

    def _answer(self, message: Message, payload: bytes) -> bytes:
        if message in self.override:
            return self.override[message]
        if message == Message.HELLO:
            fixed = m.HELLO_ANSWER.pack(
                protocol=self.protocol, counter=2, api_version=1, counter_numerator=40, counter_denominator=1,
                sample_rate=16000, max_payload=PAYLOAD, layer_count=LAYERS, class_count=self.classes,
                window_frames=6, window_hop_frames=10, n_features=20, frame_length=50, hop_length=10,
                bundle_hash=b"b" * 32, frontend_hash=b"f" * 32,
            )  # fmt: skip
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
                samples=len(self.samples),
                frames=max(0, len(self.samples) - 40) // 10,
                windows=len(self.samples) // WINDOW,
                window_ready=ready,
                pcm_crc=crc,
            )
        if message == Message.WINDOW:
            return self._window(**m.WINDOW_REQUEST.unpack(payload))
        if message in (Message.FEATURES, Message.ACTIVATIONS):
            offset = struct.unpack("<I", payload[-4:])[0]
            data = FEATURES.tobytes()
            return m.PAGE_ANSWER.pack(total=len(data), offset=offset) + data[offset : offset + 50]
        if message == Message.DECISION:
            first = m.DECISION_REQUEST.unpack(payload)["first_class"]
            head = m.DECISION_ANSWER.pack(
                class_index=-1, best=min(2, self.classes - 1), confidence=77, windows=3, weight=3,
                class_count=self.classes, first_class=first,
            )  # fmt: skip
            sums = self.sums[first : first + (PAYLOAD - len(head)) // 8]
            return head + struct.pack(f"<{len(sums)}q", *sums)
        if message == Message.LIVE_STATUS:
            first = STATUS_REQUEST.unpack(payload)["first_class"]
            self.windows += self.windows_between_pages
            head = STATUS_ANSWER.pack(
                samples=1000, busy=2, elapsed=3, dropped=0, windows=self.windows, worst_step=4, level=-5,
                decided=-1, best=0, gate_is_open=1, listening=0, class_count=self.classes, first_class=first,
            )  # fmt: skip
            scores = [256 * n for n in range(self.classes)][first : first + (PAYLOAD - len(head)) // 4]
            return head + struct.pack(f"<{len(scores)}i", *scores)
        if message == Message.STATS:
            return m.STATS_ANSWER.pack(stack_high_water=1, frames_good=2, frames_bad=3, replays=4)
        if message == Message.SELF_TEST:
            return m.SELF_TEST_ANSWER.pack(size=100, expected=5, computed=5)
        return b""

    def _window(self, first_class: int, first_layer: int) -> bytes:
        if first_class == first_layer == 0:  # all pages of a window tell the same lie
            self.lie = self.lies_after is not None and len(self.requests) > self.lies_after
        room = PAYLOAD - m.WINDOW_ANSWER.size
        scores = self.scores[first_class : first_class + room]
        room = (room - len(scores)) // 8 if first_class + len(scores) == self.classes else 0
        layers = [(1000 + i, i) for i in range(first_layer, min(first_layer + room, LAYERS))]
        head = m.WINDOW_ANSWER.pack(
            index=0, features_crc=11, weight=22 + self.lie, frontend_ticks=33, engine_ticks=44,
            class_count=self.classes, first_class=first_class, scores_here=len(scores),
            layer_count=LAYERS, first_layer=first_layer,
        )  # fmt: skip
        return head + scores + b"".join(m.WINDOW_LAYER.struct.pack(*layer) for layer in layers)
