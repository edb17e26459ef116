"""The row schedule: which layer steps when, and which rows are alive meanwhile.

This is firmware/runtime/src/engine.c's loop, simulated: the deepest layer that is ready steps first, so that
a row is used as soon as it exists. From it follow the height of every ring and which buffers are never alive
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stapes.compiler.plan import Layer, Storage


@dataclass(frozen=True)
class Schedule:
    """What the simulation found. Sets of events are bit masks, bit e standing for event e."""

    events: int
    heights: tuple[int, ...]
    """Most rows alive at once, of every input and layer output."""
    alive: tuple[int, ...]
    """Events during which any row of that tensor is alive."""
    stepping: tuple[int, ...]
    """Events in which each layer steps."""


class _State:
    def __init__(self, input_count: int, layers: Sequence[Layer], storages: Sequence[Storage]) -> None:
        self.input_count = input_count
        self.layers = layers
        self.storages = storages
        self.pushed = [0] * input_count
        self.steps = [0] * len(layers)
        self.consumers: list[list[tuple[int, int]]] = [[] for _ in range(input_count + len(layers))]
        for layer in layers:
            for position, window in enumerate(layer.inputs):
                if window.tensor < len(self.consumers):
                    self.consumers[window.tensor].append((layer.index, position))

    def produced(self, tensor: int) -> int:
        if tensor < self.input_count:
            return self.pushed[tensor]
        if tensor >= len(self.consumers):
            return self.storages[tensor].rows
        layer = self.layers[tensor - self.input_count]
        steps = self.steps[layer.index]
        return int(steps == layer.steps) if layer.accumulates else steps

    def is_ready(self, layer: Layer) -> bool:
        step = self.steps[layer.index]
        if step == layer.steps:
            return False
        for window in layer.inputs:
            last = step * window.stride - window.before + (window.height - 1) * window.dilation
            if min(last, self.storages[window.tensor].rows - 1) >= self.produced(window.tensor):
                return False
        return True

    def lowest_needed(self, tensor: int) -> int:
        """The first row that a later step still reads; past the end when none is."""
        lowest = self.storages[tensor].rows
        for index, position in self.consumers[tensor]:
            layer = self.layers[index]
            if self.steps[index] < layer.steps:
                window = layer.inputs[position]
                lowest = min(lowest, max(0, self.steps[index] * window.stride - window.before))
        return lowest


def simulate(
    input_count: int,
    layers: Sequence[Layer],
    storages: Sequence[Storage],
    outputs: Sequence[int],
    by_layers: bool = False,
) -> Schedule:
    """Run the schedule without computing anything.

    `by_layers`: all rows of the inputs, then all of the first layer, and so on, rather than the deepest ready
    layer first.
    """
    state = _State(input_count, layers, storages)
    count = input_count + len(layers)
    heights = [1] * count
    alive = [0] * count
    stepping = [0] * len(layers)
    kept = set(outputs)
    order = layers if by_layers else layers[::-1]
    event = 0

    def note(writes: int, row: int, before: Sequence[int]) -> None:
        """Account for one event that wrote `row` of `writes`; `before`: rows then needed of every tensor."""
        nonlocal event
        for tensor in range(count):
            produced = state.produced(tensor)
            lowest = 0 if tensor in kept else before[tensor]
            if tensor == writes:
                heights[tensor] = max(heights[tensor], row + 1 - lowest)
                alive[tensor] |= 1 << event
            elif produced > lowest:
                alive[tensor] |= 1 << event
        event += 1

    def step_all() -> None:
        while True:
            ready = next((layer for layer in order if state.is_ready(layer)), None)
            if ready is None:
                return
            before = [state.lowest_needed(tensor) for tensor in range(count)]
            row = 0 if ready.accumulates else state.steps[ready.index]
            stepping[ready.index] |= 1 << event
            state.steps[ready.index] += 1
            note(input_count + ready.index, row, before)

    for tensor in range(input_count):
        for row in range(storages[tensor].rows):
            before = [state.lowest_needed(other) for other in range(count)]
            state.pushed[tensor] += 1
            note(tensor, row, before)
            is_last = tensor == input_count - 1 and row == storages[tensor].rows - 1
            if is_last or not by_layers:
                step_all()
    if any(state.steps[layer.index] != layer.steps for layer in layers):
        raise AssertionError("the schedule stops before its end")
    # An accumulating layer's output row may hold its partial result from the first step on.
    for layer in layers:
        if layer.accumulates:
            alive[input_count + layer.index] |= span(stepping[layer.index])
    # A complete output stays until the next window.
    for tensor in kept:
        alive[tensor] |= ((1 << event) - 1) & ~((alive[tensor] & -alive[tensor]) - 1)
    return Schedule(event, tuple(heights), tuple(alive), tuple(stepping))


def span(events: int) -> int:
    """All events from the first to the last one of a set."""
    if events == 0:
        return 0
    return (1 << events.bit_length()) - (events & -events)
