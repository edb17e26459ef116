"""The host's end of a device that listens: samples in, events, status and rows out. firmware/app/live.c answers."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.errors import LinkError
from stapes.link.client import Client
from stapes.link.messages import Message
from stapes.reference import LiveEvent, LiveKind

EVENT = struct.Struct("<BhQQiiI")
"""LIVE_EVENT_BYTES of firmware/app/live_event.h."""
_STATUS = struct.Struct("<QQQQQIihhBBH")
_EVENTS = struct.Struct("<HI")
_PUSHED = struct.Struct("<QH")


def parse_events(data: bytes) -> list[LiveEvent]:
    """Events as firmware/app/live_event.h writes them; raises `LinkError` where they are not."""
    if len(data) % EVENT.size:
        raise _malformed()
    events = []
    for kind, class_index, *values in EVENT.iter_unpack(data):
        if kind not in list(LiveKind):
            raise _malformed()
        start, end, score, level, dropped = values
        events.append(LiveEvent(LiveKind(kind), class_index, start, end, score, level, dropped))
    return events


@dataclass(frozen=True)
class LiveStatus:
    """The state of a listening device.

    `samples` of the stream, lost ones included; counts in the unit of `Hello.counter`: `busy` of all frames, `elapsed`
    since the reset, `worst_step` of one frame. `level` in hundredths of a dBFS, `scores` in 1/256 steps.
    """

    samples: int
    busy: float
    elapsed: float
    dropped: int
    windows: int
    worst_step: float
    level: int
    decided: int
    best: int
    gate_is_open: bool
    listening: bool
    scores: tuple[int, ...]


class LiveClient(Client):
    """Talks to firmware/app/live.c."""

    def feed(self, position: int, pcm: npt.NDArray[np.int16]) -> int:
        """Send samples, int16[n], the first of which is number `position`; returns how many events wait.

        Samples between the device's last and `position` are lost and will be reported as such.
        """
        size = min(self._known.max_payload, self._largest_payload or self._known.max_payload)
        per_message = (size - 8) // 2
        waiting = 0
        data = np.ascontiguousarray(pcm, dtype="<i2")
        for start in range(0, len(data), per_message):
            piece = data[start : start + per_message]
            payload = struct.pack("<Q", position + start) + piece.tobytes()
            answer = self._request(Message.LIVE_PCM, payload)
            if len(answer) != _PUSHED.size:
                raise _malformed()
            samples, waiting = _PUSHED.unpack(answer)
            if samples != position + start + len(piece):
                raise LinkError(
                    f"the device is at sample {samples}, {position + start + len(piece)} were sent",
                    hint="reset it and start again",
                )
        return int(waiting)

    def events(self) -> tuple[list[LiveEvent], int]:
        """All events that wait, and how many were lost since the reset because too many waited."""
        found: list[LiveEvent] = []
        while True:
            answer = self._request(Message.LIVE_EVENTS)
            if len(answer) < _EVENTS.size:
                raise _malformed()
            waiting, lost = _EVENTS.unpack_from(answer)
            events = parse_events(answer[_EVENTS.size :])
            if waiting and not events:  # asking again would never end
                raise _malformed()
            found += events
            if waiting == 0:
                return found, lost

    def status(self) -> LiveStatus:
        """How the device is."""
        answer = self._request(Message.LIVE_STATUS)
        if len(answer) < _STATUS.size:
            raise _malformed()
        samples, busy, elapsed, dropped, windows, worst, level, decided, best, gate, listening, classes = (
            _STATUS.unpack_from(answer)
        )
        if len(answer) != _STATUS.size + 4 * classes:
            raise _malformed()
        scale = self._known.counter_scale
        return LiveStatus(
            samples,
            busy * scale,
            elapsed * scale,
            dropped,
            windows,
            worst * scale,
            level,
            decided,
            best,
            bool(gate),
            bool(listening),
            struct.unpack_from(f"<{classes}i", answer, _STATUS.size),
        )

    def rows(self) -> tuple[int, npt.NDArray[np.int8]]:
        """The newest rows of features that were not asked for yet, int8[n, n_mels], and the first one's number."""
        answer = self._request(Message.LIVE_ROWS)
        width = self._known.n_mels
        if len(answer) < 4 or (len(answer) - 4) % width:
            raise _malformed()
        return int.from_bytes(answer[:4], "little"), np.frombuffer(answer[4:], np.int8).reshape(-1, width)

    def listen(self, on: bool) -> None:
        """Start the device's own microphone, or stop it."""
        self._request(Message.LIVE_LISTEN, bytes([on]))

    def flush(self) -> None:
        """End all events."""
        self._request(Message.LIVE_FLUSH)


def _malformed() -> LinkError:
    return LinkError(
        "an answer of a wrong length or content",
        hint="build and flash the live firmware of this stapes version",
    )
