"""The arena of a plan as text and as a picture: who is where, and when."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple, Protocol

from stapes.compiler import Plan
from stapes.compiler.plan import Region

_WIDTH, _HEIGHT, _LEFT, _TOP = 900, 480, 70, 30
_LETTER = (6.6, 11)
"""Width at most (of a mean letter) and height. What its own region cannot hold, or would lie on another one, is only in
the tooltip."""
_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f")


class _Box(NamedTuple):
    """A rectangle of the drawing."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: _Box) -> bool:
        """Whether the two share more than an edge."""
        return (
            min(self.x + self.width, other.x + other.width) - max(self.x, other.x) > 0.1
            and min(self.y + self.height, other.y + other.height) - max(self.y, other.y) > 0.1
        )


class Arena(Protocol):
    """What a drawing needs of a plan."""

    @property
    def name(self) -> str:
        """Of the network."""

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""

    @property
    def events(self) -> int:
        """Steps of the schedule."""

    @property
    def regions(self) -> Sequence[Region]:
        """Who is where, and when."""


def memory_text(plan: Plan) -> str:
    """One line for each region: bytes [from, to), size, steps during which it is in use, name."""
    lines = [f"{'from':>7} {'to':>7} {'bytes':>7}  {'steps':>11}  what"]
    for region in plan.regions:
        steps = f"{region.first}..{region.last}"
        end = region.offset + region.bytes
        lines.append(f"{region.offset:7} {end:7} {region.bytes:7}  {steps:>11}  {_short(region.name)}")
    pointers = plan.arena_bytes - plan.buffer_bytes
    everything = f"0..{plan.events - 1}"
    lines.append(
        f"{plan.buffer_bytes:7} {plan.arena_bytes:7} {pointers:7}  {everything:>11}  row pointers (32-bit target)"
    )
    return "\n".join(lines)


def memory_svg(plan: Arena) -> str:
    """A drawing: steps of the schedule from left to right, bytes of the arena from top to bottom."""
    x_scale = _WIDTH / max(1, plan.events)
    y_scale = _HEIGHT / max(1, plan.arena_bytes)
    total = (_WIDTH + _LEFT + 20, _HEIGHT + _TOP + 30)
    parts = [
        f'<svg class="map" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}" '
        f'width="{total[0]}" height="{total[1]}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{total[0]}" height="{total[1]}" fill="white"/>',
        f'<text x="{_LEFT}" y="18">arena of {escape(plan.name)}: {plan.arena_bytes:,} bytes</text>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="black"/>',
    ]
    boxes = [
        _Box(
            _LEFT + region.first * x_scale,
            _TOP + region.offset * y_scale,
            (region.last + 1 - region.first) * x_scale,
            region.bytes * y_scale,
        )
        for region in plan.regions
    ]
    for position, (region, box) in enumerate(zip(plan.regions, boxes, strict=True)):
        colour = _COLOURS[position % len(_COLOURS)]
        text = f"{_short(region.name)}: {region.bytes:,} bytes at {region.offset:,}"
        label = escape(text)
        parts.append(
            f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" fill="{colour}" '
            f'fill-opacity="0.75" stroke="white"><title>{label}</title></rect>'
        )
        others = [other for other in boxes if other is not box]
        y = _label_y(box, _LETTER[0] * len(text) + 8, others)
        if y is not None:
            parts.append(f'<text x="{box.x + 4:.1f}" y="{y + 4:.1f}" fill="black">{label}</text>')
    for fraction in (0.0, 0.5, 1.0):
        y = _TOP + fraction * _HEIGHT
        value = round(fraction * plan.arena_bytes)
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 18}">{plan.events:,} steps of one window</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _label_y(box: _Box, width: float, others: Sequence[_Box]) -> float | None:
    """The middle of a label at the left of `box`, where no other box lies; None where there is no such place.

    Buffers that take turns within a row share bytes, and are drawn over each other.
    """
    height = _LETTER[1] + 3
    if box.height <= height or box.width <= width:
        return None
    for y in (box.y + (box.height - height) / 2, box.y + box.height - height, box.y):
        label = _Box(box.x, y, width, height)
        if not any(label.meets(other) for other in others):
            return y + height / 2
    return None


def _short(name: str) -> str:
    """The first of the names that the converter joined, and what kind of buffer it is."""
    first, _, rest = name.partition(";")
    kind = rest.rpartition(" ")[2]
    return f"{first} {kind}" if kind in ("state", "scratch") else first
