"""Recordings as strangers' programs write them: each is read to its true number of samples, or named."""

from __future__ import annotations

import hashlib
import math
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from odd_recordings import aiff, au, caf, encoded, extensible, fmt, noise, odd_recordings, pcm16, wav

from stapes.datasets import Span, audio_info, read_audio
from stapes.datasets.audio import audio_blocks
from stapes.datasets.recording import recorded_clip
from stapes.errors import DataError

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")


def test_200_odd_recordings_are_read_to_the_right_number_of_samples(tmp_path: Path) -> None:
    odd = odd_recordings()
    assert len(odd) >= 200
    assert len({each.name for each in odd}) >= 200
    wrong = []
    for each in odd:
        path = tmp_path / each.name
        path.write_bytes(each.content)
        try:
            info = audio_info(path)
            whole = read_audio(path, each.rate)
            found = (
                info.sample_rate,
                round(info.seconds * each.rate),
                len(whole),
                sum(map(len, audio_blocks(path, each.rate, 0.07))),
                len(read_audio(path, each.rate, span=Span(500 / each.rate, 1500 / each.rate))),
            )
        except DataError as error:
            wrong.append(f"{each.name}: {error}")
            continue
        if found != (each.rate, each.samples, each.samples, each.samples, 1000):
            wrong.append(f"{each.name}: {found}, not {each.samples} samples")
        if not whole.any():
            wrong.append(f"{each.name}: silence")
    assert not wrong, "\n".join(wrong)


def test_blocks_and_spans_of_odd_recordings_are_those_of_the_whole(tmp_path: Path) -> None:
    for each in odd_recordings():
        path = tmp_path / each.name
        path.write_bytes(each.content)
        whole = read_audio(path, each.rate).astype(int)
        blocks = np.concatenate([*audio_blocks(path, each.rate, 0.05)])
        part = read_audio(path, each.rate, span=Span(700 / each.rate, 1900 / each.rate))
        # An MP3 decoder rounds by how much it is asked for at a time.
        assert np.abs(blocks - whole).max() <= 1, each.name
        assert np.abs(part - whole[700:1900]).max() <= 1, each.name


def _flac_that_claims(total: int) -> bytes:
    content = bytearray(encoded(6000, 16000, 1, "FLAC", "PCM_16"))
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    return bytes(content)


def _ogg_without(first: int, last: int, coding: str = "VORBIS") -> bytes:
    content = encoded(160000, 16000, 1, "OGG", coding)
    starts = [match.start() for match in re.finditer(b"OggS", content)]
    return content[: starts[first]] + content[starts[last] :]


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def _without_its_first_frame(mp3: bytes) -> bytes:
    return mp3[mp3.index(mp3[:2], 4) :]


def _loud_and_quiet() -> bytes:
    """An MP3 whose frames differ in size."""
    import io

    stream = io.BytesIO()
    samples = np.concatenate(
        [noise(48000) * 0.001, noise(48000), np.sin(np.arange(48000) * 0.1)[:, None] / 2]
    )
    soundfile.write(stream, samples, 16000, format="MP3", bitrate_mode="VARIABLE")
    return stream.getvalue()


