"""Devices that are right for one bundle but for one lie. They answer at once, in this process."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import numpy as np

from stapes.codegen import frontend_hash
from stapes.compiler import Plan
from stapes.graph import load_graph
from stapes.link import messages as m
from stapes.link.frame import Receiver, encode
from stapes.link.layout import Layout, layout
from stapes.link.live import EVENT, EVENTS_ANSWER, PCM_ANSWER, PCM_REQUEST, ROWS_ANSWER, STATUS_ANSWER
from stapes.link.live import STATUS_REQUEST as LIVE_STATUS_REQUEST
from stapes.link.messages import ANSWER, Message
from stapes.recipe import Bundle
from stapes.reference import ClipReference

PAYLOAD = 128
MOST_REQUESTS = 6000
"""More than ten times those of an honest session."""

Lie = Callable[[bytes, int], bytes]
"""(payload of the right answer, how many of its kind came before) → payload that is sent."""

HEADS: dict[Message, Layout] = {
    message: layout(name)
    for message, name in {
        Message.HELLO: "hello_answer", Message.PCM: "pcm_answer", Message.WINDOW: "window_answer",
        Message.FEATURES: "page_answer", Message.ACTIVATIONS: "page_answer", Message.DECISION: "decision_answer",
        Message.STATS: "stats_answer", Message.SELF_TEST: "self_test_answer", Message.LIVE_PCM: "live_pcm_answer",
        Message.LIVE_EVENTS: "live_events_answer", Message.LIVE_STATUS: "live_status_answer",
        Message.LIVE_ROWS: "live_rows_answer",
    }.items()
}  # fmt: skip


class EndlessError(Exception):
    """The host asked far more often than it had to."""


class LyingDevice:
    """A stream with firmware behind it. `lies` change the payloads of answers; `clip` is what it hears and computes."""

    timeout: float | None = 1.0

    def __init__(self, bundle: Bundle, plan: Plan, lies: dict[Message, Lie]) -> None:
        self.bundle, self.plan, self.lies = bundle, plan, lies
        self.front = bundle.manifest.frontend
        self.frames, self.hop = bundle.manifest.window.frames, bundle.manifest.window.hop_frames
        self.receiver, self.output = Receiver(), bytearray()
        self.told: dict[Message, int] = {}
        self.requests = 0
        self.last = (-1, b"")
        self.reset()

    def reset(self) -> None:
        self.pcm = b""
        self.samples = self.rows = 0
        self.events: list[bytes] = []

    @property
    def in_waiting(self) -> int:
        return len(self.output)

    def read(self, size: int = 1) -> bytes:
        if not self.output:
            time.sleep(min(self.timeout or 0, 0.02))
        data = bytes(self.output[:size])
        del self.output[:size]
        return data

    def write(self, data: bytes, /) -> int:
        for frame in self.receiver.feed(data):
            assert frame is not None
            self.requests += 1
            if self.requests > MOST_REQUESTS:
                raise EndlessError
            sequence, kind = struct.unpack_from("<HB", frame)
            if sequence != self.last[0] or kind == Message.HELLO:  # else the host did not wait long enough
                message = Message(kind)
                payload = self._answer(message, frame[3:])
                before = self.told.get(message, 0)
                self.told[message] = before + 1
                if message in self.lies:
                    payload = self.lies[message](payload, before)
                self.last = (sequence, encode(struct.pack("<HBb", sequence, kind | ANSWER, 0) + payload))
            self.output += self.last[1]
        return len(data)

    def _answer(self, message: Message, payload: bytes) -> bytes:
        match message:
            case Message.HELLO:
                return self._hello()
            case Message.RESET:
                self.reset()
            case Message.SELF_TEST:
                return m.SELF_TEST_ANSWER.pack(size=1000, expected=5, computed=5)
            case Message.STATS:
                return m.STATS_ANSWER.pack(stack_high_water=1000, frames_good=2, frames_bad=0, replays=0)
            case _:
                return self._application(message, payload)
        return b""

    def _application(self, message: Message, payload: bytes) -> bytes:
        raise NotImplementedError

    def _hello(self) -> bytes:
        bundle = self.bundle
        fixed = m.HELLO_ANSWER.pack(
            protocol=m.PROTOCOL_VERSION, counter=2, api_version=1, counter_numerator=1, counter_denominator=1,
            sample_rate=self.front.sample_rate, max_payload=PAYLOAD, layer_count=len(self.plan.layers),
            class_count=len(bundle.manifest.labels), window_frames=self.frames, window_hop_frames=self.hop,
            n_features=self.front.n_features, frame_length=self.front.frame_length,
            hop_length=self.front.hop_length, bundle_hash=bytes.fromhex(bundle.hash),
            frontend_hash=bytes.fromhex(frontend_hash(bundle, load_graph(bundle))),
        )  # fmt: skip
        return fixed + b"".join(bytes([len(text)]) + text for text in (b"fake", b"build", b"0.1.0", b""))

    def complete_frames(self, samples: int) -> int:
        return max(0, (samples - self.front.frame_length) // self.front.hop_length + 1)

    def complete_windows(self, samples: int) -> int:
        return max(0, (self.complete_frames(samples) - self.frames) // self.hop + 1)


class LyingHarness(LyingDevice):
    """firmware/app/hil.c, with the reference's results for each clip in turn."""

    def __init__(
        self, bundle: Bundle, plan: Plan, lies: dict[Message, Lie], clips: list[ClipReference]
    ) -> None:
        super().__init__(bundle, plan, lies)
        self.clips = clips

    def _application(self, message: Message, payload: bytes) -> bytes:
        match message:
            case Message.PCM:
                return self._take(payload)
            case Message.WINDOW:
                return self._window(**m.WINDOW_REQUEST.unpack(payload))
            case Message.FEATURES:
                return self._page(self._now.features, m.FEATURES_REQUEST.unpack(payload)["offset"])
            case Message.ACTIVATIONS:
                asked = m.ACTIVATIONS_REQUEST.unpack(payload)
                return self._page(self._layer(asked["layer"]), asked["offset"])
            case Message.DECISION:
                return self._decision(m.DECISION_REQUEST.unpack(payload)["first_class"])
        return b""

    @property
    def _clip(self) -> ClipReference:
        return next(clip for clip in self.clips if clip.pcm.tobytes().startswith(self.pcm))

    @property
    def _now(self):  # type: ignore[no-untyped-def]
        return self._clip.windows[self.complete_windows(len(self.pcm) // 2) - 1]

    def _layer(self, index: int) -> np.ndarray:
        return np.asarray(self._now.activations[self.plan.layers[index].tensor], np.int8)

    def _take(self, payload: bytes) -> bytes:
        start = len(self.pcm) // 2
        end = self.front.samples(self.frames)
        while end <= start:
            end += self.hop * self.front.hop_length
        self.pcm += payload[4 : 4 + 2 * (end - start)]
        samples = len(self.pcm) // 2
        return m.PCM_ANSWER.pack(
            samples=samples,
            frames=self.complete_frames(samples),
            windows=self.complete_windows(samples),
            window_ready=samples == end,
            pcm_crc=zlib.crc32(self.pcm),
        )

    def _window(self, first_class: int, first_layer: int) -> bytes:
        now = self._now
        room = PAYLOAD - m.WINDOW_ANSWER.size
        scores = now.scores.tobytes()[first_class : first_class + room]
        layers = self.plan.layers[first_layer:][: (room - len(scores)) // 8]
        head = m.WINDOW_ANSWER.pack(
            index=now.index, features_crc=zlib.crc32(now.features.tobytes()), weight=now.weight,
            frontend_ticks=10, engine_ticks=20, class_count=len(now.scores), first_class=first_class,
            scores_here=len(scores), layer_count=len(self.plan.layers), first_layer=first_layer,
        )  # fmt: skip
        tails = [
            m.WINDOW_LAYER.pack(crc=zlib.crc32(self._layer(layer.index).tobytes()), ticks=1)
            for layer in layers
        ]
        return head + scores + b"".join(tails)

    def _page(self, values: np.ndarray, offset: int) -> bytes:
        data = np.ascontiguousarray(values).tobytes()
        head = m.PAGE_ANSWER.pack(total=len(data), offset=offset)
        return head + data[offset : offset + PAYLOAD - len(head)]

    def _decision(self, first: int) -> bytes:
        clip = self._clip
        verdict, classes = clip.verdict, len(self.bundle.manifest.labels)
        head = m.DECISION_ANSWER.pack(
            class_index=verdict.class_index, best=verdict.best, confidence=verdict.confidence,
            windows=len(clip.windows), weight=sum(window.weight for window in clip.windows),
            class_count=classes, first_class=first,
        )  # fmt: skip
        return head + struct.pack(f"<{classes - first}q", *range(first, classes))


class LyingListener(LyingDevice):
    """firmware/app/live.c with a quiet life: an event of the first class every 4000 samples."""

    def reset(self) -> None:
        super().reset()
        self.next_event = 4000

    def _application(self, message: Message, payload: bytes) -> bytes:
        match message:
            case Message.LIVE_PCM:
                self.samples = (
                    PCM_REQUEST.unpack(payload)["position"] + (len(payload) - PCM_REQUEST.size) // 2
                )
                while self.samples >= self.next_event:
                    self.events += [self._event(kind) for kind in (0, 1)]
                    self.next_event += 4000
                return PCM_ANSWER.pack(samples=self.samples, waiting=len(self.events))
            case Message.LIVE_EVENTS:
                here, self.events = self.events[:3], self.events[3:]
                return EVENTS_ANSWER.pack(waiting=len(self.events), lost=0) + b"".join(here)
            case Message.LIVE_STATUS:
                return self._status(LIVE_STATUS_REQUEST.unpack(payload)["first_class"])
            case Message.LIVE_ROWS:
                first, self.rows = self.rows, self.complete_frames(self.samples)
                first = max(first, self.rows - 2)
                return ROWS_ANSWER.pack(first=first) + bytes((self.rows - first) * self.front.n_features)
        return b""

    def _event(self, kind: int) -> bytes:
        return EVENT.pack(
            kind=kind, class_index=0, start=self.next_event - 3000, end=self.next_event - 1000, score=9,
            level=-2000, dropped=0,
        )  # fmt: skip

    def _status(self, first: int) -> bytes:
        classes = len(self.bundle.manifest.labels)
        head = STATUS_ANSWER.pack(
            samples=self.samples, busy=self.samples // 3, elapsed=self.samples, dropped=0,
            windows=self.complete_windows(self.samples), worst_step=7, level=-3000, decided=-1, best=1,
            gate_is_open=1, listening=0, class_count=classes, first_class=first,
        )  # fmt: skip
        return head + struct.pack(f"<{classes - first}i", *range(first, classes))


def fields(message: Message, after: int = 0, **changes: object) -> tuple[Message, Lie]:
    """Other values in an answer's head; a function gets the right one. The first `after` answers are right."""

    def lie(payload: bytes, before: int) -> bytes:
        if before < after:
            return payload
        head = HEADS[message]
        right = head.unpack(payload)
        wrong = {name: value(right[name]) if callable(value) else value for name, value in changes.items()}
        return head.pack(**right | wrong) + payload[head.size :]

    return message, lie


def payload(message: Message, change: Callable[[bytes], bytes], after: int = 0) -> tuple[Message, Lie]:
    """Another answer altogether."""
    return message, lambda right, before: right if before < after else change(right)
