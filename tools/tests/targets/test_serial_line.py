"""How a port of this computer is opened: for us alone, with DTR and RTS as the board's wiring says."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest
import serial

from stapes.errors import TargetError
from stapes.firmware.boards import Board
from stapes.targets import open_target
from stapes.targets.serial_line import open_serial


@pytest.fixture
def port() -> Iterator[str]:
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """DTR and RTS of every port at the moment of its opening: a pseudo-terminal has no such lines."""
    seen = []

    def open_port(self: serial.Serial) -> None:
        seen.append((self.dtr, self.rts))
        real(self)

    real = serial.Serial.open
    monkeypatch.setattr(serial.Serial, "open", open_port)
    return seen


def test_a_port_is_ours_alone(port: str) -> None:
    with open_serial(port):
        with (
            pytest.raises(TargetError, match=f"cannot open {port}: .*exclusively lock") as caught,
            open_serial(port),
        ):
            pass
        assert "another program has it open" in caught.value.hint
    with open_serial(port):
        pass


def test_the_boards_lines_are_inactive_unless_it_says_so(
    port: str, lines: list[tuple[bool, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_target(f"board:stm32f4_discovery@{port}"):
        pass
    board = Board.load("stm32f4_discovery")
    wired = board.model_copy(update={"wiring": board.wiring.model_copy(update={"dtr": True})})
    monkeypatch.setattr(Board, "load", classmethod(lambda cls, name: wired))
    with open_target(f"board:stm32f4_discovery@{port}"):
        pass
    with open_target(port):
        pass
    assert lines == [(False, False), (True, False), (True, True)]
