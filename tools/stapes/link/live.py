"""The host's end of a device that listens: samples in, events, status and rows out. firmware/app/live.c answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
HISTORY_REQUEST = layout("live_history_request")
HISTORY_ANSWER = layout("live_history_answer")
MOST_EVENTS = 1024
"""That may wait in a device; firmware/app/live.c keeps 32."""
_SILENT, _LOUDEST = -20000, 1000
"""Hundredths of a dBFS: what a device says of zeros, and more than any sample gives."""
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


@dataclass
class _Story:
    """What a device said since the reset; what it says next must go on from there."""

    begun: dict[int, int] = field(default_factory=dict)
    """Class: start of its event that has begun and not ended."""
    ends: dict[tuple[bool, int], int] = field(default_factory=dict)
    """(whether of a class, class or kind): end of the newest event."""
    latest: int = 0
    """Sample up to which events reach."""
    lost: int = 0
    rows: int = 0
    totals: tuple[float, ...] = ()
    """Of the newest status: all that only grows."""

    def hear(self, event: LiveEvent, classes: int) -> bool:
        """Whether `event` can be: of a class that there is, later than what was before it."""
        of_class = event.kind in (LiveKind.BEGIN, LiveKind.END)
        key = (True, event.class_index) if of_class else (False, int(event.kind))
        if of_class != (event.class_index != -1) or event.class_index not in range(-1, classes):
            return False
        if not self.ends.get(key, 0) <= event.start < event.end or not _is_level(event.level):
            return False
        if event.kind == LiveKind.BEGIN:
            if event.class_index in self.begun:
                return False
            self.begun[event.class_index] = event.start
        else:
            begun = self.begun.pop(event.class_index, None)
            if begun is not None and begun != event.start:
                return False
            self.ends[key] = event.end
        self.latest = max(self.latest, event.end)
        return True


def _is_level(level: int) -> bool:
    return _SILENT <= level <= _LOUDEST


class LiveClient(Client):
    """Talks to firmware/app/live.c."""

    def hello(self) -> m.Hello:
        """Open a session; what the device said in an earlier one does not count."""
        self._story = _Story()
        return super().hello()

    def reset(self) -> None:
        """Forget all samples, windows and events."""
        super().reset()
        self._story = _Story()

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
        """All events that wait, and how many were lost since the reset because too many waited.

        Those that come while they are fetched may wait for the next call.
        """
        found: list[LiveEvent] = []
        due: int | None = None
        story = self._story
        while due is None or len(found) < due:
            head, rest = m.parse(EVENTS_ANSWER, self._request(Message.LIVE_EVENTS), Message.LIVE_EVENTS)
            events = parse_events(rest)
            due = len(events) + head["waiting"] if due is None else due
            if due > MOST_EVENTS:
                raise m.malformed(Message.LIVE_EVENTS, f"{due} events that wait, of at most {MOST_EVENTS}")
            if head["waiting"] and not events:  # asking again would never end
                raise m.malformed(Message.LIVE_EVENTS)
            if head["lost"] < story.lost:
                raise m.malformed(Message.LIVE_EVENTS, "fewer lost events than before")
            if head["lost"] > story.lost:  # perhaps ends of what has begun
                story.begun.clear()
            story.lost = head["lost"]
            for event in events:
                if not story.hear(event, self._known.class_count):
                    raise m.malformed(
                        Message.LIVE_EVENTS,
                        f"an event that cannot be: {event.kind.name} of class {event.class_index}, "
                        f"samples {event.start} to {event.end}",
                    )
            found += events
            if not head["waiting"]:
                break
        return found, story.lost

    def status(self) -> LiveStatus:
        """How the device is. With very many classes and its own microphone, scores may be those of two windows."""
        for _ in range(_TRIES):
            whole, torn = self._status()
            if not torn:
                break
        self._verify_progress(whole)
        return whole

    def _verify_progress(self, status: LiveStatus) -> None:
        """Raise `LinkError` unless `status` goes on from what the device said before."""
        hello, story = self._known, self._story
        totals = (
            status.samples,
            status.busy,
            status.elapsed,
            status.dropped,
            status.windows,
            status.worst_step,
        )
        # A frame's end may lie one hop behind its samples.
        reach = status.samples + hello.hop_length
        frames = reach // hello.hop_length
        wrong = ""
        if any(now < before for now, before in zip(totals, story.totals, strict=False)):
            wrong = "counts that are smaller than before"
        elif story.latest > reach:
            wrong = f"{status.samples} samples, but an event reached to {story.latest}"
        elif max(status.windows, story.rows) > frames or status.dropped > status.samples:
            wrong = (
                f"{status.samples} samples, too few for {status.windows} windows, {story.rows} rows "
                f"and {status.dropped} lost samples"
            )
        if wrong:
            raise m.malformed(Message.LIVE_STATUS, wrong)
        story.totals = totals

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
        for name in ("gate_is_open", "listening"):
            fields[name] = m.parse_flag(fields[name], Message.LIVE_STATUS)
        if not all(-1 <= fields[name] < classes for name in ("decided", "best")) or not _is_level(
            fields["level"]
        ):
            raise m.malformed(Message.LIVE_STATUS)
        return LiveStatus(scores=scores, **fields)

    def rows(self) -> tuple[int, npt.NDArray[np.int8]]:
        """The newest rows of features that were not asked for yet, int8[n, n_features], and the first one's number."""
        head, rest = m.parse(ROWS_ANSWER, self._request(Message.LIVE_ROWS), Message.LIVE_ROWS)
        width = self._known.n_features
        first, story = head["first"], self._story
        ahead = (first - story.rows) % (1 << 32)  # the device counts in 32 bits
        if len(rest) % width or ahead >= 1 << 31:
            raise m.malformed(Message.LIVE_ROWS)
        story.rows += ahead + len(rest) // width
        return first, np.frombuffer(rest, np.int8).reshape(-1, width)

    def listen(self, on: bool) -> None:
        """Start the device's own microphone, or stop it."""
        self._command(Message.LIVE_LISTEN, LISTEN_REQUEST.pack(on=int(on)))
        if on:
            self._story = _Story()

    def history(self, position: int) -> tuple[int, npt.NDArray[np.int16]]:
        """Sound that the device keeps: the number of the first sample that it has from `position` on, and what one
        message holds, int16[n], without a gap; none where it has heard nothing newer.

        Raises `RefusedError` where its firmware keeps none.
        """
        request = HISTORY_REQUEST.pack(position=position)
        head, rest = m.parse(
            HISTORY_ANSWER, self._request(Message.LIVE_HISTORY, request), Message.LIVE_HISTORY
        )
        pcm = np.frombuffer(rest[: len(rest) // 2 * 2], "<i2").astype(np.int16)
        if len(rest) % 2 or len(pcm) > head["capacity"] or (len(pcm) and head["position"] < position):
            raise m.malformed(Message.LIVE_HISTORY)
        return head["position"], pcm

    @property
    def most_history(self) -> int:
        """Samples of sound in one answer."""
        return (self._known.max_payload - HISTORY_ANSWER.size) // 2

    def flush(self) -> None:
        """End all events."""
        self._command(Message.LIVE_FLUSH)
