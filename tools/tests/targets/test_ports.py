"""Boards found by their adapter's USB ids, then by serial number."""

from __future__ import annotations

from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from stapes.errors import TargetError
from stapes.targets import open_target
from stapes.targets.ports import find_port, probe_behind


def port(
    device: str, vid: int | None = None, pid: int | None = None, serial: str | None = None
) -> ListPortInfo:
    info = ListPortInfo(device, skip_link_detection=True)
    info.vid, info.pid, info.serial_number = vid, pid, serial
    return info


BUILT_IN = port("/dev/ttyS0")
PRINTER = port("/dev/ttyACM9", 0x04B8, 0x0202, "P1")
MOUSE_OF_ST = port("/dev/ttyACM8", 0x0483, 0x1234, "M1")


@pytest.mark.parametrize(
    ("vid", "pid"),
    [
        (0x0483, 0x374B),  # ST-Link/V2-1
        (0x0483, 0x374E),  # ST-Link/V3
        (0x0483, 0x3752),  # ST-Link/V2-1 without storage
        (0x303A, 0x1001),  # ESP32-S3, -C3, -C6: USB serial and JTAG
        (0x10C4, 0xEA60),  # CP2102
        (0x1A86, 0x7523),  # CH340
        (0x0D28, 0x0204),  # micro:bit
        (0x0403, 0x6001),  # FT232R
    ],
)
def test_the_only_board_is_found(vid: int, pid: int) -> None:
    board = port("/dev/ttyACM0", vid, pid, "S1")
    assert find_port("auto", [BUILT_IN, PRINTER, MOUSE_OF_ST, board]) == "/dev/ttyACM0"


ONE = port("/dev/ttyACM1", 0x0483, 0x374B, "066B")
TWO = port("/dev/ttyUSB0", 0x10C4, 0xEA60, "0001")


def test_several_are_told_apart_by_serial_number() -> None:
    assert find_port("auto:0001", [ONE, TWO]) == "/dev/ttyUSB0"
    assert find_port("auto:066B", [ONE, TWO]) == "/dev/ttyACM1"


def test_several_without_a_serial_number_are_listed() -> None:
    with pytest.raises(TargetError, match="2 boards") as caught:
        find_port("auto", [TWO, ONE])
    assert "/dev/ttyACM1 (ST-Link, serial 066B), /dev/ttyUSB0 (CP210x, serial 0001)" in caught.value.message
    assert "auto:SERIAL" in caught.value.hint


def test_two_of_the_same_serial_number_are_listed_too() -> None:
    twin = port("/dev/ttyUSB1", 0x10C4, 0xEA60, "0001")
    with pytest.raises(TargetError, match="2 boards"):
        find_port("auto:0001", [TWO, twin, ONE])


def test_none_is_one_clear_error() -> None:
    with pytest.raises(TargetError, match="no board on any USB port"):
        find_port("auto", [BUILT_IN, PRINTER])
    with pytest.raises(TargetError, match="no board with serial number 7") as caught:
        find_port("auto:7", [ONE])
    assert "066B" in caught.value.hint


def test_a_named_port_stays() -> None:
    assert find_port("/dev/ttyS0", []) == "/dev/ttyS0"
    assert find_port("rfc2217://rig:4000", [ONE]) == "rfc2217://rig:4000"


def test_a_target_finds_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "serial.tools.list_ports.comports", lambda: [port("/dev/no-such-port", 0x0483, 0x374B)]
    )
    with (
        pytest.raises(TargetError, match="cannot open /dev/no-such-port"),
        open_target("board:stm32f4_discovery@auto"),
    ):
        pass


def test_a_link_is_the_port_that_it_leads_to(tmp_path: Path) -> None:
    device = tmp_path / "ttyACM1"
    device.touch()
    link = tmp_path / "usb-STMicroelectronics_066B-if02"
    link.symlink_to(device)
    found = [port(str(device), 0x0483, 0x374B, "066B"), TWO]
    assert probe_behind(str(link), found) == probe_behind(str(device), found) == "066B"
    assert probe_behind(str(tmp_path / "ttyS0"), found) is None
