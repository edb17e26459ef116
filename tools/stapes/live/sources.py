"""Where the samples of a listening session come from on this computer."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stapes.datasets.audio import audio_blocks, audio_info
from stapes.errors import ToolError
from stapes.packages import needed_for

Pcm = npt.NDArray[np.int16]

MOST_BEHIND = 2.0
"""Seconds of sound that may wait; what a slower device cannot take is lost, and counted."""


class Source(Protocol):
    """Samples as they come."""

    def read(self) -> tuple[int, Pcm] | None:
        """The number of the first sample since the start and the samples there are, int16[n]; None: the end.

        A jump in the number is a loss.
        """

    def close(self) -> None:
        """Stop."""


class FileSource:
    """A recording at its own speed, or, `fast`, as fast as it is taken."""

    def __init__(self, path: Path, sample_rate: int, *, fast: bool = False) -> None:
        audio_info(path)  # raises for most that is wrong, before a device is built
        self._blocks: Iterator[Pcm] = audio_blocks(path, sample_rate, 0.5)
        self._rate = sample_rate
        self._fast = fast
        self._kept = np.zeros(0, np.int16)
        self._position = 0
        self._begin: float | None = None
        self._ended = False

    def read(self) -> tuple[int, Pcm] | None:
        """See `Source`."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = now
        due = self._rate // 2 if self._fast else round((now - self._begin) * self._rate) - self._position
        while len(self._kept) < due and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            if block is not None:
                self._kept = np.concatenate([self._kept, block])
        if self._ended and not len(self._kept):
            return None
        lost = 0 if self._fast else max(0, min(due, len(self._kept)) - round(MOST_BEHIND * self._rate))
        pcm, self._kept = self._kept[lost:due], self._kept[due:] if due > 0 else self._kept
        first = self._position + lost
        self._position = first + len(pcm)
        return first, pcm

    def close(self) -> None:
        """See `Source`."""


class MicrophoneSource:
    """This computer's microphone."""

    def __init__(self, sample_rate: int) -> None:
        with needed_for("this computer's microphone", "sounddevice"):
            import sounddevice
        self._queue: queue.SimpleQueue[Pcm] = queue.SimpleQueue()
        self._rate = sample_rate
        self._position = 0

        def heard(data: Any, frames: int, when: Any, status: Any) -> None:
            self._queue.put(np.frombuffer(bytes(data), np.int16))

        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=sample_rate, channels=1, dtype="int16", callback=heard
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise ToolError(f"no microphone: {error}", hint="choose one in the system's settings") from error

    def read(self) -> tuple[int, Pcm] | None:
        """See `Source`."""
        parts = []
        while not self._queue.empty():
            parts.append(self._queue.get())
        pcm = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        lost = max(0, len(pcm) - round(MOST_BEHIND * self._rate))
        first = self._position + lost
        self._position += len(pcm)
        return first, pcm[lost:]

    def close(self) -> None:
        """See `Source`."""
        self._stream.stop()
        self._stream.close()
