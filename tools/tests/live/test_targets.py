"""The whole live application on the host and on a core under emulation, and what `stapes bench live` says of it."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest
from live_bundle import make_live_bundle
from typer.testing import CliRunner

from stapes.bench import bench_live
from stapes.cli.app import app
from stapes.errors import LinkError, ToolError
from stapes.link import Fault, LiveClient, Raise
from stapes.live import listening
from stapes.recipe import LiveSpec
from stapes.targets import require_target


def silence(path: Path) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(bytes(32000))
    return path


def test_events_of_the_application_are_those_of_python(tmp_path: Path) -> None:
    target = "qemu:netduinoplus2"
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    bundle = make_live_bundle(tmp_path / "bundle", LiveSpec(threshold=0.3, gate=True), seed=4)
    result = bench_live(bundle, target, tmp_path / "build", seconds=3.0)
    assert result["sliding_equals_scratch"] is True
    assert result["events_equal_to_python"] is True
    assert result["dropped_samples"] == 0
    assert result["windows"] > 10 and result["events"] > 2
    assert 0 < result["instructions_per_hop_ideal"] < result["instructions_per_hop"]
    assert result["instructions_per_hop"] < result["instructions_per_window_from_scratch"]
    assert 0 < result["worst_step_instructions"] < result["instructions_per_second"]
    assert result["ram_bytes"]["total"] < 32_000  # with the microphone's buffers


def test_bench_live_without_sharing(tmp_path: Path) -> None:
    bundle = make_live_bundle(tmp_path / "bundle", LiveSpec(threshold=0.3), padded=True)
    result = CliRunner().invoke(
        app,
        ["bench", "live", "--bundle", str(bundle.directory), "--out", str(tmp_path / "build"),
         "--seconds", "2", "--json", str(tmp_path / "live.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    value = json.loads((tmp_path / "live.json").read_text())
    assert {"sliding_equals_scratch", "instructions_per_second", "worst_step_instructions"} <= set(value)
    assert value["sliding_equals_scratch"] is None and value["instructions_per_second"] is None
    assert "pads along time" in value["why"]
    assert value["events_equal_to_python"] is True


def test_a_board_without_a_microphone(tmp_path: Path) -> None:
    """A device that has no microphone refuses to listen, and goes on with samples over the link."""
    bundle = make_live_bundle(tmp_path / "bundle")
    recording = silence(tmp_path / "a.wav")
    with listening(bundle, "host", tmp_path / "build", wav=recording, fast=True) as session:
        with pytest.raises(LinkError, match="LIVE_LISTEN"):
            session._client.listen(True)
        while session.step():
            pass
        assert session.state.status is not None and session.state.status.samples == 16000


@pytest.mark.parametrize(
    ("target", "which", "board", "seen"),
    [
        ("qemu:netduinoplus2", Raise.TRAP, "stm32f4_discovery", "a usage fault at pc 0x"),
        ("qemu:mps2-an505", Raise.HANG, "mps2_an505", "the watchdog's bite"),
    ],
)
def test_a_device_that_fails_while_it_listens_says_why(
    target: str, which: Raise, board: str, seen: str, tmp_path: Path
) -> None:
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    bundle = make_live_bundle(tmp_path / "bundle")
    recording = silence(tmp_path / "a.wav")
    with (
        pytest.raises(LinkError) as caught,
        listening(bundle, target, tmp_path / "build", wav=recording, fast=True) as session,
    ):
        assert session.state.earlier_fault is None
        assert session._client.self_test().passed
        assert session.step()
        session._client.raise_fault(which)
        while session.step():
            pass
    assert caught.value.message.startswith(f"{board} restarted after {seen}"), caught.value
    assert "raise_fault+0x" in caught.value.message or which == Raise.HANG


def test_a_session_tells_why_the_device_restarted_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_live_bundle(tmp_path / "bundle")
    recording = silence(tmp_path / "a.wav")
    monkeypatch.setattr(LiveClient, "fault", lambda client: Fault(5, 0, 0, 0, 0, 0, 0))
    result = CliRunner().invoke(
        app,
        ["listen", str(bundle.directory), "--wav", str(recording), "--fast", "--plain",
         "--out", str(tmp_path / "build"), "--json", str(tmp_path / "listen.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "before this session the device restarted after the watchdog's bite" in result.output
    assert json.loads((tmp_path / "listen.json").read_text())["earlier_fault"] == "the watchdog's bite"
