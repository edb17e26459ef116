"""Placing buffers in the arena: two buffers may share bytes if no event finds both in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """`bytes` needed during `alive`, a bit mask of events."""

    name: str
    bytes: int
    alive: int


def align(value: int, alignment: int = ALIGNMENT) -> int:
    """The next multiple of `alignment`."""
    return -(-value // alignment) * alignment


def place(buffers: Sequence[Buffer], start: int) -> tuple[list[int], int]:
    """Offsets of the buffers from `start` on, and the end of the arena.

    Each buffer takes the lowest gap among those already placed that it conflicts with; the best of a few
    orders wins.
    """
    orders = (
        sorted(range(len(buffers)), key=lambda i: (-buffers[i].bytes, i)),
        sorted(range(len(buffers)), key=lambda i: (-buffers[i].alive.bit_count(), -buffers[i].bytes, i)),
        sorted(range(len(buffers)), key=lambda i: (buffers[i].alive & -buffers[i].alive, -buffers[i].bytes)),
    )
    return min((_place(buffers, order, start) for order in orders), key=lambda result: result[1])


def _place(buffers: Sequence[Buffer], order: Sequence[int], start: int) -> tuple[list[int], int]:
    offsets = [start] * len(buffers)
    placed: list[int] = []
    for index in order:
        buffer = buffers[index]
        conflicts = sorted(
            (offsets[other], offsets[other] + align(buffers[other].bytes))
            for other in placed
            if buffers[other].alive & buffer.alive and buffers[other].bytes
        )
        offset = start
        for low, high in conflicts:
            if offset + buffer.bytes <= low:
                break
            offset = max(offset, high)
        offsets[index] = offset
        placed.append(index)
    end = max((offsets[i] + align(buffers[i].bytes) for i in range(len(buffers))), default=start)
    return offsets, end
