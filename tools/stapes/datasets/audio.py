"""Decoding one recording to mono 16-bit PCM at the wanted rate."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.datasets.containers import Layout, Patched, inspect
from stapes.errors import DataError
from stapes.packages import needed_for

SAMPLE_RATES = (1_000, 1_000_000)
"""Hz; a header that says anything else is not believed."""

END_TOLERANCE = 0.5
"""Seconds by which a label may end after its recording: players and editors round."""

_HINT = "replace the file or remove it from the data set"
_SECONDS = 10.0
_MOST_VALUES = 1 << 22
"""Decoded at a time, all channels together."""
_LARGEST_BLOCK = 1 << 16
_AUDIBLE = 1e-6
"""Mean power, -60 dB of full scale, from which on channels can be said to cancel each other."""
_CANCELLED = 0.02
"""Of the power that channels without anything in common leave when they are averaged."""


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
    """Rate, channels and length of `path`; a length that its header does not tell is counted.

    Raises `DataError` when it is missing, cut, damaged in its structure, or no recording.
    """
    with _opened(path) as source:
        rate, channels, frames = source.rate, source.channels, source.length
        if frames is not None:
            source.require_end()
    return AudioInfo(rate, channels, (_counted(path) if frames is None else frames) / rate)


def read_audio(
    path: Path, sample_rate: int, *, speed: float = 1.0, span: Span | None = None
) -> npt.NDArray[np.int16]:
    """Decode `path` (any format that libsndfile knows, any rate, any channels) to int16[n] at `sample_rate` Hz.

    Channels are averaged; soxr resamples at its high quality. `speed` plays the recording that much faster,
    pitch included (1.25: four fifths of the duration). `span` reads only that piece. Full scale is 32768; what
    lies beyond is clipped. Raises `DataError` when the file is missing, corrupt, truncated or empty, has a hole or
    channels that cancel each other, or ends before the span does; `ToolError` without packages.
    """
    _, soxr = _packages()
    with _opened(path) as source:
        rate = source.rate
        first, count = (0, source.length) if span is None else _part(path, source, span)
        mono = np.concatenate([*source.blocks(first, count, _SECONDS)])
    if rate * speed != sample_rate:
        mono = soxr.resample(mono, rate * speed, sample_rate, quality="HQ")
    return _pcm(mono)


def audio_blocks(path: Path, sample_rate: int, seconds: float = _SECONDS) -> Iterator[npt.NDArray[np.int16]]:
    """A recording of any length as `read_audio` would decode it, in blocks of about `seconds`: int16[n] each.

    Memory does not grow with the recording. Raises as `read_audio` does; what the file's structure tells is raised
    before the first block.
    """
    _, soxr = _packages()
    with _opened(path) as source:
        resampler = None
        if source.rate != sample_rate:
            resampler = soxr.ResampleStream(source.rate, sample_rate, 1, dtype="float32", quality="HQ")
        blocks = source.blocks(0, source.length, seconds)
        block = next(blocks, None)
        while block is not None:
            following = next(blocks, None)
            if resampler:
                block = resampler.resample_chunk(block, last=following is None)
            yield _pcm(block)
            block = following


def wav_bytes(pcm: npt.NDArray[np.int16], sample_rate: int) -> bytes:
    """int16[n] as a WAV file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(pcm.astype("<i2").tobytes())
    return stream.getvalue()


