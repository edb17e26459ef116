"""An estimate of the cycles that an image takes on a chip, from a trace of its instructions."""

from stapes.cycles.flash import Flash
from stapes.cycles.trace import Trace

__all__ = ["Flash", "Trace"]
