"""The host's end of the link: one request at a time, sent again until it is answered, every wait bounded."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from stapes.errors import IdentityError, LinkError
from stapes.link import messages as m
from stapes.link.frame import Receiver, encode
from stapes.link.heard import Heard
from stapes.link.messages import Message
from stapes.targets import Stream

_log = logging.getLogger(__name__)

SHORTEST_WAIT = 0.005  # seconds before a request is sent again
LONGEST_WAIT = 2.0
FIRST_WAIT = 0.5
PATIENCE = 2.5  # times the slowest recent answer
DECAY = 0.8  # of that, from request to request
SMALLEST_PAYLOAD = 64
BOOT_BAUD = 115200
FASTER_BAUDS = (921600, 460800, 230400)
TRIAL_SECONDS = 0.5
FALL_BACK_SECONDS = 1.2  # the device takes one


@dataclass
class Statistics:
    """What the line did. `retries` requests were sent again: after `timeouts`, or because a frame came
    `damaged` at either end. `stale` answers belonged to no request."""

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    damaged_here: int = 0
    damaged_there: int = 0
    stale: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """A plain dictionary."""
        return asdict(self)


class LostSamplesError(LinkError):
    """The device took fewer samples than it was sent, or says that it has more: `sent` and `taken` since the reset."""

    def __init__(self, sent: int, taken: int) -> None:
        super().__init__(
            f"the device counts {taken} samples, {sent} were sent", hint="reset it and start again"
        )
        self.sent = sent
        self.taken = taken


class RefusedError(LinkError):
    """The device refused a request; `name` is the error's, as in errors.def."""

    def __init__(self, message: str, name: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class Client:
    """Talks to one device over `stream`.

    `timeout` is the longest a request may go without an answer, in seconds; a device that computes a whole
    window in answer to one request needs that long. Raises `LinkError` when it passes or the device refuses
    a request. `largest_payload` limits requests further than the device does, in bytes. `repeat_after` is how many
    seconds a request waits before it is sent again, HELLO apart; by default a few times what recent ones took: on a
    line that loses nothing, a repeated request costs the device time and helps nobody.
    """

    needs_network = True
    """Whether a device that has none is refused."""

    def __init__(
        self,
        stream: Stream,
        *,
        timeout: float = 30.0,
        hello_timeout: float = 10.0,
        largest_payload: int | None = None,
        repeat_after: float | None = None,
    ) -> None:
        self.statistics = Statistics()
        self._stream = stream
        self._timeout = timeout
        self._hello_timeout = hello_timeout
        self._largest_payload = largest_payload
        self._repeat_after = repeat_after
        self._receiver = Receiver()
        self._frames: deque[bytes | None] = deque()
        self._sequence = secrets.randbelow(1 << 16)
        self._waits: dict[tuple[Message, bool], float] = {}
        self._hello: m.Hello | None = None
        self._samples = 0
        self.baud: int | None = None
        """Bits per second of the line, after `speed_up`; None where it has no speed."""
        self._heard: Heard | None = None

    def hello(self) -> m.Hello:
        """Open a session: who is there, and what does it run."""
        self._heard = Heard()
        try:
            answer = self._greet()
        except LinkError as error:
            said = self._heard.explain()
            if said is None or not error.message.startswith("no answer"):
                raise
            raise LinkError(f"{error.message}; {said[0]}", hint=said[1]) from error
        finally:
            self._heard = None
        if answer[:1] != bytes([m.PROTOCOL_VERSION]):
            raise IdentityError(
                f"the device speaks another protocol than version {m.PROTOCOL_VERSION}: {answer[:1].hex()}",
                hint="build and flash the firmware of this stapes version",
            )
        hello = m.parse_hello(answer)
        _log.debug(
            "%s answers: stapes %s, build %s, bundle %s, chip %s, %d bytes a message",
            hello.board,
            hello.version,
            hello.build_id,
            hello.bundle_hash[:12],
            hello.unique_id or "without an id",
            hello.max_payload,
        )
        if hello.max_payload < SMALLEST_PAYLOAD:
            raise LinkError(
                f"the device takes only {hello.max_payload} bytes a message", hint="flash it again"
            )
        if self._hello is not None and hello != self._hello:
            raise IdentityError(
                "the device says that it is another than at the start of this session",
                hint="check that nobody else uses or flashes it",
            )
        if self.needs_network and not hello.has_network:
            raise IdentityError(
                f"{hello.board} runs the recorder, which has no network",
                hint="flash the firmware of a bundle: `stapes flash BUNDLE --board B`",
            )
        self._hello = hello
        return hello

    def _greet(self) -> bytes:
        """The answer to HELLO; a line with a speed is tried at all of them, as the last session may have
        left it.
        """
        if not self._has_speed:
            return self._request(Message.HELLO, self._hello_payload(), timeout=self._hello_timeout)
        deadline = time.monotonic() + self._hello_timeout
        for baud in itertools.cycle((BOOT_BAUD, *FASTER_BAUDS)):
            try:
                self._set_speed(baud)
                return self._request(Message.HELLO, self._hello_payload(), timeout=TRIAL_SECONDS)
            except LinkError:
                _log.debug("no hello at %d baud", baud)
                if time.monotonic() >= deadline:
                    raise
        raise AssertionError("cycle ended")

    @staticmethod
    def _hello_payload() -> bytes:
        return m.HELLO_REQUEST.pack(session=secrets.randbits(32), protocol=m.PROTOCOL_VERSION)

    def speed_up(self) -> int | None:
        """Find the fastest speed that works; returns it, or None where the line has no speed to change.

        A speed that fails is given up by both ends (the device after a second) and the next slower one is
        tried.
        """
        if not self._has_speed:
            return None
        for baud in FASTER_BAUDS:
            try:
                self._command(Message.BAUD, m.BAUD_REQUEST.pack(baud=baud))
            except LinkError:
                _log.debug("the device does not do %d baud", baud)
                continue
            try:
                self._set_speed(baud)
                self._request(Message.STATS, timeout=TRIAL_SECONDS)
                _log.debug("the line works at %d baud", baud)
                self.baud = baud
                return baud
            except LinkError:
                _log.debug("the line does not carry %d baud", baud)
                self._set_speed(BOOT_BAUD)
                time.sleep(FALL_BACK_SECONDS)
                self.hello()
        self.baud = BOOT_BAUD
        return BOOT_BAUD

    @property
    def _has_speed(self) -> bool:
        """Whether the stream is a serial port; a socket has a speed in pyserial, but it means nothing."""
        return hasattr(self._stream, "baudrate") and not str(getattr(self._stream, "port", "")).startswith(
            "socket:"
        )

    def _set_speed(self, baud: int) -> None:
        setattr(self._stream, "baudrate", baud)  # noqa: B010 (not every Stream has one)
        self._receiver = Receiver()
        self._frames.clear()

    def reset(self) -> None:
        """Forget all samples, windows and votes."""
        self._command(Message.RESET)
        self._samples = 0

    def push(self, pcm: npt.NDArray[np.int16]) -> m.Pushed:
        """Send samples until a window is complete or all are taken; `Pushed.samples` says how far it came.

        That number counts from the last reset: go on with `pcm[pushed.samples:]` of the whole stream.
        """
        per_message = (self._payload - m.PCM_REQUEST.size) // 2
        data = np.ascontiguousarray(pcm, dtype="<i2").tobytes()
        start = self._samples
        while True:
            offset = 2 * (self._samples - start)
            payload = m.PCM_REQUEST.pack(samples=self._samples) + data[offset : offset + 2 * per_message]
            sent = (len(payload) - m.PCM_REQUEST.size) // 2
            window_end = self._window_end(self._samples)
            slow = self._samples + sent >= window_end
            pushed = m.parse_pushed(self._request(Message.PCM, payload, slow=slow))
            expected = min(self._samples + sent, window_end)
            if pushed.samples != expected:
                raise LostSamplesError(expected, pushed.samples)
            self._verify_counts(pushed, expected == window_end)
            self._samples = pushed.samples
            if pushed.window_ready or 2 * (self._samples - start) >= len(data):
                return pushed

    def _window_end(self, start: int) -> int:
        """The number of samples that completes the first window after the first `start` samples."""
        hello = self._known
        first, step = hello.window_samples, hello.window_hop_samples
        return first if start < first else first + ((start - first) // step + 1) * step

    def _verify_counts(self, pushed: m.Pushed, is_window_end: bool) -> None:
        """Raise `LinkError` unless frames and windows are those of so many samples."""
        hello, samples = self._known, pushed.samples
        frames = max(0, (samples - hello.frame_length) // hello.hop_length + 1)
        windows = max(0, (samples - hello.window_samples) // hello.window_hop_samples + 1)
        if (pushed.frames, pushed.windows, pushed.window_ready) != (frames, windows, is_window_end):
            raise LinkError(
                f"after {samples} samples the device counts {pushed.frames} frames and {pushed.windows} windows, "
                f"{'the last' if pushed.window_ready else 'none'} just complete; it must be {frames} and {windows}, "
                f"{'the last' if is_window_end else 'none'} just complete",
                hint="generate, build and flash again",
            )

    def window(self) -> m.WindowResult:
        """Results of the last complete window."""
        hello = self._known
        scores = b""
        layers: tuple[tuple[int, int], ...] = ()
        before: m.WindowPage | None = None
        while True:
            request = m.WINDOW_REQUEST.pack(first_class=len(scores), first_layer=len(layers))
            page = m.parse_window(self._request(Message.WINDOW, request))
            continues(
                Message.WINDOW,
                page.first_class,
                len(page.scores),
                len(scores),
                page.class_count,
                hello.class_count,
            )
            continues(
                Message.WINDOW,
                page.first_layer,
                len(page.layers),
                len(layers),
                page.layer_count,
                hello.layer_count,
            )
            head = replace(page, first_class=0, first_layer=0, scores=b"", layers=())
            if before is not None and head != before:
                raise m.malformed(Message.WINDOW)
            before = head
            scores += page.scores
            layers += page.layers
            if len(scores) == hello.class_count and len(layers) == hello.layer_count:
                break
            if not page.scores and not page.layers:  # asking again would never end
                raise m.malformed(Message.WINDOW)
        scale = hello.counter_scale
        return m.WindowResult(
            index=page.index,
            features_crc=page.features_crc,
            weight=page.weight,
            frontend_count=page.frontend_ticks * scale,
            total_count=page.engine_ticks * scale,
            scores=np.frombuffer(scores, dtype=np.int8),
            layer_crcs=tuple(crc for crc, _ in layers),
            layer_counts=tuple(ticks * scale for _, ticks in layers),
        )

    def features(self) -> npt.NDArray[np.int8]:
        """The last complete window's features, int8 [frames, n_features]."""
        hello = self._known
        data = self._bytes(
            Message.FEATURES,
            lambda offset: m.FEATURES_REQUEST.pack(offset=offset),
            hello.window_frames * hello.n_features,
        )
        return np.frombuffer(data, dtype=np.int8).reshape(-1, hello.n_features)

    def activations(self, layer: int, size: int) -> npt.NDArray[np.int8]:
        """The bytes of one layer's output for the last complete window, int8 [size].

        The device runs the window again for every page.
        """
        data = self._bytes(
            Message.ACTIVATIONS, lambda offset: m.ACTIVATIONS_REQUEST.pack(layer=layer, offset=offset), size
        )
        return np.frombuffer(data, dtype=np.int8)

    def _bytes(self, message: Message, request: Callable[[int], bytes], total: int) -> bytes:
        """All pages together: `total` bytes, at least half a message of them on every page but the last."""
        least = (self._known.max_payload - m.PAGE_ANSWER.size) // 2
        data = bytearray()
        while True:
            whole, offset, page = m.parse_page(self._request(message, request(len(data))), message)
            continues(message, offset, len(page), len(data), whole, total)
            data += page
            if len(data) == total:
                return bytes(data)
            if len(page) < least:  # asking on would take for ever, or nearly so
                raise m.malformed(message)

    def decision(self) -> m.Decision:
        """The vote over all windows since the last reset."""
        found: m.Decision | None = None
        while True:
            have = found.sums if found else ()
            request = m.DECISION_REQUEST.pack(first_class=len(have))
            classes, first, page = m.parse_decision(self._request(Message.DECISION, request))
            continues(Message.DECISION, first, len(page.sums), len(have), classes, self._known.class_count)
            if not -1 <= page.class_index < classes or not -1 <= page.best < classes:
                raise m.malformed(
                    Message.DECISION, f"class {page.class_index}, best {page.best}, of {classes} classes"
                )
            whole = replace(page, sums=have + page.sums)
            if found and (not page.sums or replace(found, sums=whole.sums) != whole):
                raise m.malformed(Message.DECISION)
            if len(whole.sums) == classes:
                return whole
            found = whole

    def stats(self) -> m.Stats:
        """The device's stack and its view of the line."""
        return m.parse_stats(self._request(Message.STATS))

    def self_test(self) -> m.SelfTest:
        """Let the device check its constants."""
        return m.parse_self_test(self._request(Message.SELF_TEST))

    def reboot(self) -> m.Hello:
        """Restart the firmware and open a new session."""
        # The device may be gone before its answer was seen; then the request, sent again, finds a closed
        # session.
        with contextlib.suppress(LinkError):
            self._request(Message.REBOOT, timeout=self._hello_timeout)
        self._samples = 0
        return self.hello()

    def fault(self) -> m.Fault | None:
        """The fault that the device's last restart followed."""
        return m.parse_fault(self._request(Message.FAULT, m.FAULT_REQUEST.pack(action=m.Raise.NOTHING)))

    def raise_fault(self, which: m.Raise) -> None:
        """Let the firmware fail on purpose, to prove that this is seen; then say `hello` and ask for the `fault`."""
        with contextlib.suppress(LinkError):  # the answer may be lost with the device
            self._request(Message.FAULT, m.FAULT_REQUEST.pack(action=which), timeout=LONGEST_WAIT)
        self._samples = 0

    @property
    def _payload(self) -> int:
        """Longest payload of a request, bytes."""
        return min(self._known.max_payload, self._largest_payload or self._known.max_payload)

    @property
    def _known(self) -> m.Hello:
        if self._hello is None:
            raise LinkError("no session", hint="call hello() first")
        return self._hello

    def _command(self, message: Message, payload: bytes = b"") -> None:
        """A request whose answer says only that it was carried out."""
        if self._request(message, payload):
            raise m.malformed(message)

    def _request(
        self, message: Message, payload: bytes = b"", *, timeout: float | None = None, slow: bool = False
    ) -> bytes:
        """Send a request until its answer comes; the payload of the answer. `slow` ones are timed apart."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        frame = encode(m.REQUEST_HEADER.pack(sequence=self._sequence, type=message) + payload)
        begin = time.monotonic()
        deadline = begin + (self._timeout if timeout is None else timeout)
        wait = self._waits.get((message, slow), FIRST_WAIT)
        longest = LONGEST_WAIT
        if self._repeat_after and message != Message.HELLO:
            wait = longest = self._repeat_after
        self.statistics.requests += 1
        first = True
        while True:
            self.statistics.retries += not first
            self._send(frame)
            sent = time.monotonic()
            answer = self._await(message, min(sent + wait, deadline))
            now = time.monotonic()
            if answer is not None:
                status, data = answer
                self.statistics.seconds += now - begin
                if first:
                    self._learn((message, slow), now - begin)
                if status < 0:
                    raise self._refused(message, status)
                return data
            if now >= deadline:
                self.statistics.seconds += now - begin
                raise LinkError(
                    f"no answer to {message.name} within {now - begin:.0f} s",
                    hint="check cable, baud rate and power, or that the firmware runs",
                )
            late = now >= sent + wait
            _log.debug(
                "%s: %s, sent again", message.name, f"no answer in {wait:.3f} s" if late else "damaged"
            )
            if late:
                self.statistics.timeouts += 1
                wait = min(2 * wait, longest)
            first = False

    def _learn(self, kind: tuple[Message, bool], seconds: float) -> None:
        """Wait a few times as long as the slowest of the recent requests of this kind took."""
        usual = DECAY * self._waits.get(kind, 0.0)
        self._waits[kind] = min(max(SHORTEST_WAIT, usual, PATIENCE * seconds), LONGEST_WAIT)

    def _send(self, frame: bytes) -> None:
        self._stream.write(frame)
        self.statistics.bytes_sent += len(frame)

    def _await(self, message: Message, until: float) -> tuple[int, bytes] | None:
        """Status and payload of the answer; None when there is none by then, or a frame was damaged either
        way.
        """
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame is None or len(frame) < m.ANSWER_HEADER.size:
                    self.statistics.damaged_here += 1
                    return None
                sequence, kind, status = m.ANSWER_HEADER.struct.unpack_from(frame)
                if kind == m.DAMAGED:
                    self.statistics.damaged_there += 1
                    return None
                if sequence == self._sequence and kind == message | m.ANSWER:
                    return status, frame[m.ANSWER_HEADER.size :]
                self.statistics.stale += 1
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._stream.timeout = left
            data = self._stream.read(1)
            if data:
                more = self._stream.in_waiting
                data += self._stream.read(more) if more else b""
                self.statistics.bytes_received += len(data)
                if self._heard is not None:
                    self._heard.add(
                        getattr(self._stream, "baudrate", None) if self._has_speed else None, data
                    )
                self._frames.extend(self._receiver.feed(data))

    def _refused(self, message: Message, status: int) -> LinkError:
        name, text = m.error_texts().get(status, (f"error {status}", "unknown to this version"))
        reason, _, hint = text.partition("; ")
        return RefusedError(f"the device refused {message.name}: {reason} ({name})", name, hint=hint)


def continues(message: Message, first: int, count: int, have: int, total: int, expected: int) -> None:
    """Raise `LinkError` unless `count` from number `first` on, of `total`, go on after `have` of `expected`."""
    if total != expected or first != have or have + count > total:
        raise m.malformed(message)