def _pcm(mono: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    pcm: npt.NDArray[np.int16] = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def _part(path: Path, source: _Source, span: Span) -> tuple[int, int]:
    """First sample and count of a span; raises `DataError` where it is not within the recording."""
    length, rate = _counted(path) if source.length is None else source.length, source.rate
    first, last = round(span.start * rate), round(span.end * rate)
    if not 0 <= first < length or last > length + END_TOLERANCE * rate:
        raise DataError(
            f"{path}: {span} lies outside of its {length / rate:.3f} s", hint="correct the labels"
        )
    if first == last:
        raise DataError(
            f"{path}: {span} is a point and holds no samples",
            hint="set dataset.pad_seconds, or give the label a length",
        )
    return first, min(last, length) - first


class _Source:
    """An open recording. `length` is in samples a channel, None where only its end tells."""

    def __init__(self, path: Path, stream: Any, layout: Layout) -> None:
        self.rate, self.channels = int(stream.samplerate), int(stream.channels)
        self._path, self._stream = path, stream
        frames = int(stream.frames)
        self.length = None if layout.unknown else frames
        if frames < layout.least:
            raise DataError(
                f"{path}: its header does not tell its length: {frames:,} of at least {layout.least:,} samples "
                "would be read",
                hint="encode it again, as FLAC or with a Xing header",
            )
        if layout.frames and 0 < frames - layout.frames < _LARGEST_BLOCK:
            self.length = layout.frames  # the rest fills up the last block of a codec

    def blocks(self, first: int, count: int | None, seconds: float) -> Iterator[npt.NDArray[np.float32]]:
        """The mean of the channels from sample `first` on: `count` samples (None: to the end), float32[n] each.

        Raises `DataError` at the end where less is there, or where the channels cancel each other.
        """
        most = max(1, min(round(seconds * self.rate), _MOST_VALUES // self.channels))
        found, heard, left = 0, 0.0, 0.0
        self._skip(first)
        while count is None or found < count:
            wanted = most if count is None else min(most, count - found)
            samples = self._stream.read(wanted, dtype="float32", always_2d=True)
            if not np.isfinite(samples).all():
                raise DataError(f"{self._path}: holds samples that are not numbers", hint=_HINT)
            found += len(samples)
            if len(samples):
                mono = samples.mean(axis=1)
                if self.channels > 1:
                    heard += float(np.square(samples, dtype=np.float64).mean(axis=1).sum())
                    left += float(np.square(mono, dtype=np.float64).sum())
                yield mono
            if len(samples) < wanted:
                break
        if found == 0:
            raise DataError(f"{self._path}: holds no samples", hint=_HINT)
        if count is not None and found < count:
            raise DataError(
                f"{self._path}: is damaged or truncated (of {count:,} samples {found:,} can be decoded)",
                hint=_HINT,
            )
        if heard > found * _AUDIBLE and left < heard * _CANCELLED / self.channels:
            raise DataError(
                f"{self._path}: its {self.channels} channels cancel each other when they are mixed to one",
                hint="turn the polarity of one channel round, or keep only one",
            )

    def require_end(self) -> None:
        """Raise `DataError` where the header promises more samples than can be reached."""
        if not self.length or not self._can_seek:
            return
        soundfile, _ = _packages()
        try:
            self._stream.seek(self.length - 1)
            if len(self._stream.read(1, dtype="float32")):
                return
        except soundfile.SoundFileError:
            pass
        raise DataError(
            f"{self._path}: is damaged or truncated (its header promises {self.length:,} samples)", hint=_HINT
        )

    @property
    def _can_seek(self) -> bool:
        return bool(self._stream.can_seek)

    def _skip(self, samples: int) -> None:
        if samples and self._can_seek:
            self._stream.seek(samples)
            return
        while samples > 0:
            found = len(self._stream.read(min(samples, _MOST_VALUES // self.channels), dtype="float32"))
            samples = samples - found if found else 0


def _counted(path: Path) -> int:
    """Samples of a recording whose header does not tell, by decoding it."""
    status = path.stat()
    return _count(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _count(path: Path, size: int, modified: int) -> int:
    with _opened(path) as source:
        return sum(map(len, source.blocks(0, None, _SECONDS)))


@cache
def _stream_class() -> Any:
    """A SoundFile that only reads on: the original seeks after each read, to where some files have no sample."""
    soundfile, _ = _packages()

    class Stream(soundfile.SoundFile):  # type: ignore[misc,name-defined]
        @property
        def can_seek(self) -> bool:
            return bool(super().seekable())

        def seekable(self) -> bool:
            return False

    return Stream


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    """`path`, open; what libsndfile or its structure say against it as `DataError`."""
    soundfile, _ = _packages()
    if not path.is_file():
        raise DataError(f"{path}: {'is no file' if path.exists() else 'no such file'}", hint=_HINT)

    try:
        layout = inspect(path)
        if layout.problem:
            raise DataError(f"{path}: {layout.problem}", hint=_HINT)
        with ExitStack() as stack:
            file = stack.enter_context(Patched(path, layout.patch)) if layout.patch else str(path)
            source = _Source(path, stack.enter_context(_stream_class()(file)), layout)
            low, high = SAMPLE_RATES
            if not low <= source.rate <= high:
                raise DataError(
                    f"{path}: its header says {source.rate:,} Hz, outside of {low:,} to {high:,} Hz",
                    hint=_HINT,
                )
            yield source
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be decoded ({str(error).splitlines()[0]})", hint=_HINT) from error


def _packages() -> tuple[Any, Any]:
    with needed_for("reading recordings", "soundfile", "soxr"):
        import soundfile
        import soxr
    return soundfile, soxr
