"""`stapes --verbose` says what is opened, tried and started; without it nobody hears of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.errors import StapesError, TargetError
from stapes.targets import open_target

PORT = "/dev/no-such-\x1b[31mport"
SHOWN = r"/dev/no-such-\x1b[31mport"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_bundle(tmp_path_factory.mktemp("verbose") / "bundle").directory


def said(bundle: Path, tmp_path: Path, *options: str) -> str:
    arguments = ["check", str(bundle), "--target", PORT, "--clips", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*options, *arguments])
    assert isinstance(result.exception, TargetError)
    return result.stderr


@pytest.mark.parametrize(("options", "level"), [(["-v"], ""), (["--verbose"], ""), ([], "debug")])
def test_what_is_tried_is_said(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], level: str
) -> None:
    monkeypatch.setenv("STAPES_LOG", level)
    told = said(bundle, tmp_path, *options)
    assert f"targets.target: opening {SHOWN}\n" in told
    assert f"targets.serial_line: opening port {SHOWN} at 115200 baud\n" in told
    assert "\x1b" not in told, "a name is no command to the terminal"
    monkeypatch.setenv("STAPES_LOG", "")
    assert said(bundle, tmp_path).strip() == "", "and the next command is silent again"


def test_a_level_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAPES_LOG", "loud")
    result = CliRunner().invoke(app, ["doctor"])
    assert isinstance(result.exception, StapesError) and "STAPES_LOG=loud is no level" in str(
        result.exception
    )


def test_a_program_hears_it_by_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="stapes"), open_target("loop://") as stream:
        stream.write(b"x")
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("stapes.targets.target", "DEBUG"),
        ("stapes.targets.serial_line", "DEBUG"),
        ("stapes.targets.target", "DEBUG"),
        ("stapes.targets.target", "DEBUG"),
    ]
    assert caplog.messages[0] == "opening loop://" and "is closed after" in caplog.messages[-1]
