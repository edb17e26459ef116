"""Decoding: what comes out, and one clear line for everything that can be wrong with a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stapes.datasets import read_audio
from stapes.errors import DataError

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def frequency(pcm: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * rate / len(pcm))


def test_samples_at_the_same_rate_are_those_of_the_file(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 32767, -32768, 1234], dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="PCM_16")
    found = read_audio(tmp_path / "a.wav", 16000)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_format_and_rate_gives_the_same_sound(tmp_path: Path, extension: str, rate: int) -> None:
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, tone(rate), rate)
    pcm = read_audio(path, 16000)
    assert abs(len(pcm) - 16000) <= 1
    assert abs(frequency(pcm, 16000) - 440.0) <= 1.0
    assert abs(np.abs(pcm[1000:-1000].astype(int)).max() - 16384) < 600


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16000), -0.5 * tone(16000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    expected = np.rint(0.25 * tone(16000) * 32768)
    assert np.abs(read_audio(tmp_path / "a.wav", 16000) - expected).max() <= 1


def test_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([2.0, -2.0, 1.0]), 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", 16000), [32767, -32768, 32767])


def test_speed_changes_duration_and_pitch(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000), 16000)
    fast = read_audio(tmp_path / "a.wav", 16000, speed=1.25)
    assert abs(len(fast) - 12800) <= 1
    assert abs(frequency(fast, 16000) - 550.0) <= 1.5


def test_mono_16_bit_wav_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16000), 16000)
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"  # as a program writes that cannot seek back
    path.write_bytes(content)
    assert len(read_audio(path, 16000)) == 16000


def bad_files(directory: Path) -> dict[str, Path]:
    whole = {}
    for extension in ("wav", "flac", "ogg"):
        path = directory / f"whole.{extension}"
        soundfile.write(path, tone(16000, 3.0) + 0.1 * np.random.default_rng(1).normal(size=48000), 16000)
        whole[extension] = path.read_bytes()
    content = {
        "empty.ogg": b"",
        "noise.wav": bytes(range(256)) * 20,
        "text.flac": b"not a recording\n",
        "truncated.wav": whole["wav"][: len(whole["wav"]) // 2],
        "truncated.flac": whole["flac"][: len(whole["flac"]) // 2],
        "truncated.ogg": whole["ogg"][: len(whole["ogg"]) // 2],
        "header only.wav": whole["wav"][:44],
        "damaged.flac": whole["flac"][:200] + b"\xaa" * 4000 + whole["flac"][4200:],
    }
    for name, data in content.items():
        (directory / name).write_bytes(data)
    soundfile.write(directory / "no samples.wav", np.zeros(0), 16000)
    soundfile.write(directory / "not a number.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    return {
        name: directory / name for name in (*content, "no samples.wav", "not a number.wav", "missing.wav")
    }


def test_every_bad_file_is_one_line_with_its_path(tmp_path: Path) -> None:
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(DataError) as caught:
            read_audio(path, 16000)
            pytest.fail(f"{name} was read")
        assert str(path) in caught.value.message
        assert "\n" not in str(caught.value)
        assert caught.value.hint


def test_missing_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from stapes.errors import ToolError

    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ToolError, match="pip install stapes"):
        read_audio(tmp_path / "a.wav", 16000)
