"""The row schedule: which layer steps when, and which rows are alive meanwhile.

This is firmware/runtime/src/engine.c's loop, simulated: the deepest layer that is ready steps first, so that
a row is used as soon as it exists. From it follow the height of every ring and which buffers are never alive
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stapes.compiler.plan import Layer, Storage

MAX_BITS = 8192


@dataclass(frozen=True)
class Schedule:
    """What the simulation found. Sets of events are bit masks, a bit for one event (several of a long run)."""

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

    def last_consumer(self, tensor: int) -> int:
        """The deepest layer that reads a tensor, 0 where none does."""
        return max((index for index, _ in self.consumers[tensor]), default=0)

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
    total = sum(storages[t].rows for t in range(input_count)) + sum(layer.steps for layer in layers)
    # Beyond this many events several share a bit, which may only keep apart what could have shared bytes.
    per_bit = -(-total // MAX_BITS)
    heights = [1] * count
    alive = [0] * count
    stepping = [0] * len(layers)
    kept = set(outputs)
    live: set[int] = set()
    event = 0

    def account(tensor: int, row: int, lowest: int, touched: Sequence[int]) -> None:
        """One event wrote `row` of `tensor`, of which rows from `lowest` on were needed, and read `touched`."""
        nonlocal event
        bit = 1 << (event // per_bit)
        heights[tensor] = max(heights[tensor], row + 1 - (0 if tensor in kept else lowest))
        alive[tensor] |= bit
        if event % per_bit == 0:
            for other in live:
                alive[other] |= bit
        for other in {tensor, *touched}:
            if other < count:
                if other in kept or state.produced(other) > state.lowest_needed(other):
                    live.add(other)
                    alive[other] |= bit
                else:
                    live.discard(other)
        event += 1

    def step(layer: Layer) -> None:
        tensor = input_count + layer.index
        row = 0 if layer.accumulates else state.steps[layer.index]
        lowest = state.lowest_needed(tensor)
        stepping[layer.index] |= 1 << (event // per_bit)
        state.steps[layer.index] += 1
        account(tensor, row, lowest, [window.tensor for window in layer.inputs])

    def run_rows(tensor: int) -> None:
        """After a new row of `tensor`: as run_rows in engine.c."""
        index = state.last_consumer(tensor)
        while index >= 0:
            if state.is_ready(layers[index]):
                step(layers[index])
                finished = not layers[index].accumulates or state.steps[index] == layers[index].steps
                index = max(index, state.last_consumer(input_count + index)) if finished else index
            else:
                index -= 1

    for tensor in range(input_count):
        for row in range(storages[tensor].rows):
            lowest = state.lowest_needed(tensor)
            state.pushed[tensor] += 1
            account(tensor, row, lowest, ())
            if not by_layers:
                run_rows(tensor)
    if by_layers:
        for layer in layers:
            for _ in range(layer.steps):
                step(layer)
    if any(state.steps[layer.index] != layer.steps for layer in layers):
        raise AssertionError("the schedule stops before its end")
    # An accumulating layer's output row may hold its partial result from the first step on.
    for layer in layers:
        if layer.accumulates:
            alive[input_count + layer.index] |= span(stepping[layer.index])
    # A complete output stays until the next window.
    end = 1 << ((event - 1) // per_bit + 1)
    for tensor in kept:
        alive[tensor] |= (end - 1) & ~((alive[tensor] & -alive[tensor]) - 1)
    return Schedule(event, tuple(heights), tuple(alive), tuple(stepping))


def span(events: int) -> int:
    """All events from the first to the last one of a set."""
    if events == 0:
        return 0
    return (1 << events.bit_length()) - (events & -events)
