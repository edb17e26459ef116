"""What holds for every test of the tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from stapes.cli.app import run

RunStapes = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def no_recordings_of_the_environment() -> Iterator[None]:
    """A test brings its own recordings: $STAPES_DATA is for hil_tests, and the default of `--data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STAPES_DATA", raising=False)
        yield


@pytest.fixture
def run_stapes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunStapes:
    """Run a command in this process, as `stapes` does: its exit status, and all that it printed in one line."""

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["stapes", *arguments])
        try:
            run()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return status, " ".join((captured.out + captured.err).split())

    return command
