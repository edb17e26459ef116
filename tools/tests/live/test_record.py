"""`stapes record` on the host and an emulator: what is recorded is what was heard, and what is lost is marked."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.datasets.audacity import read_label_track
from stapes.device import prepare_recorder
from stapes.errors import LinkError, StapesError, ToolError
from stapes.link import Client
from stapes.link.faults import FaultyStream
from stapes.link.record import LineCapacity, RecordClient
from stapes.live.record import Labels, Recorder
from stapes.live.wav import WavWriter
from stapes.targets import Stream, open_target, require_target, stand_in

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

RATE = 16000
SECONDS = float(os.environ.get("STAPES_RECORD_SECONDS", "60"))


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds of noise, so that every place in them is known."""
    path = tmp_path_factory.mktemp("heard") / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).integers(-20000, 20000, 7 * RATE).astype(np.int16), RATE)
    return path


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


def pcm_of(path: Path) -> npt.NDArray[np.int16]:
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return np.asarray(pcm)


def expected(heard: Path, count: int, losses: list[dict[str, int]]) -> npt.NDArray[np.int16]:
    """What a file of `count` samples must hold: the sound again and again, without what was lost."""
    index = np.arange(count, dtype=np.int64)
    for loss in losses:
        index[loss["at"] :] += loss["samples"]
    return pcm_of(heard)[index % (7 * RATE)]


class StallingStream:
    """A line on which nothing moves for a while, every so many answers."""

    def __init__(self, stream: Stream, every: int, seconds: float) -> None:
        self._stream, self._every, self._seconds, self._count = stream, every, seconds, 0
        self.timeout: float | None = 1.0

    @property
    def in_waiting(self) -> int:
        return self._stream.in_waiting

    def write(self, data: bytes, /) -> int | None:
        self._count += 1
        if self._count % self._every == 0:
            time.sleep(self._seconds)
        return self._stream.write(data)

    def read(self, size: int = 1) -> bytes:
        self._stream.timeout = self.timeout
        return self._stream.read(size)


def recorded(stream: Stream, directory: Path, seconds: float) -> tuple[Recorder, dict[str, object]]:
    client = RecordClient(stream)
    hello = client.hello()
    recorder = Recorder(client, hello, directory, RATE)
    try:
        while recorder.step(round(seconds * RATE)):
            pass
    finally:
        recorder.close()
    return recorder, json.loads(recorder.sidecar.read_text())


@pytest.mark.timeout(600 + SECONDS)
def test_a_long_recording_loses_nothing(heard: Path, build: Path, tmp_path: Path) -> None:
    """As fast as it goes, however busy the computer is: `STAPES_RECORD_SECONDS=3600` makes it an hour, in minutes."""
    built = prepare_recorder("host", build)
    assert built is not None
    with (
        stand_in(heard, RATE, speed=1000) as microphone,
        open_target("host", built.elf, microphone=microphone) as line,
    ):
        begin = time.monotonic()
        recorder, known = recorded(line, tmp_path, SECONDS)
        spent = time.monotonic() - begin
    assert known["lost_samples"] == 0 and known["whole"]
    count = round(SECONDS * RATE)
    assert known["samples"] == count
    with wave.open(str(recorder.path)) as file:
        assert file.getnframes() == count
        for at in range(0, count, 7 * RATE):
            piece = np.frombuffer(file.readframes(7 * RATE), "<i2")
            assert np.array_equal(piece, pcm_of(heard)[: len(piece)]), f"other samples from {at} on"
    print(f"{count:,} samples, 0 lost, {SECONDS / spent:.0f} times real time, {known['line']}")


def test_damage_on_the_line_is_repaired(heard: Path, build: Path, tmp_path: Path) -> None:
    built = prepare_recorder("host", build)
    assert built is not None
    with stand_in(heard, RATE) as microphone, open_target("host", built.elf, microphone=microphone) as line:
        faulty = FaultyStream(line, ("flip", "drop", "duplicate", "truncate", "burst", "garbage"), 0.0)
        client = RecordClient(faulty)
        recorder = Recorder(client, client.hello(), tmp_path, RATE)
        faulty.rate = 0.15
        while recorder.step(3 * RATE):
            pass
        recorder.close()
    known = json.loads(recorder.sidecar.read_text())
    assert sum(faulty.injected.values()) > 10 and known["line"]["retries"] > 5
    assert np.array_equal(pcm_of(recorder.path), expected(heard, 3 * RATE, known["losses"]))


