"""How a port of this computer is opened: for us alone, with DTR and RTS as the board's wiring says."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from link_device import FakeDevice
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from stapes.errors import LinkError, TargetError
from stapes.firmware.boards import Board
from stapes.link import Client
from stapes.link.client import BOOT_BAUD
from stapes.link.messages import Message
from stapes.targets import open_target, serial_line
from stapes.targets.serial_line import SerialStream, open_serial


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


def test_a_speed_that_the_driver_refuses_is_an_error_of_the_line(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up = serial.Serial._reconfigure_port

    def refusing(self: serial.Serial, *rest: object, **options: object) -> None:
        if self.baudrate > BOOT_BAUD:
            raise ValueError(f"Failed to set custom baud rate ({self.baudrate})")
        set_up(self, *rest, **options)

    monkeypatch.setattr(serial.Serial, "_reconfigure_port", refusing)
    with open_serial(port) as stream:
        assert isinstance(stream, SerialStream)
        with pytest.raises(LinkError, match=rf"{port} refuses 921600 baud: Failed to set"):
            stream.baudrate = 921600
        stream.baudrate = BOOT_BAUD
        assert stream.baudrate == BOOT_BAUD


def test_a_port_that_takes_nothing_is_one_error_and_stays_open(port: str) -> None:
    with serial.Serial(port, timeout=0.05, write_timeout=0.1) as opened:
        with pytest.raises(TargetError, match=f"{port} takes no more bytes") as caught:
            SerialStream(opened).write(bytes(1 << 20))
        assert "RESET" in caught.value.hint and opened.is_open


class UsbBoard(threading.Thread):
    """A board whose port, `link`, goes when the board restarts (`reboots`) or is pulled out (`pull`), and comes back
    `away` seconds later: a real pseudo-terminal each time.
    """

    def __init__(self, link: Path, away: float | None) -> None:
        super().__init__(daemon=True)
        self.link, self.away, self.reboots = link, away, 0
        self.pull, self.ended = threading.Event(), threading.Event()
        self.device = FakeDevice()
        self._ours = self._plug()

    def _plug(self) -> int:
        ours, theirs = pty.openpty()
        self.link.symlink_to(os.ttyname(theirs))
        os.close(theirs)
        return ours

    def run(self) -> None:
        while not self.ended.is_set():
            if select.select([self._ours], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):  # nobody has it open
                    self.device.write(os.read(self._ours, 4096))
                    os.write(self._ours, self.device.read(4096))
            rebooting = any(frame[2] == Message.REBOOT for frame in self.device.requests)
            if rebooting or self.pull.is_set():
                self.reboots += rebooting
                self.pull.clear()
                time.sleep(0.1)  # the answer is on its way
                os.close(self._ours)
                self.link.unlink()
                if self.away is None:
                    return
                time.sleep(self.away)
                self.device = FakeDevice()
                self._ours = self._plug()
        os.close(self._ours)


@pytest.fixture
def usb_board(tmp_path: Path) -> Iterator[Callable[[float | None], UsbBoard]]:
    boards = []

    def plug(away: float | None) -> UsbBoard:
        board = UsbBoard(tmp_path / "ttyACM0", away)
        boards.append(board)
        board.start()
        return board

    yield plug
    for board in boards:
        board.ended.set()
        board.join()


def test_a_port_that_a_restart_takes_away_is_opened_again(
    usb_board: Callable[[float | None], UsbBoard],
) -> None:
    board = usb_board(0.7)
    with open_serial(str(board.link)) as line:
        client = Client(line)
        hello = client.hello()
        assert client.reboot() == hello
        assert board.reboots == 1
        client.stats()
        board.pull.set()
        while board.pull.is_set():
            time.sleep(0.01)
        client.stats()


def test_a_port_that_stays_away_is_one_error(
    usb_board: Callable[[float | None], UsbBoard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_line, "RETURN_SECONDS", 0.3)
    board = usb_board(None)
    with open_serial(str(board.link)) as line:
        client = Client(line)
        client.hello()
        board.pull.set()
        board.join()
        for use in (client.reboot, lambda: line.in_waiting, lambda: line.write(b"a"), lambda: line.read(1)):
            with pytest.raises(TargetError, match=r"ttyACM0 did not come back within 0.3 s: ") as caught:
                use()
            assert "cable" in caught.value.hint and "\n" not in caught.value.message


def test_a_port_is_found_again_by_another_name(
    usb_board: Callable[[float | None], UsbBoard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def port(device: str, serial_number: str) -> ListPortInfo:
        info = ListPortInfo(device, skip_link_detection=True)
        info.vid, info.pid, info.serial_number, info.location = 0x1209, 0x0001, serial_number, "1-2:1.0"
        return info

    board = usb_board(0.2)
    ports = [port("/dev/ttyACM7", "other"), port(os.path.realpath(board.link), "this")]
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    monkeypatch.setattr(serial_line, "RETURN_SECONDS", 3.0)
    with open_serial(os.path.realpath(board.link)) as line:
        client = Client(line)
        client.hello()
        moved = board.link.with_name("ttyACM1")
        board.link.rename(moved)
        board.link = moved
        ports[1] = port(str(moved), "this")
        client.reboot()
        client.stats()
