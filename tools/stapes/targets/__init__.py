"""Start, reset and stop a target; talk to it over one byte stream."""

from stapes.targets.microphone import StandIn, stand_in
from stapes.targets.stream import DescriptorStream, Stream
from stapes.targets.target import (
    board_for_target,
    known_fault,
    largest_payload,
    line_of,
    longest_wait,
    open_target,
    repeat_after,
    require_stand_in,
    require_target,
    runs_here,
    unit_of_counter,
)
from stapes.targets.turns import turn

__all__ = [
    "DescriptorStream",
    "StandIn",
    "Stream",
    "board_for_target",
    "known_fault",
    "largest_payload",
    "line_of",
    "longest_wait",
    "open_target",
    "repeat_after",
    "require_stand_in",
    "require_target",
    "runs_here",
    "stand_in",
    "turn",
    "unit_of_counter",
]