def test_what_is_lost_is_marked_and_not_filled(heard: Path, build: Path, tmp_path: Path) -> None:
    built = prepare_recorder("host", build)
    assert built is not None
    with stand_in(heard, RATE) as microphone, open_target("host", built.elf, microphone=microphone) as line:
        recorder, known = recorded(StallingStream(line, 20, 0.6), tmp_path, 3.0)
    assert isinstance(known["losses"], list) and len(known["losses"]) >= 1
    assert all(loss["samples"] > 0.2 * RATE for loss in known["losses"]), (
        "the device keeps a quarter of a second"
    )
    assert known["lost_samples"] == sum(loss["samples"] for loss in known["losses"])
    pcm = pcm_of(recorder.path)
    assert len(pcm) == known["samples"] == 3 * RATE
    assert np.array_equal(pcm, expected(heard, 3 * RATE, known["losses"]))
    track = recorder.track.read_text().splitlines()
    assert [line.split("\t")[2] for line in track] == [
        f"({loss['samples']} samples lost)" for loss in known["losses"]
    ]
    assert read_label_track(recorder.track) == []


def test_the_command_writes_sound_what_is_known_and_labels(heard: Path, build: Path, tmp_path: Path) -> None:
    out = tmp_path / "über all"
    result = CliRunner().invoke(
        app,
        ["record", "--target", "host", "--microphone", str(heard), "--out", str(out), "--seconds", "0.5",
         "--label", "Türglocke", "--build", str(build), "--json", str(tmp_path / "r.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (path,) = out.glob("*.wav")
    assert "0 samples lost" in result.output
    with soundfile.SoundFile(path) as file:  # as another program reads it
        assert (file.samplerate, file.channels, file.subtype) == (RATE, 1, "PCM_16")
        assert file.comment == "board host, gain 1 (0.0 dB), 16000 Hz" and file.artist == "host"
        assert file.software.startswith("stapes ") and file.date.startswith("20")
    assert np.array_equal(pcm_of(path), pcm_of(heard)[: RATE // 2])
    (label,) = read_label_track(path.with_suffix(".txt"))
    assert (label.text, label.span.start, label.span.end) == ("Türglocke", 0.0, 0.5)
    known = json.loads(path.with_suffix(".json").read_text())
    assert known["board"] == "host" and known["gain"] == 1.0 and known["whole"]
    assert json.loads((tmp_path / "r.json").read_text())["path"] == str(path)


@pytest.mark.parametrize(("number", "length", "status"), [
    (signal.SIGINT, [], 0), (signal.SIGINT, ["--seconds", "60"], 130), (signal.SIGTERM, [], 143),
])  # fmt: skip
def test_whatever_ends_it_the_recording_is_whole(
    number: int, length: list[str], status: int, heard: Path, build: Path, tmp_path: Path
) -> None:
    """In a terminal, with keys: 1 begins a label, 2 another, 0 ends it."""
    prepare_recorder("host", build)
    here, there = pty.openpty()
    command = [sys.executable, "-m", "stapes", "record", "--target", "host", "--microphone", str(heard)]
    command += ["--out", str(tmp_path), "--labels", "bell,dog", "--build", str(build), *length]
    run = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 4000 for path in tmp_path.glob("*.wav")):
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.05)
        for key in (b"1", b"2", b"0"):
            os.write(here, key)
            time.sleep(0.3)
        run.send_signal(number)
        assert run.wait(30) == status
    finally:
        run.kill()
        run.wait()
        os.close(there)
        os.close(here)
    (path,) = tmp_path.glob("*.wav")
    pcm = pcm_of(path)
    known = json.loads(path.with_suffix(".json").read_text())
    assert len(pcm) == known["samples"] > RATE // 2
    assert known["whole"] == (status == 0)
    assert np.array_equal(pcm, expected(heard, len(pcm), known["losses"]))
    labels = read_label_track(path.with_suffix(".txt"))
    assert [label.text for label in labels] == ["bell", "dog"]
    assert (
        0.2 < labels[0].span.end - labels[0].span.start < 3.0 and labels[0].span.end == labels[1].span.start
    )


def test_an_emulated_core_records_its_stand_in(heard: Path, build: Path, tmp_path: Path) -> None:
    target = "qemu:mps2-an386"
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    built = prepare_recorder(target, build)
    assert built is not None
    with stand_in(heard, RATE) as microphone, open_target(target, built.elf, microphone=microphone) as line:
        recorder, known = recorded(line, tmp_path, 1.0)
    assert np.array_equal(pcm_of(recorder.path), expected(heard, RATE, known["losses"]))  # type: ignore[arg-type]
    assert known["board"] == "mps2_an386"


def test_a_line_that_is_too_slow_is_refused(heard: Path, build: Path, tmp_path: Path) -> None:
    """A port whose device knows one speed only: a pseudo-terminal, opened as boards are."""
    built = prepare_recorder("host", build)
    assert built is not None
    device = subprocess.Popen([str(built.elf)], stdout=subprocess.PIPE, text=True)
    try:
        assert device.stdout is not None
        name = device.stdout.readline().strip()
        result = CliRunner().invoke(app, ["record", "--port", name, "--out", str(tmp_path / "out")])
    finally:
        device.kill()
        device.wait()
        device.stdout.close()
    assert isinstance(result.exception, LinkError), result.output
    assert result.exception.message.startswith("the line at 115200 baud carries 5,")
    assert "16000 Hz fit a line of 460800 baud" in result.exception.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("baud", "rate", "fits"), [
    (921600, 16000, True), (921600, 32000, True), (921600, 48000, False), (230400, 8000, True), (115200, 8000, False),
])  # fmt: skip
def test_what_fits_a_line(baud: int, rate: int, fits: bool) -> None:
    capacity = LineCapacity(samples=960, message_bytes=1960, turnaround=0.001, baud=baud)
    if fits:
        capacity.require(rate)
    else:
        with pytest.raises(LinkError, match="samples a second"):
            capacity.require(rate)


def test_a_recorder_is_no_network(build: Path) -> None:
    built = prepare_recorder("host", build)
    assert built is not None
    with open_target("host", built.elf) as line:
        with pytest.raises(LinkError, match="runs the recorder, which has no network"):
            Client(line).hello()
        client = RecordClient(line)
        client.hello()
        with pytest.raises(LinkError, match="host has no microphone"):
            client.start(RATE)
        with pytest.raises(LinkError, match="STAPES_E_STATE"):
            client.samples()


@pytest.mark.parametrize(("arguments", "reason"), [
    ([], "has no microphone"),
    (["--target", "qemu:netduinoplus2", "--microphone", "x.wav"], "no recording can stand in"),
    (["--port", "auto", "--microphone", "x.wav"], "has a microphone of its own"),
    (["--microphone", "/nowhere.wav"], "/nowhere.wav"),
    (["--label", "a", "--labels", "b"], "leave one out"),
    (["--label", " "], "--label is empty"),
    (["--labels", "a,,b"], "one to nine names"),
    (["--bundle", "/nowhere"], "/nowhere"),
])  # fmt: skip
def test_wrong_use_is_one_line(arguments: list[str], reason: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["record", "--out", str(tmp_path / "out"), *arguments])
    assert isinstance(result.exception, StapesError), result.output
    assert reason in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_keys_put_labels_down() -> None:
    labels = Labels(("bell", "dog"))
    for key, at in (
        ("1", 10),
        ("1", 20),
        ("2", 30),
        ("1", 40),
        ("9", 45),
        ("x", 46),
        ("0", 50),
        ("0", 60),
        ("2", 70),
    ):
        labels.press(key, at)
    assert labels.done == [(10, 20, "bell"), (30, 40, "dog"), (40, 50, "bell")] and labels.open == (70, "dog")


def test_a_wav_is_whole_after_every_write(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", 8000, {"ICMT": "odd"})
    for count in range(4):
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert (file.getnframes(), file.getframerate()) == (100 * count, 8000)
        writer.add(np.full(100, count, np.int16))
    writer._file.write(b"half of a write that was interrupted")
    writer.close()
    assert len(soundfile.read(tmp_path / "a.wav")[0]) == 400
