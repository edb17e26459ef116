"""The fault campaign: it passes on sound firmware and sees what is wrong with unsound firmware."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from link_device import FakeDevice
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.check.soak import soak
from stapes.errors import LinkError, TargetError
from stapes.link.client import Client
from stapes.link.faults import FAULTS, FaultyStream, parse_faults
from stapes.link.frame import Receiver, encode
from stapes.link.messages import Message


class Echo:
    """A line that sends everything back."""

    def __init__(self) -> None:
        self.timeout: float | None = 0.0
        self.data = bytearray()

    @property
    def in_waiting(self) -> int:
        return len(self.data)

    def read(self, size: int = 1) -> bytes:
        data = bytes(self.data[:size])
        del self.data[:size]
        return data

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


def through(fault: str, contents: list[bytes], seed: int = 1) -> list[bytes | None]:
    """What arrives of the frames when every one of them is hit on its way there."""
    stream = Echo()
    faulty = FaultyStream(stream, (fault,), 1.0, seed)
    for content in contents:
        faulty.write(encode(content))
    return Receiver().feed(bytes(stream.data) + b"\0")


CONTENTS = [bytes([1, i, 3]) + bytes(range(40)) for i in range(50)]


def test_each_fault_does_what_it_says() -> None:
    assert through("drop", CONTENTS) == []
    assert through("duplicate", CONTENTS) == [content for content in CONTENTS for _ in range(2)]
    late = through("reorder", CONTENTS)
    assert sorted(frame for frame in late if frame) == sorted(CONTENTS)[: len(late)] and len(late) >= 49
    for fault in ("flip", "burst", "truncate"):
        arrived = through(fault, CONTENTS)
        assert None in arrived and set(arrived) - {None} <= set(CONTENTS)
    assert [frame for frame in through("garbage", CONTENTS) if frame] == CONTENTS
    assert None in through("garbage", CONTENTS)


def test_a_reset_sends_half_a_frame_and_a_reboot() -> None:
    arrived = through("reset", [b"\x07\x00\x03" + bytes(60)])
    assert arrived == [None, b"\x07\x00" + bytes([Message.REBOOT])]


def test_the_same_seed_does_the_same() -> None:
    assert through("burst", CONTENTS, seed=5) == through("burst", CONTENTS, seed=5)
    assert through("burst", CONTENTS, seed=5) != through("burst", CONTENTS, seed=6)


def test_names_of_faults() -> None:
    assert parse_faults("all") == FAULTS and parse_faults("none") == ()
    assert parse_faults("drop, flip") == ("drop", "flip")
    with pytest.raises(LinkError, match="unknown fault melt"):
        parse_faults("drop,melt")


HARMLESS = tuple(fault for fault in FAULTS if fault != "reset")


def test_a_sound_device_passes() -> None:
    report = soak(FakeDevice(), faults=HARMLESS, frames=4000, rate=0.02)
    assert report.passed and report.first_wrong == ""
    assert set(report.injected) == set(HARMLESS)
    assert report.frames >= 4000 and report.rounds > 5


def test_a_few_frames_are_hit_too() -> None:
    report = soak(FakeDevice(), faults=HARMLESS, frames=1, rate=0.2)
    assert report.rounds == 2 and sum(report.injected.values()) > 0 and report.throughput_ratio > 0


def test_a_result_that_changes_is_found() -> None:
    device = FakeDevice()
    device.lies_after = 200
    report = soak(device, faults=(), frames=3000)
    assert report.wrong_results_accepted > 0 and not report.passed and "round" in report.first_wrong


def test_a_request_carried_out_twice_is_found() -> None:
    device = FakeDevice()
    device.forgets_answers = True
    report = soak(device, faults=("duplicate", "drop"), frames=3000, rate=0.05)
    assert report.wrong_results_accepted > 0


def test_silence_is_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("timeout", "hello_timeout"):
        monkeypatch.setitem(Client.__init__.__kwdefaults__, name, 0.3)
    device = FakeDevice()
    device.silent_after = 300
    report = soak(device, faults=(), frames=620)
    assert report.hangs > 0 and "no answer" in report.first_wrong


def test_an_end_is_a_crash() -> None:
    device = FakeDevice()

    def end(data: bytes) -> bytes | None:
        if len(device.requests) > 300:
            raise TargetError("the target ended")
        return data

    device.on_request = end
    report = soak(device, faults=(), frames=5000)
    assert report.crashes == 1 and not report.passed


def test_soak_command_on_the_host(tmp_path: Path) -> None:
    from stapes.cli.link import app

    bundle = make_small_bundle(tmp_path / "bundle")
    out = tmp_path / "soak.json"
    arguments = [
        "soak",
        "--bundle",
        str(bundle.directory),
        "--out",
        str(tmp_path / "build"),
        "--json",
        str(out),
    ]
    result = CliRunner().invoke(app, [*arguments, "--target", "host", "--frames", "6000", "--rate", "0.03"])
    assert result.exit_code == 0, result.output
    told = json.loads(out.read_text())
    assert told["frames"] >= 6000
    assert (told["crashes"], told["hangs"], told["wrong_results_accepted"]) == (0, 0, 0)
    assert told["throughput_ratio"] > 0 and set(told["injected"]) == set(FAULTS)
    assert told["sessions_lost"] > 0
