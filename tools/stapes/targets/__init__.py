"""Start, reset and stop a target; talk to it over one byte stream."""

from stapes.targets.microphone import StandIn, stand_in
from stapes.targets.stream import DescriptorStream, Stream
from stapes.targets.target import (
    board_for_target,
    counts_instructions,
    largest_payload,
    longest_wait,
    open_target,
    require_stand_in,
    require_target,
)

__all__ = [
    "DescriptorStream",
    "StandIn",
    "Stream",
    "board_for_target",
    "counts_instructions",
    "largest_payload",
    "longest_wait",
    "open_target",
    "require_stand_in",
    "require_target",
    "stand_in",
]
