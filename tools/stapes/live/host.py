"""A listening device inside of this process: the firmware's C, compiled for this machine."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from stapes.codegen import generate
from stapes.errors import LinkError
from stapes.firmware import build_library
from stapes.link.live import EVENT, parse_events
from stapes.recipe import Bundle
from stapes.reference import LiveEvent

_MOST_EVENTS = 1024
_PIECE = 16384
"""Samples pushed at once, so few that no event is lost."""


class HostListener:
    """Samples in, events out; memory does not grow. `library` is firmware/app/live_library.c, built."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library.absolute()))
        functions = self._library
        functions.stapes_library_bytes.restype = ctypes.c_size_t
        functions.stapes_library_windows.restype = ctypes.c_uint64
        functions.stapes_library_take.restype = ctypes.c_uint32
        functions.stapes_library_lost_events.restype = ctypes.c_uint32
        self._state = (ctypes.c_uint64 * ((functions.stapes_library_bytes() + 7) // 8))()
        self._out = ctypes.create_string_buffer(_MOST_EVENTS * EVENT.size)
        self.reset()

    @classmethod
    def build(cls, bundle: Bundle, directory: Path) -> Self:
        """Generate and compile what `bundle` needs, in `directory`."""
        generated = generate(bundle, directory / "generated")
        return cls(build_library(generated.directory, "live_library", directory))

    def reset(self) -> None:
        """Begin a new stream."""
        self._check(self._library.stapes_library_open(self._state))

    def push(self, pcm: npt.NDArray[np.int16]) -> list[LiveEvent]:
        """More samples, int16[n]; the events that they made."""
        data = np.ascontiguousarray(pcm, dtype=np.int16)
        events: list[LiveEvent] = []
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            pointer = piece.ctypes.data_as(ctypes.c_void_p)
            self._check(self._library.stapes_library_push(self._state, pointer, ctypes.c_size_t(len(piece))))
            events += self._take()
        return events

    def lose(self, count: int) -> list[LiveEvent]:
        """`count` samples are missing here."""
        self._library.stapes_library_lose(self._state, ctypes.c_uint32(count))
        return self._take()

    def flush(self) -> list[LiveEvent]:
        """End all events, as at the end of a recording."""
        self._library.stapes_library_flush(self._state)
        return self._take()

    @property
    def windows(self) -> int:
        """Windows that the network has run since the stream began."""
        return int(self._library.stapes_library_windows(self._state))

    @property
    def state_bytes(self) -> int:
        """Bytes of all that the device keeps, its queue of events included; it never grows."""
        return ctypes.sizeof(self._state)

    def _take(self) -> list[LiveEvent]:
        count = self._library.stapes_library_take(self._state, self._out, ctypes.c_uint32(_MOST_EVENTS))
        if self._library.stapes_library_lost_events(self._state):
            raise LinkError("more events than their queue holds", hint="raise live.min_seconds")
        return parse_events(self._out.raw[: count * EVENT.size])

    @staticmethod
    def _check(status: int) -> None:
        if status < 0:
            raise LinkError(f"the runtime refused with error {status}", hint="generate again")
