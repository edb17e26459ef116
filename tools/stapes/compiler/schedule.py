"""The row schedule: which layer steps when, and which rows are alive meanwhile.

By rows this is firmware/runtime/src/engine.c's loop, simulated: the deepest layer that is ready steps first, so that a
row is used as soon as it exists. From it follow the height of every ring and which buffers are never alive together.
In the middle of a long window the loop does the same again and again; what it does once is then counted many times,
so that 80,000 rows cost no more than a few hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stapes.compiler.plan import Layer, Storage
from stapes.progress import Progress, no_progress

Span = tuple[int, int]
"""The first and the last of some events."""


@dataclass(frozen=True)
class Use:
    """When something is in use. An event is a row that is written."""

    spans: tuple[Span, ...]
    """In their order. Of spans that repeat, only some are kept: with whom they overlap is the same for all."""
    events: int
    """All of them, those left out of `spans` too."""

    @classmethod
    def of(cls, first: int, last: int) -> Use:
        """All events from the first to the last."""
        return cls(((first, last),), last - first + 1)

    def and_then(self, first: int, last: int) -> Use:
        """With a span behind all others."""
        return Use((*self.spans, (first, last)), self.events + last - first + 1)

    @property
    def whole(self) -> Use:
        """Everything from the first to the last event."""
        return Use.of(self.spans[0][0], self.spans[-1][1])


@dataclass(frozen=True)
class Schedule:
    """What the simulation found."""

    events: int
    heights: tuple[int, ...]
    """Most rows alive at once, of every input and layer output."""
    alive: tuple[Use, ...]
    """When any row of that tensor is alive."""
    stepping: tuple[Use, ...]
    """When each layer steps."""


def simulate(
    input_count: int,
    layers: Sequence[Layer],
    storages: Sequence[Storage],
    outputs: Sequence[int],
    by_layers: bool = False,
    progress: Progress = no_progress,
) -> Schedule:
    """Run the schedule without computing anything.

    `by_layers`: all rows of the inputs, then all of the first layer, and so on, rather than the deepest ready
    layer first. `progress` is told of rows of the inputs.
    """
    if by_layers:
        return _by_layers(input_count, layers, storages, outputs)
    simulation = _ByRows(input_count, layers, storages, outputs)
    simulation.run(progress)
    return simulation.schedule()


def _readers(input_count: int, layers: Sequence[Layer]) -> list[list[tuple[int, int]]]:
    """Who reads each input and layer output: layers and positions among their inputs."""
    readers: list[list[tuple[int, int]]] = [[] for _ in range(input_count + len(layers))]
    for layer in layers:
        for position, window in enumerate(layer.inputs):
            if window.tensor < len(readers):
                readers[window.tensor].append((layer.index, position))
    return readers


def last_consumers(input_count: int, layers: Sequence[Layer], storages: Sequence[Storage] = ()) -> list[int]:
    """The deepest layer that reads each input and layer output; where none does, its own (0 for inputs).

    Where rows of `storages` are kept, layers that read nothing else may start with a window: to the engine they are
    readers of the first input.
    """
    readers = _readers(input_count, layers)
    found = [
        max((index for index, _ in of_tensor), default=max(0, tensor - input_count))
        for tensor, of_tensor in enumerate(readers)
    ]
    if any(storage.kept for storage in storages):
        at_once = [
            layer.index
            for layer in layers
            if all(storages[w.tensor].kept or w.tensor >= len(readers) for w in layer.inputs)
        ]
        found[0] = max([found[0], *at_once])
    return found


def _by_layers(
    input_count: int, layers: Sequence[Layer], storages: Sequence[Storage], outputs: Sequence[int]
) -> Schedule:
    """Everything about a tensor follows from when it is written and from its last reader's windows."""
    starts: list[int] = []
    event = 0
    for tensor in range(input_count):
        starts.append(event)
        event += storages[tensor].rows - storages[tensor].kept
    for layer in layers:
        starts.append(event)
        event += layer.steps
    ends = [*starts[1:], event]
    heights, alive = [], []
    for tensor, readers in enumerate(_readers(input_count, layers)):
        rows = storages[tensor].rows
        if tensor in outputs or storages[tensor].kept:
            heights.append(rows)
            alive.append(Use.of(0 if storages[tensor].kept else starts[tensor], event - 1))
            continue
        windows = [(layers[index], layers[index].inputs[position]) for index, position in readers]
        lowest = min((max(0, -window.before) for _, window in windows), default=rows)
        heights.append(max(1, rows - lowest))
        # The row is dead when no window of a later step reaches it.
        last = ends[tensor] - 1
        for layer, window in windows:
            steps = layer.steps
            if window.stride:
                steps = min(steps, max(1, -(-(rows + window.before) // window.stride)))
            last = max(last, starts[input_count + layer.index] + steps - 1)
        alive.append(Use.of(starts[tensor], last))
    stepping = [
        Use.of(starts[input_count + layer.index], ends[input_count + layer.index] - 1) for layer in layers
    ]
    return Schedule(event, tuple(heights), tuple(alive), tuple(stepping))


class _Usage:
    """When one tensor is alive, as it is found out."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.since: int | None = None
        """Alive since this event."""
        self.closed = 0
        """Events in `spans`, and those left out."""

    def events(self, event: int) -> int:
        """How many before `event`."""
        return self.closed + (0 if self.since is None else event - self.since)

    def add(self, first: int, last: int) -> None:
        self.closed += last - first + 1
        if self.spans and self.spans[-1][1] + 1 == first:
            first = self.spans.pop()[0]
        self.spans.append((first, last))

    def update(self, event: int, is_alive: bool, is_written: bool) -> None:
        """What is true of the tensor after an event that touched it."""
        if is_alive:
            if self.since is None:
                self.since = event
        elif self.since is not None:
            self.add(self.since, event)
            self.since = None
        elif is_written:
            self.add(event, event)

    def use(self, event: int) -> Use:
        """The whole, at the end of all events."""
        if self.since is not None:
            self.add(self.since, event - 1)
            self.since = None
        return Use(tuple(self.spans), self.closed)


@dataclass(frozen=True)
class _Moment:
    """The simulation between two rows of an input."""

    event: int
    steps: tuple[int, ...]
    produced: tuple[int, ...]
    alive: tuple[bool, ...]
    events: tuple[int, ...]
    """In which each tensor was alive."""


class _ByRows:
    def __init__(
        self, input_count: int, layers: Sequence[Layer], storages: Sequence[Storage], outputs: Sequence[int]
    ) -> None:
        self.input_count = input_count
        self.layers = layers
        self.rows = [storage.rows for storage in storages]
        count = input_count + len(layers)
        self.count = count
        self.last_consumer = last_consumers(input_count, layers, storages)
        self.there = [storage.kept for storage in storages[:count]]
        """Rows of each tensor that exist when the window begins."""
        self.kept = {*outputs, *(tensor for tensor, rows in enumerate(self.there) if rows)}
        self.produced = [*self.there, *self.rows[count:]]
        """Rows of each tensor that exist."""
        self.steps = [0] * len(layers)
        self.heights = [1] * count
        self.usage = [_Usage() for _ in range(count)]
        self.stepping = [_Usage() for _ in layers]
        self.event = 0
        # What is_ready and lowest_needed ask again and again.
        self.windows = [
            [
                (w.tensor, w.stride, (w.height - 1) * w.dilation - w.before, self.rows[w.tensor] - 1)
                for w in layer.inputs
            ]
            for layer in layers
        ]
        self.needs = [
            [
                (index, layers[index].inputs[position].stride, layers[index].inputs[position].before)
                for index, position in found
            ]
            for found in _readers(input_count, layers)
        ]
        self.all_steps = [layer.steps for layer in layers]

    def is_ready(self, index: int) -> bool:
        step = self.steps[index]
        if step == self.all_steps[index]:
            return False
        produced = self.produced
        for tensor, stride, reach, last_row in self.windows[index]:
            last = step * stride + reach
            if (last if last < last_row else last_row) >= produced[tensor]:
                return False
        return True

    def lowest_needed(self, tensor: int) -> int:
        """The first row that a later step still reads; past the end when none is."""
        lowest = self.rows[tensor]
        for index, stride, before in self.needs[tensor]:
            step = self.steps[index]
            if step < self.all_steps[index]:
                row = step * stride - before
                if row < lowest:
                    lowest = row
        return lowest if lowest > 0 else 0

    def account(self, tensor: int, row: int, lowest: int, touched: Sequence[int]) -> None:
        """One event wrote `row` of `tensor`, of which rows from `lowest` on were needed, and read `touched`."""
        height = row + 1 - (0 if tensor in self.kept else lowest)
        if height > self.heights[tensor]:
            self.heights[tensor] = height
        for other in {tensor, *touched}:
            if other < self.count:
                is_alive = other in self.kept or self.produced[other] > self.lowest_needed(other)
                self.usage[other].update(self.event, is_alive, other == tensor)
        self.event += 1

    def step(self, index: int) -> None:
        layer = self.layers[index]
        tensor = self.input_count + index
        row = self.there[tensor] + (0 if layer.accumulates else self.steps[index])
        lowest = self.lowest_needed(tensor)
        self.stepping[index].add(self.event, self.event)
        self.steps[index] += 1
        if not layer.accumulates or self.steps[index] == layer.steps:
            self.produced[tensor] += 1
        self.account(tensor, row, lowest, [window.tensor for window in layer.inputs])

    def run_rows(self, tensor: int) -> None:
        """After a new row of `tensor`: as run_rows in engine.c."""
        index = self.last_consumer[tensor]
        while index >= 0:
            if self.is_ready(index):
                self.step(index)
                layer = self.layers[index]
                if not layer.accumulates or self.steps[index] == layer.steps:
                    index = max(index, self.last_consumer[self.input_count + index])
            else:
                index -= 1

    def run(self, progress: Progress) -> None:
        """All rows of all inputs."""
        period = _period(self.input_count, self.layers)
        total, done = sum(self.rows[: self.input_count]), 0
        for tensor in range(self.input_count):
            row, past = self.there[tensor], None
            while row < self.rows[tensor]:
                lowest = self.lowest_needed(tensor)
                self.produced[tensor] += 1
                self.account(tensor, row, lowest, ())
                self.run_rows(tensor)
                row += 1
                if period and row % period == 0 and self.rows[tensor] - row > 2 * period:
                    now = self.moment()
                    if past is not None:
                        row += self.repeat(past, now, tensor, period)
                    past = self.moment()
                progress("rows", done + row, total)
            done += row
        if self.steps != self.all_steps:
            raise AssertionError("the schedule stops before its end")

    def moment(self) -> _Moment:
        return _Moment(
            self.event,
            tuple(self.steps),
            tuple(self.produced),
            tuple(usage.since is not None for usage in self.usage),
            tuple(usage.events(self.event) for usage in self.usage),
        )

    def repeat(self, past: _Moment, now: _Moment, tensor: int, period: int) -> int:
        """Does again what happened between two moments, `period` rows of an input apart, as often as it certainly
        would be done; returns the rows of the input.
        """
        times = min(self.repetitions(past, now), (self.rows[tensor] - now.produced[tensor]) // period - 1)
        if times < 1 or past.alive != now.alive:
            return 0
        self.event += times * (now.event - past.event)
        for index, (before, after) in enumerate(zip(past.steps, now.steps, strict=True)):
            self.steps[index] += times * (after - before)
            self.stepping[index].closed += times * (after - before)
        for other, usage in enumerate(self.usage):
            self.produced[other] += times * (now.produced[other] - past.produced[other])
            if usage.since is not None and usage.since <= past.event:
                continue  # alive all the time
            usage.closed += times * (now.events[other] - past.events[other])
            if usage.since is not None:
                usage.add(usage.since, now.event - 1)
                usage.since = self.event
        return times * period

    def repetitions(self, past: _Moment, now: _Moment) -> int:
        """How often at least: every question that the schedule asks must get the same answers again."""
        times = 1 << 40
        for layer in self.layers:
            step, all_steps = now.steps[layer.index], layer.steps
            advance = step - past.steps[layer.index]
            if step == all_steps:
                if advance:
                    return 0
                continue
            if advance:
                times = min(times, (all_steps - 1 - step) // advance)
            for window in layer.inputs:
                source = window.tensor
                if source >= self.count:
                    continue
                rows, produced = self.rows[source], now.produced[source]
                growth = produced - past.produced[source]
                first = step * window.stride - window.before
                last = first + (window.height - 1) * window.dilation
                if advance * window.stride == growth:
                    if growth:
                        if past.steps[layer.index] * window.stride < window.before:
                            return 0
                        times = min(times, (rows - 1 - last) // growth)
                elif advance:
                    return 0
                else:  # waits while its source grows
                    for limit in (min(last, rows - 1), max(0, first)):
                        if limit >= produced:
                            times = min(times, (limit - produced) // growth)
        return times

    def schedule(self) -> Schedule:
        """What was found, at the end."""
        alive = [usage.use(self.event) for usage in self.usage]
        stepping = [usage.use(self.event) for usage in self.stepping]
        # An accumulating layer's output row may hold its partial result from the first step on; a complete output
        # stays until the next window.
        for layer in self.layers:
            if layer.accumulates:
                tensor = self.input_count + layer.index
                alive[tensor] = _joined(alive[tensor], stepping[layer.index].whole)
        for tensor in self.kept:
            first = 0 if self.there[tensor] else alive[tensor].spans[0][0]
            alive[tensor] = Use.of(first, self.event - 1)
        return Schedule(self.event, tuple(self.heights), tuple(alive), tuple(stepping))


def _joined(use: Use, span: Use) -> Use:
    """A use and one span, which overlap or follow each other."""
    ((first, last),) = span.spans
    before = [each for each in use.spans if each[1] < first - 1]
    after = [each for each in use.spans if each[0] > last + 1]
    inside = [each for each in use.spans if each[1] >= first - 1 and each[0] <= last + 1]
    joined = (min([first, *(each[0] for each in inside)]), max([last, *(each[1] for each in inside)]))
    spans = (*before, joined, *after)
    return Use(spans, sum(each[1] - each[0] + 1 for each in spans))


def _period(input_count: int, layers: Sequence[Layer]) -> int:
    """Rows of an input after which every layer has made whole steps; 0 where that is not soon."""
    strides = [1] * input_count
    for layer in layers:
        found = [strides[w.tensor] * w.stride for w in layer.inputs if w.tensor < len(strides) and w.stride]
        strides.append(max(found, default=1))
    period = math.lcm(*strides)
    return period if period <= 4096 else 0
