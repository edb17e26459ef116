"""What is known of a listening session: what the view shows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stapes.link import LiveStatus
from stapes.reference import LiveEvent


@dataclass
class LiveState:
    """What a view shows. `scale` turns scores into 0 … 1; `load` is a share of the device's time."""

    title: str
    labels: tuple[str, ...]
    sample_rate: int
    scale: float
    thresholds: tuple[float, ...]
    counter: str
    status: LiveStatus | None = None
    rows: deque[npt.NDArray[np.int8]] = field(default_factory=lambda: deque(maxlen=256))
    events: deque[LiveEvent] = field(default_factory=lambda: deque(maxlen=64))
    count: int = 0
    load: float = 0.0
    lost_events: int = 0
    drift_ppm: float | None = None
    saved: int = 0
    not_kept: int = 0
    """Events whose sound was not saved: samples of it are missing here."""
    ended: bool = False
    notes: list[str] = field(default_factory=list)
    """What the user should know before it begins."""
    earlier_fault: str | None = None
    """The fault that the device's last restart before the session followed."""

    def scores(self) -> tuple[float, ...]:
        """Smoothed scores, 0 to 1 for a softmax."""
        steps = self.status.scores if self.status else ()
        return tuple(score * self.scale / 256 for score in steps)
