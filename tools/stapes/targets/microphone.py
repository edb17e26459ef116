"""A recording that the host or an emulated board hears as its own microphone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stapes.datasets.audio import audio_blocks


@dataclass(frozen=True)
class StandIn:
    """An open file of raw samples, int16 in this computer's byte order, heard again and again, `speed` times as fast as
    it sounds. What the device does not read in a quarter of a second is lost, as with a microphone; where `speed` is
    more than 1 (host only) nothing is, for the sound waits for its reader.
    """

    descriptor: int
    speed: int = 1

    @property
    def path(self) -> str:
        """Its name for a program that inherits it."""
        return f"/dev/fd/{self.descriptor}"


@contextmanager
def stand_in(recording: Path, sample_rate: int, speed: int = 1) -> Iterator[StandIn]:
    """`recording`, decoded as every recording is (`DataError`), at `sample_rate` Hz; until the end of the block."""
    with tempfile.TemporaryFile() as raw:
        for block in audio_blocks(recording, sample_rate):
            raw.write(block.tobytes())
        raw.flush()
        yield StandIn(raw.fileno(), speed)
