"""WAV files that grow: whole and valid after every write, whatever ends the program."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

MOST_SAMPLES = (1 << 31) - 4096
"""That a WAV file of 16 bits holds: its sizes have 32 bits."""


class WavWriter:
    """16-bit mono at `sample_rate` Hz. `about` are entries of the chunk LIST/INFO: four letters and a text, such as
    `ICRD`, the date, and `ICMT`, a comment.
    """

    def __init__(self, path: Path, sample_rate: int, about: Mapping[str, str]) -> None:
        info = b"INFO"
        for name, text in about.items():
            value = text.encode() + b"\0"
            info += name.encode() + struct.pack("<I", len(value)) + value + b"\0" * (len(value) % 2)
        head = b"RIFF\0\0\0\0WAVE"
        head += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
        head += b"LIST" + struct.pack("<I", len(info)) + info + b"data\0\0\0\0"
        self.samples = 0
        self._size = len(head)
        self._file = path.open("wb", buffering=0)
        self._file.write(head)
        self._sizes()

    def add(self, pcm: npt.NDArray[np.int16]) -> None:
        """More samples, int16[n]; raises `OSError`, and the file is that of before."""
        self._file.seek(self._size + 2 * self.samples)
        data = pcm.astype("<i2").tobytes()
        while len(data):
            data = data[self._file.write(data) or 0 :]
        self.samples += len(pcm)
        self._sizes()

    def _sizes(self) -> None:
        for place, size in ((4, self._size - 8), (self._size - 4, 0)):
            self._file.seek(place)
            self._file.write(struct.pack("<I", size + 2 * self.samples))

    def close(self) -> None:
        """Close the file; what an interrupted write left behind its end is cut off."""
        if not self._file.closed:
            self._file.truncate(self._size + 2 * self.samples)
            self._sizes()
            self._file.close()
