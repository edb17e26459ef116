"""`stapes doctor --fix`, with stand-ins: nothing is installed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import stapes.firmware
from stapes.cli import doctor as module
from stapes.cli.app import app
from stapes.firmware.tools import Tool, ToolStatus


def tool(name: str, install: str) -> Tool:
    return Tool(name, "tests", install, install, install)


NINJA = tool("ninja", "sudo apt-get install ninja-build")
SOXR = tool("soxr", "pip install 'stapes[audio]'")
POOCH = tool("pooch", "pip install 'stapes[audio]'")
RENODE = tool("renode", "install Renode 1.14 or later (https://renode.io) && rm -rf /")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was run; soxr is there afterwards, ninja's command fails."""
    commands: list[list[str]] = []

    def find() -> list[ToolStatus]:
        done = any("pip" in command for command in commands)
        return [
            ToolStatus(NINJA, "", ""),
            ToolStatus(SOXR, "1.0" if done else "", ""),
            ToolStatus(POOCH, "1.0" if done else "", ""),
            ToolStatus(RENODE, "", ""),
            ToolStatus(tool("cc", "sudo apt-get install gcc"), "12", "/usr/bin/cc"),
        ]

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, "apt-get" in command)

    monkeypatch.setattr(stapes.firmware, "find_tools", find)
    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    return commands


APT = ["sudo", "apt-get", "install", "-y", "--no-install-recommends", "ninja-build"]
PIP = [sys.executable, "-m", "pip", "install", "stapes[audio]"]


def test_nothing_is_run_unasked(ran: list[list[str]]) -> None:
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    assert CliRunner().invoke(app, ["doctor", "--fix"], input="n\n\n").exit_code == 0
    assert CliRunner().invoke(app, ["doctor", "--yes"]).exit_code == 2
    assert ran == []


def test_no_answer_runs_nothing(ran: list[list[str]]) -> None:
    result = CliRunner().invoke(app, ["doctor", "--fix"], input="")
    assert result.exit_code != 0 and ran == []


def test_what_is_confirmed_is_run_once(ran: list[list[str]]) -> None:
    result = CliRunner().invoke(app, ["doctor", "--fix"], input="n\ny\n")
    assert result.exit_code == 0 and ran == [PIP]


def test_yes_runs_all_and_says_what_failed(ran: list[list[str]], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--fix", "--yes", "--json", str(tmp_path / "d.json")])
    assert result.exit_code == 1 and ran == [APT, PIP], "and never what is not an installer's command"
    found = {each["name"]: each["found"] for each in json.loads((tmp_path / "d.json").read_text())["tools"]}
    assert found == {"ninja": False, "soxr": True, "pooch": True, "renode": False, "cc": True}


def test_root_needs_no_sudo(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert module._command(NINJA.install) == APT[1:]
    assert module._command("brew tap x && brew install y") == []
