"""The sources are formatted, linted and typed; nothing large is committed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_DIRECTORIES = ["tools", "hil_tests", "firmware"]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff() -> None:
    run(sys.executable, "-m", "ruff", "check", *PYTHON_DIRECTORIES)


def test_python_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", *PYTHON_DIRECTORIES)


def test_types() -> None:
    run(sys.executable, "-m", "mypy")


def test_c_format() -> None:
    sources = [str(path) for path in sorted((ROOT / "firmware").rglob("*.[ch]"))]
    run(str(Path(sys.executable).with_name("clang-format")), "--dry-run", "--Werror", *sources)


def test_nothing_large_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    large = [
        name
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file() and (ROOT / name).stat().st_size > 2**20
    ]
    assert not large
