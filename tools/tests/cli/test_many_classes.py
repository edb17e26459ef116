"""Any number of classes: every command takes them, and a device with short messages tells all of them in pages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.check import check_bundle, select_clips
from stapes.cli.app import app
from stapes.codegen import generate
from stapes.device import Prepared
from stapes.errors import BundleError
from stapes.firmware import build_firmware
from stapes.graph import load_graph
from stapes.link import LiveClient
from stapes.reference import LiveReference, Reference
from stapes.targets import open_target

SHORT = {"STAPES_HOST_PAYLOAD": "256u"}
"""Messages as short as on the boards with the least RAM."""


def labels(count: int) -> tuple[str, ...]:
    return tuple(f"sound{number}" for number in range(count))


@pytest.mark.parametrize("count", [64, 65, 1001])
def test_every_command_takes_any_number_of_classes(count: int, tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", labels=labels(count))
    directory = str(bundle.directory)
    for command in (
        ["generate", directory, "--out", str(tmp_path / "generated")],
        ["export", directory, "--format", "cmake", "--out", str(tmp_path / "export")],
        ["build", directory, "--board", "host", "--out", str(tmp_path / "build")],
        ["boards", directory, "--board", "host", "--out", str(tmp_path / "boards")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, (command, result.output, result.exception)


def test_fifty_classes_fit_the_board_with_the_shortest_messages(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    bundle = make_small_bundle(tmp_path / "bundle", labels=labels(50))
    result = CliRunner().invoke(
        app,
        [
            "boards",
            str(bundle.directory),
            "--board",
            "microbit",
            "--markdown",
            "--out",
            str(tmp_path / "out"),
        ],
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert re.search(r"\| `microbit` \| [\d,]+ B .* \| [\d,]+ B ", result.output)


def test_more_classes_than_there_are_numbers_are_one_line(tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", labels=labels(32768))
    with pytest.raises(
        BundleError, match=r"32768 classes of a network \(at most 32767: a class's number has 16 bits"
    ):
        load_graph(bundle)


@pytest.mark.parametrize("count", [50, 1001])
def test_a_device_with_short_messages_is_checked(count: int, tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", labels=labels(count))
    generated = generate(bundle, tmp_path / "generated")
    build = build_firmware(generated.directory, "host", tmp_path / "host", definitions=SHORT)
    clips = select_clips(bundle, None, 1)
    report = check_bundle(bundle, "host", clips, tmp_path, prepared=Prepared("host", generated, build))
    assert report.passed, report.first_difference
    assert report.hello is not None and (report.hello.max_payload, report.hello.class_count) == (256, count)


@pytest.mark.parametrize("count", [50, 1001])
def test_a_listening_device_with_short_messages_tells_all_scores(count: int, tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", labels=labels(count))
    generated = generate(bundle, tmp_path / "generated")
    elf = build_firmware(generated.directory, "host", tmp_path / "host", "live", definitions=SHORT).elf
    pcm = np.random.default_rng(1).normal(0, 3000, 16000).astype(np.int16)
    python = LiveReference(Reference(bundle, "numpy"))
    python.push(pcm)
    with open_target("host", elf) as stream:
        client = LiveClient(stream)
        client.hello()
        client.reset()
        client.feed(0, pcm)
        status = client.status()
    assert status.windows > 3 and len(status.scores) == count
    assert status.scores == tuple(python.twin.scores)
