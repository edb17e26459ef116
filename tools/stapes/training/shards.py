"""Cache files of features: a hundred clips each, mapped into memory and not read into it.

An interrupted run loses at most the clips of one file; a recording that is added or replaced costs one file; a data
set may be larger than the memory. A file is a .npy of rows, in the order of clips and frames, and a CRC-32 after it.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.files import write_atomic

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

CLIPS = 100
_CRC_BYTES = 4
_READ_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Features:
    """What one clip gives at one speed.

    `log_mel` is float32[frames, n_mels] in the front end's log unit. `before[t]` and `after[t]` are sums of
    the squared samples before frame t's first and up to its last: a run's energy is a difference.
    """

    log_mel: Float32
    before: Int64
    after: Int64


def save(path: Path, clips: Sequence[Features]) -> None:
    """Write one file, or nothing."""
    counts = [len(clip.log_mel) for clip in clips]
    rows = np.empty(sum(counts), dtype=_row(clips[0].log_mel.shape[1]))
    rows["clip"] = np.repeat(np.arange(len(clips)), counts)
    for name in ("log_mel", "before", "after"):
        rows[name] = np.concatenate([getattr(clip, name) for clip in clips])
    stream = io.BytesIO()
    np.save(stream, rows)
    content = stream.getvalue()
    write_atomic(path, content + zlib.crc32(content).to_bytes(_CRC_BYTES, "little"))


def load(path: Path, count: int, n_mels: int) -> list[Features] | None:
    """The clips of a file, still on disk; None when there is none or it is damaged."""
    try:
        if not _intact(path):
            return None
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if rows.dtype != _row(n_mels) or rows.ndim != 1:
        return None
    ends = np.searchsorted(rows["clip"], np.arange(count), side="right")
    if len(rows) != (ends[-1] if count else 0):
        return None
    parts = [rows[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [Features(part["log_mel"], part["before"], part["after"]) for part in parts]


def _row(n_mels: int) -> np.dtype[np.void]:
    return np.dtype(
        [("log_mel", np.float32, (n_mels,)), ("before", np.int64), ("after", np.int64), ("clip", np.int64)]
    )


def _intact(path: Path) -> bool:
    """Whether the CRC-32 at the end is that of what lies before it."""
    with path.open("rb") as stream:
        left = os.fstat(stream.fileno()).st_size - _CRC_BYTES
        crc = 0
        while left > 0 and (part := stream.read(min(left, _READ_BYTES))):
            crc = zlib.crc32(part, crc)
            left -= len(part)
        return left == 0 and stream.read() == crc.to_bytes(_CRC_BYTES, "little")
