"""What the structure of an audio file says of its length, and whether all of it is there.

Decoders give what they find and say nothing of what is missing, so the containers are walked here: a hole, an end that
is missing, and a length that the writing program did not know are three things.
"""

from __future__ import annotations

import io
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

_MOST_CHUNKS = 10_000
_PCM = bytes.fromhex("0100000000001000800000aa00389b71")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, by index; MPEG-1 and later ones."""
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


@dataclass(frozen=True)
class Layout:
    """What was found. `problem` says what is wrong (empty: nothing is).

    `frames` is the count of samples a channel that the container gives beside the coded data: block codecs fill up
    their last block. `least`: so many are there for certain, and a decoder that claims fewer would leave some out.
    `unknown`: the program that wrote the file did not know its length, so it ends where it ends.
    `patch` are bytes, by place, that a decoder must see instead of those in the file.
    """

    problem: str = ""
    frames: int | None = None
    least: int = 0
    unknown: bool = False
    patch: Mapping[int, bytes] = field(default_factory=dict)


def inspect(path: Path) -> Layout:
    """Walk the structure of the file `path`; an unknown one has no problem. Raises `OSError`."""
    status = path.stat()
    return _inspect(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _inspect(path: Path, size: int, modified: int) -> Layout:
    with path.open("rb") as stream:
        magic = stream.read(16)
        for beginning, walk in _WALKS:
            if magic.startswith(beginning):
                try:
                    return walk(stream, size)
                except struct.error:
                    return _cut()
    return Layout()


class Patched(io.RawIOBase):
    """A file as its decoder must see it: some bytes are others. Read only."""

    def __init__(self, path: Path, patch: Mapping[int, bytes]) -> None:
        self._file = path.open("rb")
        self._patch = patch

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As for a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As for a file."""
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As for a file."""
        at = self._file.tell()
        count = self._file.readinto(buffer)
        for place, content in self._patch.items():
            for index, value in enumerate(content, start=place - at):
                if 0 <= index < count:
                    buffer[index : index + 1] = bytes([value])
        return count

    def close(self) -> None:
        """As for a file."""
        self._file.close()
        super().close()


def _cut() -> Layout:
    return Layout("is truncated (its end is missing)")


def _is_unknown(length: int) -> bool:
    """Whether a 32-bit length is what programs write that cannot seek back (sox, arecord, ffmpeg)."""
    return 0x7EFF0000 <= length <= 0x80000000 or length >= 0xFFFF0000


def _chunks(
    stream: BinaryIO, size: int, header: str, first: int, align: int = 2
) -> Iterator[tuple[bytes, int, int]]:
    """Name, place of the content and length of each chunk; a chunk that says nothing ends the walk."""
    at, width = first, struct.calcsize(header)
    for _ in range(_MOST_CHUNKS):
        if at + width > size:
            return
        stream.seek(at)
        name, length = struct.unpack(header, stream.read(width))
        yield name, at + width, length
        at += width + length + -length % align


def _riff(stream: BinaryIO, size: int) -> Layout:
    stream.seek(0)
    magic, declared, _ = struct.unpack("<4sI4s", stream.read(12))
    order = ">" if magic == b"RIFX" else "<"
    (declared,) = struct.unpack(f"{order}I", struct.pack("<I", declared))
    frames, long = None, None
    for name, at, length in _chunks(stream, size, f"{order}4sI", 12):
        if name == b"ds64":
            _, long = struct.unpack("<QQ", stream.read(16))
        elif name == b"fmt ":
            problem = _wave_format(stream.read(min(length, 40)), order)
            if problem:
                return Layout(problem)
        elif name == b"fact" and length >= 4:
            (frames,) = struct.unpack(f"{order}I", stream.read(4))
        elif name == b"data":
            there = size - at
            if magic in (b"RF64", b"BW64") and length == 0xFFFFFFFF and long is not None:
                return _cut() if there < long else Layout(frames=frames)
            if there < length:
                return Layout(unknown=True) if _is_unknown(length) else _cut()
            if length == 0 and there and not _is_chunk(stream.read(8), there, order):
                return Layout(unknown=True, patch={at - 4: b"\xff\xff\xff\xff"})
            return Layout(frames=frames)
    return Layout() if declared + 8 <= size or _is_unknown(declared) else _cut()


def _is_chunk(header: bytes, there: int, order: str) -> bool:
    """Whether the next chunk begins here, of `there` bytes at most."""
    name, length = struct.unpack(f"{order}4sI", header) if len(header) == 8 else (b"", 0)
    return bool(name.isascii() and name.decode().isprintable() and 8 + length <= there)


def _wave_format(content: bytes, order: str) -> str:
    """What keeps PCM of a `fmt ` chunk from being read right; empty: nothing."""
    tag, channels, _, _, align, bits = struct.unpack(f"{order}HHIIHH", content[:16])
    if (tag != 1 and not (tag == 0xFFFE and content[24:40] == _PCM)) or not channels:
        return ""
    if align != channels * -(-bits // 8):
        return (
            f"has {bits}-bit samples in blocks of {align / channels:g} bytes: where in them the bits are is not "
            f"certain (write {bits} bits in {-(-bits // 8)} bytes, or 32 bits)"
        )
    return ""


def _wave64(stream: BinaryIO, size: int) -> Layout:
    frames = None
    at = 40
    for _ in range(_MOST_CHUNKS):
        if at + 24 > size:
            break
        stream.seek(at)
        name, length = struct.unpack("<16sQ", stream.read(24))
        if name == b"fact" + _W64_TAIL:
            (frames,) = struct.unpack("<Q", stream.read(8))
        if name == b"fmt " + _W64_TAIL:
            problem = _wave_format(stream.read(min(length, 40)), "<")
            if problem:
                return Layout(problem)
        if name == b"data" + _W64_TAIL:
            return _cut() if at + length > size else Layout(frames=frames)
        at += max(24, length + -length % 8)
    return _cut()


def _aiff(stream: BinaryIO, size: int) -> Layout:
    for name, at, length in _chunks(stream, size, ">4sI", 12):
        if name == b"SSND" and size - at < length:
            return Layout(unknown=True) if _is_unknown(length) else _cut()
        if name == b"SSND":
            return Layout()
    return _cut()


def _au(stream: BinaryIO, size: int) -> Layout:
    stream.seek(0)
    content = stream.read(12)
    order = ">" if content[:4] == b".snd" else "<"
    start, length = struct.unpack(f"{order}II", content[4:])
    if length == 0xFFFFFFFF:
        return Layout(unknown=True)
    return _cut() if size - start < length else Layout()


def _caf(stream: BinaryIO, size: int) -> Layout:
    for name, at, length in _chunks(stream, size, ">4sq", 8, align=1):
        if name == b"data":
            if length == -1:
                return Layout(unknown=True, patch={at - 8: struct.pack(">q", size - at)})
            return _cut() if size - at < length else Layout()
        if length < 0:
            break
    return Layout()


def _flac(stream: BinaryIO, size: int) -> Layout:
    stream.seek(8)
    content = stream.read(18)
    (total,) = struct.unpack(">Q", content[10:18])
    return Layout(unknown=total & 0xFFFFFFFFF == 0)


def _ogg(stream: BinaryIO, size: int) -> Layout:
    following: dict[bytes, int] = {}
    running: set[bytes] = set()
    at, has_ended = 0, False
    while at < size:
        stream.seek(at)
        head = stream.read(27)
        if head[:4] != b"OggS" and has_ended and not running:
            break  # a tag behind it
        if len(head) < 27:
            return _cut()
        if head[:4] != b"OggS":
            return Layout(f"is damaged: no Ogg page at byte {at:,}")
        flags, serial, number = head[5], head[14:18], int.from_bytes(head[18:22], "little")
        lengths = stream.read(head[26])
        end = at + 27 + head[26] + sum(lengths)
        if flags & 2 and has_ended:
            return Layout(f"is several Ogg streams, one after the other (the second from byte {at:,})")
        if not flags & 2 and number != following.get(serial, number):
            lost = (number - following[serial]) % (1 << 32)
            return Layout(f"has a hole: {lost:,} Ogg pages are missing at byte {at:,}")
        if end > size:
            return _cut()
        # A decoder leaves a damaged page out, and takes what follows the first one for the beginning.
        page = head[:22] + bytes(4) + head[26:] + lengths + stream.read(end - at - 27 - head[26])
        if _ogg_checksum(page) != int.from_bytes(head[22:26], "little"):
            return Layout(f"is damaged: the Ogg page at byte {at:,} has a wrong checksum")
        following[serial] = (number + 1) % (1 << 32)
        running = running - {serial} if flags & 4 else running | {serial}
        has_ended = has_ended or bool(flags & 4)
        at = end
    return _cut() if running else Layout()


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of polynomial 0x04C11DB7 from 0, highest bit first: zlib's, with the bits of everything turned round."""
    turned = zlib.crc32(page.translate(_TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


def _mp3(stream: BinaryIO, size: int) -> Layout:
    """Layer III only: frames are counted, and what its header counted must agree."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _mp3_frames(content, size)


def _mp3_frames(content: mmap.mmap, size: int) -> Layout:
    at = 0
    while content[at : at + 3] == b"ID3" and len(content) >= at + 10:
        a, b, c, d = content[at + 6 : at + 10]
        at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if content[at + 5] & 16 else 0)
    first, count, samples = at, 0, 0
    while (found := _mp3_frame(content[at : at + 4])) is not None:
        length, samples = found
        count += 1
        at += length
    if count < 2:
        return Layout()
    if at > size:
        return _cut()
    beginning = content[first : first + 200]
    place = max(beginning.find(b"Xing"), beginning.find(b"Info"))
    if place < 0 or not beginning[place + 7] & 1:
        return Layout(least=(count - 2) * samples)  # its encoder's delay may be cut off
    (promised,) = struct.unpack(">I", beginning[place + 8 : place + 12])
    if promised > count and at < size - 1:
        return Layout(f"has a hole: no MP3 frame at byte {at:,}")
    if promised > count:
        return _cut()
    if promised < count - 1:
        return Layout(f"holds {count:,} MP3 frames, its header says {promised:,}")
    return Layout()


def _mp3_frame(header: bytes) -> tuple[int, int] | None:
    """Bytes and samples of the frame that begins so; None: no frame of layer III begins so."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, index, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or index in (0, 15) or rate == 3:
        return None
    samples = 1152 if version == 3 else 576
    kbits = _KBITS[1 if version == 3 else 2][index]
    return samples // 8 * kbits * 1000 // _MP3_RATES[version][rate] + (header[2] >> 1 & 1), samples


_WALKS: tuple[tuple[bytes, Callable[[BinaryIO, int], Layout]], ...] = (
    *((magic, _riff) for magic in (b"RIFF", b"RIFX", b"RF64", b"BW64")),
    (b"riff\x2e\x91\xcf\x11", _wave64),
    (b"FORM", _aiff),
    (b".snd", _au),
    (b"dns.", _au),
    (b"caff", _caf),
    (b"fLaC", _flac),
    (b"OggS", _ogg),
    (b"ID3", _mp3),
    (b"\xff", _mp3),
)
