"""What stapes starts has ended when stapes goes on, however that came about."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from stapes.errors import ToolError
from stapes.programs import program, run_program

# A program that starts another, which would write a file after a second.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1); open('late', 'w')"])
print("started", flush=True)
time.sleep({seconds})
"""


def parent(seconds: float) -> list[str]:
    return [sys.executable, "-c", PARENT.format(seconds=seconds)]


def test_what_it_said() -> None:
    done = run_program(["sh", "-c", "echo out; echo err >&2; exit 3"], seconds=10)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_an_exception_ends_the_whole_group(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        program(parent(60), stdout=subprocess.PIPE, cwd=tmp_path) as process,
    ):
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        raise KeyboardInterrupt
    assert process.returncode is not None
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_too_late_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolError, match="did not end within 0 s and was stopped"):
        run_program(parent(60), seconds=0.4)
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()


def test_a_program_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_program([str(tmp_path / "none")], seconds=1)
