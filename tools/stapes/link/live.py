"""The host's end of a device that listens: samples in, events, status and rows out. firmware/app/live.c answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stapes.errors import LinkError
from stapes.link import messages as m
from stapes.link.client import Client, continues
from stapes.link.layout import layout
from stapes.link.messages import Message
from stapes.reference import LiveEvent, LiveKind

EVENT = layout("live_event")
"""Of firmware/app/live_event.h."""
PCM_REQUEST = layout("live_pcm_request")
PCM_ANSWER = layout("live_pcm_answer")
EVENTS_ANSWER = layout("live_events_answer")
STATUS_REQUEST = layout("live_status_request")
STATUS_ANSWER = layout("live_status_answer")
ROWS_ANSWER = layout("live_rows_answer")
LISTEN_REQUEST = layout("live_listen_request")
_TRIES = 3
"""How often scores are fetched that a new window overtakes, before those of two windows are good enough."""


def parse_events(data: bytes) -> list[LiveEvent]:
    """Events as firmware/app/live_event.h writes them; raises `LinkError` where they are not."""
    if len(data) % EVENT.size:
        raise m.malformed(Message.LIVE_EVENTS)
    found = [EVENT.unpack(data[at : at + EVENT.size]) for at in range(0, len(data), EVENT.size)]
    if any(fields["kind"] not in list(LiveKind) for fields in found):
        raise m.malformed(Message.LIVE_EVENTS)
    return [LiveEvent(**fields | {"kind": LiveKind(fields["kind"])}) for fields in found]


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
        per_message = (self._payload - PCM_REQUEST.size) // 2
        waiting = 0
        data = np.ascontiguousarray(pcm, dtype="<i2")
        for start in range(0, len(data), per_message):
            piece = data[start : start + per_message]
            payload = PCM_REQUEST.pack(position=position + start) + piece.tobytes()
            answer = m.parse_all(PCM_ANSWER, self._request(Message.LIVE_PCM, payload), Message.LIVE_PCM)
            samples, waiting = answer["samples"], answer["waiting"]
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
            head, rest = m.parse(EVENTS_ANSWER, self._request(Message.LIVE_EVENTS), Message.LIVE_EVENTS)
            events = parse_events(rest)
            if head["waiting"] and not events:  # asking again would never end
                raise m.malformed(Message.LIVE_EVENTS)
            found += events
            if head["waiting"] == 0:
                return found, head["lost"]

    def status(self) -> LiveStatus:
        """How the device is. With very many classes and its own microphone, scores may be those of two windows."""
        for _ in range(_TRIES):
            whole, torn = self._status()
            if not torn:
                break
        return whole

    def _status(self) -> tuple[LiveStatus, bool]:
        """The status with all pages of scores; whether a window was completed between two of them."""
        whole = self._status_page(0)
        torn = False
        while len(whole.scores) < self._known.class_count:
            page = self._status_page(len(whole.scores))
            if not page.scores:  # asking again would never end
                raise m.malformed(Message.LIVE_STATUS)
            torn = torn or page.windows != whole.windows
            whole = replace(whole, scores=whole.scores + page.scores)
        return whole, torn

    def _status_page(self, first: int) -> LiveStatus:
        answer = self._request(Message.LIVE_STATUS, STATUS_REQUEST.pack(first_class=first))
        fields, rest = m.parse(STATUS_ANSWER, answer, Message.LIVE_STATUS)
        scores = m.parse_integers(rest, 4, Message.LIVE_STATUS)
        at, classes = fields.pop("first_class"), fields.pop("class_count")
        continues(Message.LIVE_STATUS, at, len(scores), first, classes, self._known.class_count)
        scale = self._known.counter_scale
        fields |= {name: fields[name] * scale for name in ("busy", "elapsed", "worst_step")}
        fields |= {name: bool(fields[name]) for name in ("gate_is_open", "listening")}
        return LiveStatus(scores=scores, **fields)

    def rows(self) -> tuple[int, npt.NDArray[np.int8]]:
        """The newest rows of features that were not asked for yet, int8[n, n_features], and the first one's number."""
        head, rest = m.parse(ROWS_ANSWER, self._request(Message.LIVE_ROWS), Message.LIVE_ROWS)
        width = self._known.n_features
        if len(rest) % width:
            raise m.malformed(Message.LIVE_ROWS)
        return head["first"], np.frombuffer(rest, np.int8).reshape(-1, width)

    def listen(self, on: bool) -> None:
        """Start the device's own microphone, or stop it."""
        self._request(Message.LIVE_LISTEN, LISTEN_REQUEST.pack(on=int(on)))

    def flush(self) -> None:
        """End all events."""
        self._request(Message.LIVE_FLUSH)
