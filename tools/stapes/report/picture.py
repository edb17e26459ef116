"""Features as pictures: palette PNGs in data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

Anchors = tuple[tuple[int, int, int], ...]

HEAT: Anchors = ((0, 0, 4), (80, 18, 123), (182, 54, 121), (251, 136, 97), (252, 253, 191))
"""From little to much, equally spaced."""
DIVERGING: Anchors = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
"""From too little over equal to too much."""


def palette(anchors: Anchors) -> npt.NDArray[np.uint8]:
    """256 colours [256, 3] between the anchors."""
    at = np.linspace(0, 255, len(anchors))
    channels = [np.interp(np.arange(256), at, [anchor[c] for anchor in anchors]) for c in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def png(pixels: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8]) -> bytes:
    """uint8[height, width] as an 8-bit PNG with that palette [256, 3]."""
    height, width = pixels.shape
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels], axis=1
    )  # each row starts with "no filter"
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def data_uri(values: npt.NDArray[np.integer], low: int, high: int, anchors: Anchors) -> str:
    """Features [frames, bands] as a picture: time to the right, high bands on top, `low` to `high` over the colours."""
    share = (values.astype(np.float64) - low) / max(1, high - low)
    pixels = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    content = png(np.ascontiguousarray(pixels.T[::-1]), palette(anchors))
    return "data:image/png;base64," + base64.b64encode(content).decode()
