"""Programs on PATH that are not the tested ones: versions are read, a fitting one elsewhere wins, doctor says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stapes.cli.common import console
from stapes.firmware import find_program, tools
from stapes.firmware.tools import PROGRAMS, ToolStatus

ESPTOOL = next(tool for tool in PROGRAMS if tool.name == "esptool")
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put an esptool of a version on PATH (`path`) or beside this Python (`beside`)."""
    for place in ("path", "beside"):
        (tmp_path / place).mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "beside" / "python"))

    def make(place: str, version: str) -> Path:
        program = tmp_path / place / "esptool"
        program.write_text(f"#!/bin/sh\necho 'esptool v{version}'\n")
        program.chmod(0o755)
        return program

    find_program.cache_clear()
    yield make
    find_program.cache_clear()


@pytest.mark.parametrize(
    ("on_path", "beside", "taken"),
    [
        ("4.8.1", "5.6.0", "beside"),
        ("5.1.0", "5.6.0", "path"),
        ("6.0", "5.6.0", "path"),
        ("odd", "5.6.0", "path"),
        ("4.8.1", "", "path"),
    ],
)
def test_the_one_that_is_new_enough_is_taken(on_path: str, beside: str, taken: str, install: Install) -> None:
    paths = {"path": install("path", on_path)}
    if beside:
        paths["beside"] = install("beside", beside)
    assert find_program("esptool") == str(paths[taken])


@pytest.mark.parametrize(
    ("version", "too_old"),
    [("4.8.1", True), ("5.0", False), ("5.0.2", False), ("10.0", False), ("unknown", False), ("", False)],
)
def test_versions_are_compared_by_their_numbers(version: str, too_old: bool) -> None:
    assert ToolStatus(ESPTOOL, version, "").is_too_old is too_old


@pytest.mark.parametrize(
    ("version", "words", "install_shown"),
    [
        ("4.8.1", "4.8.1: too old, 5.0 or later", True),
        ("6.0", "6.0 (tested: 5.6)", False),
        ("5.6.0", "5.6.0", False),
    ],
)
def test_doctor_says_which_are_not_the_tested_ones(
    version: str, words: str, install_shown: bool, monkeypatch: pytest.MonkeyPatch, run_stapes, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tools, "PROGRAMS", (ESPTOOL,))
    monkeypatch.setattr(tools, "PACKAGES", ())
    monkeypatch.setattr(tools, "_find", lambda tool: ToolStatus(tool, version, "x"))
    monkeypatch.setattr(console, "width", 200)  # so that no cell is folded
    status, said = run_stapes("doctor", "--json", str(tmp_path / "x.json"))
    assert status == 0 and words in said and ("pip install" in said) is install_shown
    assert ("tested:" in said) is ("tested:" in words)
    (found,) = json.loads((tmp_path / "x.json").read_text())["tools"]
    assert found["too_old"] is install_shown and found["oldest"] == "5.0"
