"""An estimate of the cycles that an image takes on a chip, from a trace of its instructions."""

from stapes.cycles.board import BoardTrace
from stapes.cycles.flash import Flash
from stapes.cycles.trace import Trace
from stapes.cycles.validation import KnownError, known_error

__all__ = ["BoardTrace", "Flash", "KnownError", "Trace", "known_error"]
