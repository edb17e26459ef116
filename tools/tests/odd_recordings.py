"""Odd but valid recordings, as other programs write them: name, content, and how many samples are in it."""

from __future__ import annotations

import io
import itertools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


@dataclass(frozen=True)
class Odd:
    """A recording of `samples` a channel at `rate` Hz."""

    name: str
    content: bytes
    rate: int
    samples: int


def noise(samples: int, channels: int = 1) -> npt.NDArray[np.float64]:
    return 0.3 * np.random.default_rng(samples + channels).uniform(-1, 1, (samples, channels))


def random_bytes(count: int) -> bytes:
    return np.random.default_rng(count).integers(0, 256, count, np.uint8).tobytes()


def pcm16(samples: int, channels: int = 1, order: str = "<") -> bytes:
    return (noise(samples, channels) * 32767).astype(f"{order}i2").tobytes()


def fmt(bits: int, rate: int = 16000, channels: int = 1, align: int = 0, tag: int = 1) -> bytes:
    align = align or channels * -(-bits // 8)
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)


def extensible(bits: int, valid: int, align: int, rate: int = 16000, channels: int = 1) -> bytes:
    head = struct.pack("<HHIIHH", 0xFFFE, channels, rate, rate * align, align, bits)
    return head + struct.pack("<HHI", 22, valid, (1 << channels) - 1) + PCM_GUID


def wav(
    form: bytes,
    data: bytes,
    *,
    riff: int | None = None,
    length: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    first: bytes = b"",
) -> bytes:
    """A WAV file with these sizes in its headers (None: the true ones) and these chunks around its `data`."""
    chunk = struct.pack("<4sI", b"data", len(data) if length is None else length) + data
    chunk += b"\0" * (length is None and len(data) % 2)
    body = b"WAVE" + first + struct.pack("<4sI", b"fmt ", len(form)) + form + before + chunk + after
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def extended(rate: int) -> bytes:
    """A rate as AIFF writes it: 80 bits of floating point."""
    exponent = int(math.log2(rate))
    return struct.pack(">HQ", 16383 + exponent, rate << (63 - exponent))


def aiff(
    frames: int,
    bits: int,
    data: bytes,
    *,
    length: int | None = None,
    rate: int = 16000,
    sound_first: bool = False,
) -> bytes:
    comm = struct.pack(">4sIHIH", b"COMM", 18, 1, frames, bits) + extended(rate)
    size = len(data) if length is None else length
    ssnd = struct.pack(">4sIII", b"SSND", size + 8, 0, 0) + data + b"\0" * (len(data) % 2)
    body = b"AIFF" + (ssnd + comm if sound_first else comm + ssnd)
    return b"FORM" + struct.pack(">I", len(body) if length is None else length + 46) + body


def caf(data: bytes, length: int | None = None) -> bytes:
    form = struct.pack(">d4sIIIII", 16000.0, b"lpcm", 2, 2, 1, 1, 16)
    size = 4 + len(data) if length is None else length
    return (
        b"caff\0\1\0\0desc"
        + struct.pack(">q", 32)
        + form
        + b"data"
        + struct.pack(">q", size)
        + b"\0" * 4
        + data
    )


def au(data: bytes, length: int | None = None, note: bytes = b"") -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">4sIIIII", b".snd", 24 + len(note), size, 3, 16000, 1) + note + data


