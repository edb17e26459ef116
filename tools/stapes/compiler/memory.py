"""Placing buffers in the arena: two buffers may share bytes if no event finds both in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler.schedule import Use

ALIGNMENT = 4

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Buffer:
    """`bytes` needed while they are in use."""

    name: str
    bytes: int
    use: Use


def align(value: int, alignment: int = ALIGNMENT) -> int:
    """The next multiple of `alignment`."""
    return -(-value // alignment) * alignment


def place(buffers: Sequence[Buffer], start: int) -> tuple[list[int], int]:
    """Offsets of the buffers from `start` on, and the end of the arena.

    Each buffer takes the lowest gap among those already placed that it conflicts with; the best of a few
    orders wins.
    """
    numbers = [number for number, buffer in enumerate(buffers) if buffer.bytes]
    placed = [buffers[number] for number in numbers]
    conflicts = conflicts_of(placed)
    indices = range(len(placed))
    orders = (
        sorted(indices, key=lambda i: (-placed[i].bytes, i)),
        sorted(indices, key=lambda i: (-placed[i].use.events, -placed[i].bytes, i)),
        sorted(indices, key=lambda i: (placed[i].use.spans[0][0], -placed[i].bytes)),
    )
    found, end = min(
        (_place(placed, conflicts, order, start) for order in orders), key=lambda result: result[1]
    )
    offsets = [start] * len(buffers)
    for number, offset in zip(numbers, found, strict=True):
        offsets[number] = offset
    return offsets, end


def conflicts_of(buffers: Sequence[Buffer]) -> list[Numbers]:
    """Of each buffer, those that are in use together with it."""
    found: list[set[int]] = [set() for _ in buffers]
    spans = sorted((*span, number) for number, buffer in enumerate(buffers) for span in buffer.use.spans)
    active: dict[int, int] = {}
    """Buffers in use, and until when."""
    for first, last, number in spans:
        over = [other for other, end in active.items() if end < first]
        for other in over:
            del active[other]
        found[number].update(active)
        for other in active:
            found[other].add(number)
        active[number] = last
    return [np.array(sorted(others), dtype=np.int64) for others in found]


def _place(
    buffers: Sequence[Buffer], conflicts: Sequence[Numbers], order: Sequence[int], start: int
) -> tuple[list[int], int]:
    nowhere = -1
    offsets = np.full(len(buffers), nowhere, dtype=np.int64)
    sizes = np.array([align(buffer.bytes) for buffer in buffers], dtype=np.int64)
    for index in order:
        others = conflicts[index][offsets[conflicts[index]] != nowhere]
        lows = offsets[others]
        in_order = np.lexsort((lows + sizes[others], lows))
        lows = lows[in_order]
        # Behind everything that begins below each of them: there is the gap that ends with it.
        gaps = np.maximum.accumulate(np.concatenate([[start], lows + sizes[others][in_order]]))
        fits = np.flatnonzero(gaps[:-1] + buffers[index].bytes <= lows)
        offsets[index] = gaps[fits[0]] if fits.size else gaps[-1]
    end = max((int(offset + size) for offset, size in zip(offsets, sizes, strict=True)), default=start)
    return [int(offset) for offset in offsets], end
