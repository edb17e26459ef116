"""Which networks slide: overlapping windows share all rows of the maps up to the pooling over time.

The trunk is the layers whose row r in one window is their row r + advance in the window before: no padding along
time, nothing that knows where in the window a row is. It runs on from window to window. The head is what is left
when the time axis is gone; it runs once a window. firmware/runtime/src/engine_slide.c is the engine's side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stapes.compiler.plan import Layer, Slide, Storage
from stapes.compiler.schedule import Schedule, Use, last_consumers

MAX_COUNT = 2**31 - 1
"""As far as rows are counted."""


class NotSlidable(Exception):
    """Why windows share nothing."""


def time_strides(input_count: int, layers: Sequence[Layer], storages: Sequence[Storage]) -> list[int]:
    """Input rows per row, of the input and of each layer of the trunk; raises `NotSlidable`."""
    if input_count != 1:
        raise NotSlidable(f"the network has {input_count} inputs")
    strides = [1]
    for layer in layers:
        if layer.rows == 1:
            break
        reason = _obstacle(layer, storages, len(strides))
        if reason:
            raise NotSlidable(f"{_short(layer)} {reason}")
        steps = {
            strides[window.tensor] * window.stride for window in layer.inputs if window.tensor < len(strides)
        }
        if len(steps) != 1:
            raise NotSlidable(f"{_short(layer)} joins maps of different time strides")
        strides.append(steps.pop())
    if len(strides) == 1:
        raise NotSlidable("its first layer ends the time axis")
    for layer in layers[len(strides) - 1 :]:
        if layer.rows != 1:
            raise NotSlidable(f"{_short(layer)} has rows behind a layer that ended the time axis")
    return strides


def _obstacle(layer: Layer, storages: Sequence[Storage], trunk_tensors: int) -> str:
    """What keeps a layer with several rows out of the trunk; empty where nothing does."""
    if layer.knows_row:
        return f"is a {layer.op} along time"
    rows = []
    for window in layer.inputs:
        source = storages[window.tensor]
        if source.data is not None:
            if source.rows > 1:
                return "has a constant for every row"
            continue
        if window.tensor >= trunk_tensors or window.stride == 0:
            return "needs the whole window"
        span = (window.height - 1) * window.dilation + 1
        if window.before != 0 or (layer.rows - 1) * window.stride + span > source.rows:
            return "pads along time"
        rows.append((source.rows - span) // window.stride + 1)
    if not rows or min(rows) != layer.rows:
        return "uses only a part of its input"
    return ""


def _short(layer: Layer) -> str:
    return f"layer {layer.index} ({layer.op} {layer.name.partition(';')[0]})"


def plan_slide(
    layers: Sequence[Layer], storages: Sequence[Storage], strides: Sequence[int], hop: int
) -> tuple[Slide, list[int]]:
    """How windows `hop` rows apart share, and the ring heights of the input and the trunk; raises `NotSlidable`."""
    product = math.lcm(*strides)
    if hop % product:
        raise NotSlidable(f"the hop of {hop} rows is no multiple of {product}, the time strides together")
    if hop > storages[0].rows:
        raise NotSlidable(f"windows of {storages[0].rows} rows, {hop} apart, do not overlap")
    advance = tuple(hop // stride for stride in strides)
    heights = _heights(layers, storages, len(strides), advance, hop)
    if storages[0].rows + _period(heights, advance) * hop > MAX_COUNT:
        heights = [1 << (height - 1).bit_length() for height in heights]
    period = _period(heights, advance)
    if storages[0].rows + period * hop > MAX_COUNT:
        raise NotSlidable(f"windows of {storages[0].rows} rows, {hop} apart, are too long to count")
    return Slide(len(strides) - 1, hop, period, advance), heights


def _period(heights: Sequence[int], advance: Sequence[int]) -> int:
    """Windows until every ring has advanced by a multiple of its height."""
    return math.lcm(
        *(height // math.gcd(height, rows) for height, rows in zip(heights, advance, strict=True))
    )


def _heights(
    layers: Sequence[Layer], storages: Sequence[Storage], count: int, advance: Sequence[int], hop: int
) -> list[int]:
    """Most rows alive at once while the trunk runs: the loop of engine_slide.c, simulated for a few windows."""
    trunk = layers[: count - 1]
    produced = [0] * count
    heights = [1] * count
    in_head = {window.tensor for layer in layers[count - 1 :] for window in layer.inputs}
    window_number = 0

    def lowest(tensor: int) -> int:
        needed = [
            produced[layer.index + 1] * window.stride
            for layer in trunk
            for window in layer.inputs
            if window.tensor == tensor
        ]
        if tensor in in_head:
            needed.append(window_number * advance[tensor])
        return min(needed, default=produced[tensor])

    def add(tensor: int) -> None:
        heights[tensor] = max(heights[tensor], produced[tensor] + 1 - lowest(tensor))
        produced[tensor] += 1

    def is_ready(layer: Layer) -> bool:
        step = produced[layer.index + 1]
        return all(
            step * window.stride + (window.height - 1) * window.dilation < produced[window.tensor]
            for window in layer.inputs
            if window.tensor < count
        )

    for row in range(storages[0].rows + 3 * hop):
        add(0)
        index = len(trunk) - 1
        while index >= 0:
            if is_ready(trunk[index]):
                add(index + 1)
                index = len(trunk) - 1
            else:
                index -= 1
        if row + 1 == storages[0].rows + window_number * hop:
            window_number += 1
    return heights


def with_slide(
    schedule: Schedule, layers: Sequence[Layer], outputs: Sequence[int], slide: Slide, heights: Sequence[int]
) -> Schedule:
    """`schedule`, which is of one window by rows, with what sliding adds: an event for each layer of the head at its
    end; what the trunk keeps and the outputs are alive all the time.
    """
    head = range(slide.trunk, len(layers))
    end = schedule.events + len(head)
    alive, stepping = list(schedule.alive), list(schedule.stepping)
    readers = last_consumers(1, layers)
    for tensor in range(len(alive)):
        index = tensor - 1
        if index < slide.trunk or tensor in outputs:
            alive[tensor] = Use.of(0, end - 1)
        else:
            first, last = (schedule.events + number - slide.trunk for number in (index, readers[tensor]))
            alive[tensor] = alive[tensor].and_then(first, last)
    for index in head:
        event = schedule.events + index - slide.trunk
        stepping[index] = stepping[index].and_then(event, event)
    higher = [*map(max, schedule.heights, heights), *schedule.heights[len(heights) :]]
    return Schedule(end, tuple(higher), tuple(alive), tuple(stepping))