def bad() -> dict[str, tuple[bytes, str]]:
    n = 2001
    cut = "is truncated"
    halves = {
        f"cut {coding}.{container.lower()}": encoded(6000, 16000, 1, container, coding)
        for container, coding in (
            ("WAV", "PCM_16"), ("WAV", "MS_ADPCM"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", "PCM_16"),
            ("AIFF", "PCM_16"), ("AIFF", "ULAW"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("OGG", "VORBIS"),
            ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
        )
    }  # fmt: skip
    mp3 = _loud_and_quiet()
    ogg = encoded(32000, 16000, 1, "OGG", "VORBIS")
    return {name: (content[: len(content) // 2], cut) for name, content in halves.items()} | {
        "a page more.wav": (wav(fmt(16), pcm16(n), length=2 * n + 4096), cut),
        "of 3 GB.wav": (wav(fmt(16), pcm16(n), riff=0xB0000024, length=0xB0000000), cut),
        "by a byte.wav": (wav(fmt(16), pcm16(n))[:-1], cut),
        "by a byte.aiff": (aiff(n, 16, pcm16(n))[:-1], cut),
        "by a byte.au": (au(pcm16(n))[:-1], cut),
        "by a byte.caf": (caf(pcm16(n))[:-1], cut),
        "claims 36 bits.flac": (
            _flac_that_claims((1 << 36) - 1),
            "of 68,719,476,735 samples 6,000 can be decoded",
        ),
        "claims a little.flac": (_flac_that_claims(6001), "of 6,001 samples 6,000 can be decoded"),
        "hole.ogg": (_ogg_without(4, 6), "has a hole: 2 Ogg pages are missing at byte "),
        "hole.opus": (_ogg_without(4, 5, "OPUS"), "has a hole: 1 Ogg pages are missing at byte "),
        "bit.ogg": (_flipped(ogg, len(ogg) // 2), "is damaged: the Ogg page at byte "),
        "bit near the end.ogg": (_flipped(ogg, len(ogg) - 99), "is damaged: the Ogg page at byte "),
        "rubbish.ogg": (ogg[:9000] + bytes(500) + ogg[9500:], "is damaged"),
        "two.ogg": (ogg + ogg, "is several Ogg streams, one after the other"),
        "hole.mp3": (mp3[: len(mp3) // 3] + mp3[len(mp3) // 2 + 1 :], "has a hole: no MP3 frame at byte "),
        "no length.mp3": (_without_its_first_frame(mp3), "its header does not tell its length"),
        "two.mp3": (mp3 + mp3, " MP3 frames, its header says "),
        "1 Hz.wav": (wav(fmt(16, 1), pcm16(n)), "its header says 1 Hz, outside of 1,000 to 1,000,000 Hz"),
        "1 GHz.wav": (wav(fmt(16, 1 << 30), pcm16(n)), "its header says 1,073,741,824 Hz"),
        "24 in 4.wav": (wav(fmt(24, align=4), bytes(4 * n)), "has 24-bit samples in blocks of 4 bytes"),
        "24 in 4, extensible.wav": (
            wav(extensible(24, 24, 4), bytes(4 * n)),
            "has 24-bit samples in blocks of 4",
        ),
        "empty, with a list.wav": (wav(fmt(16), b"", after=b"LIST\4\0\0\0INFO"), "holds no samples"),
        "antiphase.wav": (
            wav(fmt(16, channels=2), (noise(n) * [[30000, -30000]]).astype("<i2").tobytes()),
            "its 2 channels cancel each other",
        ),
    }


def test_bad_recordings_are_one_line_with_file_and_cause(tmp_path: Path) -> None:
    for name, (content, cause) in bad().items():
        path = tmp_path / name
        path.write_bytes(content)
        for read in (read_audio, lambda path, rate: [*audio_blocks(path, rate)]):
            with pytest.raises(DataError) as caught:
                read(path, 16000)
                pytest.fail(f"{name} was read")
            assert caught.value.message.startswith(f"{path}: "), name
            assert cause in caught.value.message, name
            assert "\n" not in str(caught.value)


def test_memory_is_that_of_what_is_there(tmp_path: Path) -> None:
    """A header of 144 GiB and one of 64 channels ask for no memory."""
    import resource

    (tmp_path / "a.flac").write_bytes(_flac_that_claims((1 << 36) - 1))
    (tmp_path / "b.wav").write_bytes(wav(fmt(16, 1_000_000, 64), pcm16(200, 64)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="can be decoded"):
        read_audio(tmp_path / "a.flac", 16000)
    with pytest.raises(DataError, match=r"its header promises 68,719,476,735 samples"):
        audio_info(tmp_path / "a.flac")
    assert len(read_audio(tmp_path / "b.wav", 1_000_000)) == 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_files_that_are_none_are_not_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"a\.wav: is no file"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("difference", [0.0, 0.02, 0.5, 1.0])
def test_only_channels_that_cancel_are_refused(tmp_path: Path, difference: float) -> None:
    one, other = noise(4000)[:, 0], noise(4001)[:4000, 0]
    soundfile.write(tmp_path / "a.wav", np.stack([one, difference * other - one], 1), 16000)
    if difference < 0.1:
        with pytest.raises(DataError, match="cancel each other"):
            read_audio(tmp_path / "a.wav", 16000)
    else:
        level = math.sqrt(np.square(read_audio(tmp_path / "a.wav", 16000) / 32768).mean())
        assert level == pytest.approx(difference * 0.3 / math.sqrt(3) / 2, rel=0.05)


def test_one_channel_of_many_and_silence_are_read(tmp_path: Path) -> None:
    samples = np.zeros((4000, 64))
    samples[:, 17] = noise(4000)[:, 0]
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    assert read_audio(tmp_path / "a.wav", 16000).any()
    soundfile.write(tmp_path / "b.wav", 0 * samples, 16000)
    assert not read_audio(tmp_path / "b.wav", 16000).any()


def test_spans_outside_of_a_recording(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(fmt(16), pcm16(16000)))
    assert len(read_audio(tmp_path / "a.wav", 16000, span=Span(0.5, 1.4))) == 8000, "labels are rounded"
    for span, cause in (
        (Span(0.5, 1.6), "lies outside of its 1.000 s"),
        (Span(1.0, 1.2), "lies outside of its 1.000 s"),
        (Span(0.5, 0.5), "is a point"),
    ):
        with pytest.raises(DataError, match=cause):
            read_audio(tmp_path / "a.wav", 16000, span=span)


def test_hashing_a_recording_does_not_read_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(fmt(16), bytes(48 << 20)))
    clip = recorded_clip(path, name="a", label="x", fold=1, sample_rate=16000)
    tracemalloc.start()
    found = clip.identity()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == hashlib.sha256(path.read_bytes()).hexdigest()
    assert most < 4 << 20
