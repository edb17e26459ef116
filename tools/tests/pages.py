"""The commands of a page of docs/, to be run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
NEEDS_A_BOARD = ("stapes flash", "stapes record", "--target board:", "--port auto")
WAITS = ("stapes review",)
"""What runs until Ctrl-C; tools/tests/review runs it."""

CHATTER = re.compile(r"oneDNN|absl|XNNPACK|cpu_feature_guard|^[IWE]0000 |Warning:", re.MULTILINE)
"""What TensorFlow and Python's warnings put on a terminal that they were not asked for."""


def commands(page: str) -> list[list[str]]:
    """Arguments of `stapes` of every indented command but those that need a board or wait; fenced ones are none."""
    found = re.findall(r"^    (stapes .*)$", page, flags=re.MULTILINE)
    return [
        shlex.split(line)[1:] for line in found if not any(part in line for part in NEEDS_A_BOARD + WAITS)
    ]


def without_stapes(cache: Path) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    return environment | {"XDG_CACHE_HOME": str(cache)}


def run(arguments: list[str], directory: Path, environment: Mapping[str, str]) -> None:
    """One command in `directory`; it must not fail, and no library may talk in between."""
    done = subprocess.run(
        [sys.executable, "-m", "stapes", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    assert not CHATTER.search(done.stdout + done.stderr), done.stderr