def encoded(samples: int, rate: int, channels: int, container: str, subtype: str) -> bytes:
    """What libsndfile writes."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, noise(samples, channels), rate, format=container, subtype=subtype)
    return stream.getvalue()


def by_hand() -> Iterator[Odd]:
    """Headers that libsndfile never writes."""
    n = 2001
    data = pcm16(n)
    size = 36 + 2 * n
    streamed = {
        "sox": (0x7FFFF024, 0x7FFFF000),
        "arecord": (0x80000024, 0x80000000),
        "arecord-s24": (0x7FFFFFA4, 0x7FFFFF80),
        "ffmpeg": (0xFFFFFFFF, 0xFFFFFFFF),
        "killed": (0, 0),
        "killed, header of an empty file": (36, 0),
        "gstreamer": (0xFFFFFFFF, 0xFFFFFFDB),
        "eight too large": (size + 8, 2 * n),
        "riff unknown": (0xFFFFFFFF, 2 * n),
        "riff zero": (0, 2 * n),
    }
    for name, (riff, length) in streamed.items():
        yield Odd(f"streamed {name}.wav", wav(fmt(16), data, riff=riff, length=length), 16000, n)
    yield Odd("streamed stereo.wav", wav(fmt(16, 44100, 2), pcm16(n, 2), riff=0, length=0xFFFFFFFF), 44100, n)
    list_chunk = b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf60.16.100\0"
    yield Odd("ffmpeg.wav", wav(fmt(16), data, before=list_chunk), 16000, n)
    ffmpeg = wav(fmt(16), data, before=list_chunk, riff=0xFFFFFFFF, length=0xFFFFFFFF)
    yield Odd("ffmpeg to a pipe.wav", ffmpeg, 16000, n)
    yield Odd("half a sample more.wav", wav(fmt(16), data + b"x", riff=0, length=0xFFFFFFFF), 16000, n)
    yield Odd("begins with zeros.wav", wav(fmt(16), bytes(400) + data, riff=0, length=0), 16000, n + 200)
    chunks = {
        "LIST": b"LIST\x04\0\0\0INFO",
        "odd": b"note\x05\0\0\0hello\0",
        "bext": b"bext" + struct.pack("<I", 602) + bytes(602),
        "JUNK": b"JUNK" + struct.pack("<I", 28) + bytes(28),
        "PEAK": b"PEAK" + struct.pack("<II", 16, 1) + bytes(12),
        "cue ": b"cue " + struct.pack("<II", 4, 0),
        "id3 ": b"id3 \x0a\0\0\0ID3\3\0\0\0\0\0\0",
    }
    for name, chunk in chunks.items():
        for place in ("first", "before", "after"):
            if name == "PEAK" and place == "first":
                continue  # its size depends on what fmt says
            content = wav(fmt(16), data, **{place: chunk})  # type: ignore[arg-type]
            yield Odd(f"{name.strip()} {place}.wav", content, 16000, n)
    for bits, align in ((8, 1), (12, 2), (16, 2), (20, 3), (24, 3), (32, 4)):
        yield Odd(f"{bits} bits.wav", wav(fmt(bits), random_bytes(n * align)), 16000, n)
    for bits, valid, align in ((16, 12, 2), (24, 20, 3), (24, 24, 3), (32, 20, 4), (32, 24, 4)):
        content = wav(extensible(bits, valid, align), random_bytes(n * align))
        yield Odd(f"extensible {valid} of {bits}.wav", content, 16000, n)
    yield Odd("6 channels.wav", wav(extensible(16, 16, 12, 48000, 6), pcm16(n, 6)), 48000, n)
    yield Odd("extra bytes in fmt.wav", wav(fmt(16) + b"\0\0", data), 16000, n)
    yield Odd("tag behind.wav", wav(fmt(16), data) + b"TAG" + bytes(125), 16000, n)
    for rate in (1000, 5512, 7350, 11025, 12345, 37800, 44056, 192000, 384000):
        yield Odd(f"{rate} Hz.wav", wav(fmt(16, rate), data), rate, n)
    yield Odd("odd.aiff", aiff(n, 8, random_bytes(n)), 16000, n)
    yield Odd("sound first.aiff", aiff(n, 16, pcm16(n, order=">"), sound_first=True), 16000, n)
    yield Odd("streamed.aiff", aiff(0x7F000000 // 2, 16, pcm16(n, order=">"), length=0x7F000000), 16000, n)
    yield Odd("streamed.au", au(pcm16(n, order=">"), 0xFFFFFFFF), 16000, n)
    yield Odd("note.au", au(pcm16(n, order=">"), note=b"a note, eight or more\0\0\0"), 16000, n)
    yield Odd("streamed.caf", caf(data, -1), 16000, n)
    yield Odd("plain.caf", caf(data), 16000, n)
    yield from _compressed_by_hand()


def _compressed_by_hand() -> Iterator[Odd]:
    n = 6000
    flac = bytearray(encoded(n, 16000, 1, "FLAC", "PCM_16"))
    yield Odd("tag behind.flac", bytes(flac) + b"TAG" + bytes(125), 16000, n)
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    yield Odd("of unknown length.flac", bytes(flac), 16000, n)
    mp3 = encoded(n, 16000, 1, "MP3", "MPEG_LAYER_III")
    yield Odd("tag behind.mp3", mp3 + b"TAG" + bytes(125), 16000, n)
    yield Odd("tag before.mp3", b"ID3\3\0\0\0\0\1\x0a" + bytes(138) + mp3, 16000, n)
    ogg = encoded(n, 16000, 1, "OGG", "VORBIS")
    yield Odd("tag behind.ogg", ogg + b"TAG" + bytes(125), 16000, n)


WRITTEN = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "MS_ADPCM", "GSM610"),
    "WAVEX": ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW"),
    "RF64": ("PCM_16", "PCM_24", "FLOAT", "ULAW"),
    "W64": ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "ALAW"),
    "AIFF": ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    "AU": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW"),
    "CAF": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAC_16", "ALAC_24"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}
SHAPES = ((8000, 1), (16000, 1), (22050, 2), (44100, 1), (48000, 2), (48000, 6))


def written() -> Iterator[Odd]:
    """What libsndfile writes: each container and coding at some of the rates and channels that it allows."""
    shapes = itertools.cycle(SHAPES)
    for container, codings in WRITTEN.items():
        for coding in codings:
            for _ in range(4):
                rate, channels = next(shapes)
                if coding == "OPUS" and rate not in (8000, 16000, 48000):
                    rate = 48000
                if (coding, container) == ("MPEG_LAYER_III", "MP3") and channels > 2:
                    channels = 2
                if coding in ("MS_ADPCM", "ALAC_16", "ALAC_24") and channels > 2:
                    channels = 2
                if coding == "GSM610":
                    channels = 1
                samples = 3007 + 10 * channels
                content = encoded(samples, rate, channels, container, coding)
                name = f"{coding} {rate} {channels}.{container.lower()}"
                yield Odd(name, content, rate, samples)


def odd_recordings() -> list[Odd]:
    """All of them."""
    return [*by_hand(), *written()]
