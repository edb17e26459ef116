"""Listening for ever, in Python: the same as firmware/runtime/src/live.c, event by event, bit by bit.

The front end is integer NumPy, every window runs from scratch through the TFLM interpreter (or the NumPy operators):
nothing is shared with the C, and nothing slides.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from stapes.features import MicroState
from stapes.recipe import EXPONENTIAL, BundleManifest
from stapes.reference.decision import DecisionRule
from stapes.reference.pipeline import Reference
from stapes.reference.sound_level import SILENT, sound_level

NONE = -1
_LOWEST = -(2**31)
_NEVER = -(2**62)


class LiveKind(IntEnum):
    """stapes_live_kind_t."""

    BEGIN = 0
    END = 1
    LEVEL = 2
    GAP = 3


@dataclass(frozen=True)
class LiveEvent:
    """stapes_live_event_t: `start` and `end` in samples, `score` in 1/256 steps, `level` in hundredths of a dBFS."""

    kind: LiveKind
    class_index: int
    start: int
    end: int
    score: int
    level: int
    dropped: int


@dataclass(frozen=True)
class LiveRule:
    """stapes_live_config_t: the [live] section in integers. Durations are in frames."""

    on: tuple[int, ...]
    off: tuple[int, ...]
    margin: int
    level_samples: int
    gate_hold: int
    minimum: int
    merge: int
    refractory: int
    start_lag: int
    end_lag: int
    gate_open: int
    gate_close: int
    hop: int
    window_rows: int
    window_hops: int
    zero_point: int
    other: int
    factor: int
    smoothing: DecisionRule | None
    """The vote of the last `windows` windows; None: a step of `factor` towards each window's scores."""
    windows: int
    has_gate: bool
    multi_label: bool
    hop_length: int
    frame_length: int

    @classmethod
    def of(cls, manifest: BundleManifest, scale: float, zero_point: int) -> LiveRule:
        """The rule of a bundle whose network's output has this scale and zero point."""
        live, front, window = manifest.live, manifest.frontend, manifest.window
        full = 256.0 / scale

        def steps(score: float) -> int:
            return min(math.floor(score * full + 0.5), 2**31 - 1)

        def frames(seconds: float) -> int:
            return math.floor(seconds * front.sample_rate / front.hop_length + 0.5)

        on = live.thresholds_of(manifest.labels)
        return cls(
            on=tuple(steps(value) for value in on),
            off=tuple(steps(value * live.release) for value in on),
            margin=steps(live.margin),
            level_samples=math.floor(live.level_seconds * front.sample_rate + 0.5),
            gate_hold=frames(live.gate_hold_seconds) or window.frames,
            minimum=frames(live.min_seconds),
            merge=frames(live.merge_seconds),
            refractory=frames(live.refractory_seconds),
            # The middle of a window is where it knows best: from there, half a hop either way.
            start_lag=frames(live.start_lag_seconds) or (window.frames + window.hop_frames) // 2,
            end_lag=frames(live.end_lag_seconds) or max(0, window.frames - window.hop_frames) // 2,
            gate_open=math.floor(100 * live.gate_open_dbfs + 0.5),
            gate_close=math.floor(100 * live.gate_close_dbfs + 0.5),
            hop=window.hop_frames,
            window_rows=window.frames,
            window_hops=-(-window.frames // window.hop_frames),
            zero_point=zero_point,
            other=manifest.labels.index(live.other) if live.other else NONE,
            factor=max(1, math.floor(live.factor * 2**15 + 0.5)),
            smoothing=(
                None
                if live.smoothing == EXPONENTIAL
                else DecisionRule(live.smoothing, zero_point, 0, steps(1.0), resolution=256)
            ),
            windows=live.windows,
            has_gate=live.gate,
            multi_label=live.multi_label,
            hop_length=front.hop_length,
            frame_length=front.frame_length,
        )


class _State(IntEnum):
    IDLE = 0
    ACTIVE = 1
    ENDED = 2


@dataclass
class _Event:
    state: _State = _State.IDLE
    start: int = 0
    end: int = 0
    free_from: int = _NEVER
    score: int = 0
    level: int = 0
    announced: bool = False


@dataclass
class LiveTwin:
    """live.c behind the front end: rows and squares in, events out."""

    rule: LiveRule
    network: Callable[[npt.NDArray[np.int8], bool], npt.NDArray[np.int8]]
    """Rows of a window, int8[frames, n], and whether it follows on the last one, to scores, int8[classes]."""
    silent: npt.NDArray[np.int8]
    """The front end's row for zeros."""
    events: list[LiveEvent] = field(default_factory=list)
    windows_total: int = 0
    dropped_total: int = 0

    def __post_init__(self) -> None:
        self.base = 0
        self._dropped = 0
        self._begin_stream()

    def _begin_stream(self) -> None:
        self.frames = 0
        self._classes = [_Event() for _ in self.rule.on]
        self._level_squares = 0
        self._level_count = 0
        self._gate_since = 0
        self._last_loud = _NEVER
        self._quiet = 0
        self.gate_is_open = not self.rule.has_gate
        self.level = SILENT
        self._forget()

    def _forget(self) -> None:
        rule = self.rule
        self._rows: deque[npt.NDArray[np.int8]] = deque(maxlen=rule.window_rows)
        self._until_window = rule.window_rows
        self._windows = 0
        self._history: deque[npt.NDArray[np.int8]] = deque(maxlen=rule.windows)
        self._weights: deque[int] = deque(maxlen=rule.windows)
        self._hops: deque[int] = deque(maxlen=rule.window_hops)
        self._running = [0] * len(rule.on)
        self.scores = [0] * len(rule.on)
        self._hop_sum = 0
        self._hop_level = SILENT
        self.decided = NONE
        self.best = NONE

    @property
    def samples(self) -> int:
        """Samples up to the last complete frame's end, lost ones included."""
        if self.frames == 0:
            return self.base
        return self.base + (self.frames - 1) * self.rule.hop_length + self.rule.frame_length

    # Events

    def _emit(self, event: LiveEvent) -> None:
        self.events.append(replace(event, dropped=self._dropped))
        self._dropped = 0

    def _emit_class(self, index: int, kind: LiveKind) -> None:
        state = self._classes[index]
        hop, base = self.rule.hop_length, self.base
        start, end = base + state.start * hop, base + state.end * hop
        self._emit(LiveEvent(kind, index, start, end, state.score, state.level, 0))

    def _long_enough(self, state: _Event) -> bool:
        return state.end - state.start >= self.rule.minimum

    def _finish(self, index: int) -> None:
        state = self._classes[index]
        if state.state != _State.IDLE and (state.announced or self._long_enough(state)):
            self._emit_class(index, LiveKind.END)
            state.free_from = state.end + self.rule.refractory
        state.state = _State.IDLE

    def flush(self) -> None:
        """End all events."""
        for index in range(len(self._classes)):
            self._finish(index)

    def _end_now(self, start: int) -> int:
        end = self.frames - self.rule.end_lag
        if self.rule.has_gate:
            end = min(end, self._last_loud + 1)
        return max(end, start + 1)

    def _begin(self, state: _Event) -> None:
        rule, since = self.rule, self._gate_since
        start = max(self.frames - rule.start_lag, since)
        covered = rule.hop * (rule.window_hops + (rule.windows - 1 if rule.smoothing else 0))
        if rule.has_gate and self.frames - since <= covered and since >= state.free_from:
            start = since  # what broke the silence is what the smoothed windows hold
        if start < state.free_from:
            return
        if state.state == _State.IDLE:
            state.start, state.announced = start, False
            state.score = state.level = _LOWEST
        state.state = _State.ACTIVE

    def _follow(self, index: int, begins: bool, continues: bool) -> None:
        rule, state = self.rule, self._classes[index]
        if state.state == _State.ENDED and self.frames - rule.start_lag - state.end > rule.merge:
            self._finish(index)
        if state.state == _State.ACTIVE:
            if not continues:
                state.state = _State.ENDED
        elif begins:
            self._begin(state)
        if state.state != _State.ACTIVE:
            return
        state.end = self._end_now(state.start)
        state.score = max(state.score, self.scores[index])
        state.level = max(state.level, self._hop_level)
        if not state.announced and self._long_enough(state):
            state.announced = True
            self._emit_class(index, LiveKind.BEGIN)

    # Scores

    def _smooth(self, scores: npt.NDArray[np.int8]) -> None:
        rule = self.rule
        self._windows += 1
        self._hops.append(self._hop_sum)
        if rule.smoothing is None:
            for index, score in enumerate(scores):
                change = ((int(score) - rule.zero_point) << 16) - self._running[index]
                if self._windows > 1:
                    change = (change * rule.factor) >> 15
                self._running[index] += change
                self.scores[index] = self._running[index] >> 8
            return
        samples = rule.window_hops * rule.hop * rule.hop_length
        self._weights.append(rule.smoothing.weight(sum(self._hops), samples))
        self._history.append(scores)
        self.scores = rule.smoothing.scores(self._history, self._weights)

    def _decide(self) -> None:
        rule, scores = self.rule, self.scores
        best = int(np.argmax(scores))
        others = [score for index, score in enumerate(scores) if index != best]
        is_known = (
            scores[best] >= rule.on[best]
            and best != rule.other
            and (not others or scores[best] - max(others) >= rule.margin)
        )
        self.best = best
        self.decided = best if is_known else NONE

    def _window_ended(self) -> None:
        rule = self.rule
        self.windows_total += 1
        self._smooth(self.network(np.stack(self._rows), self._windows > 0))
        self._decide()
        for index in range(len(rule.on)):
            lasts = self.scores[index] >= rule.off[index]
            if rule.multi_label:
                self._follow(index, self.scores[index] >= rule.on[index] and index != rule.other, lasts)
            else:
                self._follow(index, self.decided == index, lasts and self.decided in (NONE, index))
        self._hop_sum = 0
        self._hop_level = SILENT

    # Frames

    def frame(self, row: npt.NDArray[np.int8], squares: int, count: int) -> None:
        """One row of the front end; the `count` samples since the row before it have squares that sum to `squares`."""
        rule = self.rule
        self.level = sound_level(squares, count)
        self.frames += 1
        self._monitor(squares, count)
        if rule.has_gate:
            self._pass_gate()
        if not self.gate_is_open:
            return
        self._hop_sum += squares
        self._hop_level = max(self._hop_level, self.level)
        self._rows.append(row)
        self._until_window -= 1
        if self._until_window == 0:
            self._until_window = rule.hop
            self._window_ended()

    def _monitor(self, squares: int, count: int) -> None:
        if not self.rule.level_samples:
            return
        self._level_squares += squares
        self._level_count += count
        if self._level_count >= self.rule.level_samples:
            end, covered = self.samples, self._level_count
            value = sound_level(self._level_squares, covered)
            self._level_squares = self._level_count = 0
            self._emit(LiveEvent(LiveKind.LEVEL, NONE, end - covered, end, 0, value, 0))

    def _pass_gate(self) -> None:
        rule = self.rule
        if self.level >= rule.gate_close:
            self._last_loud = self.frames - 1
            self._quiet = 0
        else:
            self._quiet += 1
        if not self.gate_is_open:
            if self.level >= rule.gate_open:
                self._forget()
                self.gate_is_open = True
                self._gate_since = self.frames - 1
                self._rows.extend([self.silent] * rule.window_rows)
                self._until_window = rule.hop
        elif self._quiet >= rule.gate_hold:
            self.flush()
            self._forget()
            self.gate_is_open = False

    def lose(self, position: int, count: int) -> None:
        """`count` samples are missing from `position` on."""
        if count == 0:
            return
        self.flush()
        self._dropped += count
        self.dropped_total += count
        self.base = position + count
        self._begin_stream()
        self._emit(LiveEvent(LiveKind.GAP, NONE, position, position + count, 0, SILENT, 0))


class LiveReference:
    """A listening device in Python: `push` samples, read `events`."""

    def __init__(self, bundle_reference: Reference) -> None:
        self.reference = bundle_reference
        spec = bundle_reference.bundle.manifest.frontend
        graph = bundle_reference.graph
        tensor = graph.tensor(graph.outputs[0])
        self.rule = LiveRule.of(bundle_reference.bundle.manifest, tensor.scale, tensor.zero_point)
        self._has_memory = bool(spec.pcen or spec.pre_emphasis)
        self._micro = MicroState()
        self.twin = LiveTwin(
            self.rule, bundle_reference.scores, self._features(np.zeros(spec.frame_length, np.int16))[0]
        )
        self._pcm = np.zeros(0, np.int16)
        """Samples of frames that are not complete; all since the last gap where the front end has a memory."""
        self._first_frame = 0
        """Number of the frame that `_pcm` begins with."""

    @property
    def events(self) -> list[LiveEvent]:
        """All events so far."""
        return self.twin.events

    def _features(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
        frontend, output = self.reference.frontend, self.reference.output
        if frontend.micro:
            return frontend.micro.features(pcm, output, self._micro)
        return frontend.features(pcm, output)

    def push(self, pcm: npt.NDArray[np.int16]) -> None:
        """More samples, int16[n]."""
        rule, twin = self.rule, self.twin
        self._pcm = np.concatenate([self._pcm, pcm])
        rows = self._features(self._pcm)
        squares = np.concatenate([[0], np.cumsum(self._pcm.astype(np.int64) ** 2)])
        for number in range(twin.frames - self._first_frame, len(rows)):
            end = number * rule.hop_length + rule.frame_length
            begin = end - rule.hop_length if twin.frames else 0
            twin.frame(rows[number], int(squares[end] - squares[begin]), end - begin)
        if not self._has_memory:
            # The newest hop of the next frame may begin before the frame does.
            done = twin.frames - self._first_frame
            self._pcm = self._pcm[done * rule.hop_length :]
            self._first_frame += done

    def lose(self, count: int) -> None:
        """`count` samples are missing here."""
        twin = self.twin
        position = twin.base + self._first_frame * self.rule.hop_length + len(self._pcm)
        twin.lose(position, count)
        self._pcm = self._pcm[:0]
        self._micro = MicroState()
        self._first_frame = 0

    def flush(self) -> None:
        """End all events."""
        self.twin.flush()
