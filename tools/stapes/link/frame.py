"""Frames: content and its CRC-32, COBS-stuffed, 0x00 between frames. The twin of firmware/link/frame.c."""

from __future__ import annotations

import struct
import zlib

from cobs import cobs

DELIMITER = b"\0"
CRC = struct.Struct("<I")


def encode(content: bytes) -> bytes:
    """A frame with a delimiter before and after it."""
    stuffed: bytes = cobs.encode(content + CRC.pack(zlib.crc32(content)))
    return DELIMITER + stuffed + DELIMITER


def decode(stuffed: bytes) -> bytes | None:
    """The content of what stood between two delimiters; None when it is damaged."""
    try:
        sealed: bytes = cobs.decode(stuffed)
    except cobs.DecodeError:
        return None
    content, crc = sealed[: -CRC.size], sealed[-CRC.size :]
    if not content or CRC.pack(zlib.crc32(content)) != crc:
        return None
    return content


class Receiver:
    """Takes a byte stream apart."""

    def __init__(self, longest: int = 1 << 17) -> None:
        self._longest = longest
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes | None]:
        """The frames that `data` completes, in order; None stands for a damaged one."""
        self._pending += data
        if DELIMITER not in data:
            if len(self._pending) > self._longest:
                self._pending.clear()
                return [None]
            return []
        *complete, rest = bytes(self._pending).split(DELIMITER)
        self._pending = bytearray(rest)
        return [decode(stuffed) for stuffed in complete if stuffed]
