"""Decoding one recording to mono 16-bit PCM at the wanted rate."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.errors import DataError, ToolError

_HINT = "replace the file or remove it from the data set"


@dataclass(frozen=True)
class Span:
    """A piece of a recording, in seconds from its beginning."""

    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.start:.3f}-{self.end:.3f} s"


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says."""

    sample_rate: int
    channels: int
    seconds: float


def audio_info(path: Path) -> AudioInfo:
    """Read the header of `path`; raises `DataError` when it is missing or no recording."""
    soundfile, _ = _packages()
    with _decoding(path), soundfile.SoundFile(str(path)) as stream:
        rate, channels, frames = int(stream.samplerate), int(stream.channels), int(stream.frames)
    return AudioInfo(rate, channels, frames / rate)


def read_audio(
    path: Path, sample_rate: int, *, speed: float = 1.0, span: Span | None = None
) -> npt.NDArray[np.int16]:
    """Decode `path` (WAV, FLAC, Ogg Vorbis/Opus, any rate, any channels) to int16[n] at `sample_rate` Hz.

    Channels are averaged; soxr resamples at its high quality. `speed` plays the recording that much faster,
    pitch included (1.25: four fifths of the duration). `span` reads only that piece. Full scale is 32768; what
    lies beyond is clipped. Raises `DataError` when the file is missing, corrupt, truncated or empty, or ends
    before the span does, `ToolError` without packages.
    """
    soundfile, soxr = _packages()
    with _decoding(path), soundfile.SoundFile(str(path)) as stream:
        rate, expected = int(stream.samplerate), int(stream.frames)
        if span is not None:
            first, last = round(span.start * rate), round(span.end * rate)
            if not 0 <= first < expected:
                raise DataError(
                    f"{path}: {span} lies outside of its {expected / rate:.3f} s", hint="correct the labels"
                )
            stream.seek(first)
            expected = min(last, expected) - first
        samples: npt.NDArray[np.float32] = stream.read(expected, dtype="float32", always_2d=True)
    if len(samples) == 0:
        raise DataError(f"{path}: holds no samples", hint=_HINT)
    if len(samples) != expected or is_truncated(path):
        raise DataError(f"{path}: is truncated (its end is missing)", hint=_HINT)
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: holds samples that are not numbers", hint=_HINT)
    mono = samples.mean(axis=1)
    if rate * speed != sample_rate:
        mono = soxr.resample(mono, rate * speed, sample_rate, quality="HQ")
    pcm: npt.NDArray[np.int16] = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def audio_blocks(path: Path, sample_rate: int, seconds: float = 10.0) -> Iterator[npt.NDArray[np.int16]]:
    """A recording of any length as `read_audio` would decode it, in blocks of about `seconds`: int16[n] each.

    Memory does not grow with the recording. Raises as `read_audio` does.
    """
    soundfile, soxr = _packages()
    with _decoding(path), soundfile.SoundFile(str(path)) as stream:
        rate, expected, found = int(stream.samplerate), int(stream.frames), 0
        resampler = None
        if rate != sample_rate:
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        for samples in stream.blocks(round(seconds * rate), dtype="float32", always_2d=True):
            found += len(samples)
            if not np.isfinite(samples).all():
                raise DataError(f"{path}: holds samples that are not numbers", hint=_HINT)
            mono = samples.mean(axis=1)
            if resampler:
                mono = resampler.resample_chunk(mono, last=found == expected)
            yield np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    if found == 0:
        raise DataError(f"{path}: holds no samples", hint=_HINT)
    if found != expected or is_truncated(path):
        raise DataError(f"{path}: is truncated (its end is missing)", hint=_HINT)


def is_truncated(path: Path) -> bool:
    """Whether the container says that more should follow; decoders silently give what there is."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] == b"RIFF" and len(head) >= 8:
            declared = struct.unpack("<I", head[4:8])[0]
            # 0 and 0xFFFFFFFF are what programs write that cannot seek back: length unknown.
            return declared not in (0, 0xFFFFFFFF) and declared + 8 > size
        if head[:4] != b"OggS":
            return False
        # A page holds at most 27 + 255 + 255 * 255 bytes, so the last one starts within the last 64 KiB.
        stream.seek(max(0, size - 65536))
        tail = stream.read()
    start = tail.rfind(b"OggS")
    while start >= 0:
        page = tail[start:]
        if len(page) >= 27 and len(page) >= 27 + page[26]:
            length = 27 + page[26] + sum(page[27 : 27 + page[26]])
            end_of_stream = bool(page[5] & 4)
            return not (end_of_stream and length == len(page))
        start = tail.rfind(b"OggS", 0, start)
    return True


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """What libsndfile says of a bad file, as `DataError`."""
    soundfile, _ = _packages()
    if not path.is_file():
        raise DataError(f"{path}: no such file", hint=_HINT)
    try:
        yield
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be decoded ({str(error).splitlines()[0]})", hint=_HINT) from error


def _packages() -> tuple[Any, Any]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as error:
        raise ToolError(
            f"reading recordings needs soundfile and soxr ({error})", hint="pip install 'stapes[audio]'"
        ) from error
    return soundfile, soxr
