"""The STM32F4's own USB: what it says of itself, read by the words of the USB specifications, and what it does when the
host reads slowly, not at all, or is gone. TinyUSB is replaced by the few functions that are used.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from clibrary import FIRMWARE, build_library
from elftools.elf.elffile import ELFFile

from stapes.errors import BuildError
from stapes.firmware import build_firmware
from stapes.firmware.boards import Board
from stapes.firmware.build import TINYUSB, tinyusb
from stapes.targets.ports import ADAPTERS

BOARD = "stm32f4_discovery"
GPIO, RCC = 0x40020000, 0x40023800


@pytest.fixture
def usb(tmp_path: Path) -> ctypes.CDLL:
    """The line, just started; a library of its own for each test."""
    library = build_library(
        tmp_path,
        ["boards/stm32/usb_cdc.c", "tests/tinyusb/usb_bus.c"],
        "-fsanitize=bounds-strict",
        '-DSTM32_FAMILY="stm32/f4.h"',
        f'-DSTAPES_BOARD_NAME="{BOARD}"',
        f"-I{FIRMWARE / 'tests/fake_registers'}",
        f"-I{FIRMWARE / 'tests/tinyusb'}",
        f"-I{FIRMWARE / 'boards/stm32/tinyusb'}",
        f"-I{FIRMWARE / 'link'}",
    )
    library.tud_descriptor_device_cb.restype = ctypes.POINTER(ctypes.c_uint8)
    library.tud_descriptor_configuration_cb.restype = ctypes.POINTER(ctypes.c_uint8)
    library.tud_descriptor_string_cb.restype = ctypes.POINTER(ctypes.c_uint16)
    library.uart_read.restype = ctypes.c_size_t
    library.bus_register.restype = ctypes.c_uint32
    library.bus_set_register(GPIO + 0x0C, 0xFFFFFFFF)
    library.stm32_start_uart(42_000_000)
    return library


def word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def received(usb: ctypes.CDLL) -> bytes:
    count = ctypes.c_size_t.in_dll(usb, "bus_received").value
    return bytes((ctypes.c_uint8 * 4096).in_dll(usb, "bus_data"))[:count]


def number(usb: ctypes.CDLL, name: str) -> ctypes.c_uint32:
    return ctypes.c_uint32.in_dll(usb, name)


def test_the_device_descriptor(usb: ctypes.CDLL) -> None:
    data = bytes(usb.tud_descriptor_device_cb()[:18])
    assert (data[0], data[1], word(data, 2)) == (18, 1, 0x0200)
    assert tuple(data[4:7]) == (0xEF, 2, 1)  # interface association (its ECN, table 1-1)
    assert data[7] == 64
    assert word(data, 12) == 0x0100 and data[17] == 1
    ids = (word(data, 8), word(data, 10))
    assert ids == (0x1209, 0x0001)
    assert ids[1] in (ADAPTERS[ids[0]][1] or ())  # --port auto
    assert ids in [(usb_id.vid, usb_id.pid) for usb_id in Board.load(BOARD).usb]
    names = []
    for index in data[14:17]:
        text = usb.tud_descriptor_string_cb(index, 0x0409)
        assert text[0] >> 8 == 3
        names.append("".join(map(chr, text[1 : (text[0] & 0xFF) // 2])))
    assert names == ["stapes", BOARD, "A0A1A2A3A4A5A6A7A8A9AAAB"]
    assert usb.tud_descriptor_string_cb(0, 0)[:2] == [0x0304, 0x0409]
    assert not usb.tud_descriptor_string_cb(4, 0x0409)


def test_the_configuration_is_one_cdc_acm_port(usb: ctypes.CDLL) -> None:
    start = usb.tud_descriptor_configuration_cb(0)
    data = bytes(start[: word(bytes(start[:4]), 2)])
    parts = []
    while data:
        assert data[0] >= 2 and len(data) >= data[0]
        parts.append(data[: data[0]])
        data = data[data[0] :]
    configuration, association, control, header, calls, acm, union, notify, bulk, *ends = parts
    assert configuration[0] == 9 and configuration[1] == 2
    assert (configuration[4], configuration[5]) == (2, 1)
    assert configuration[7] & 0x9F == 0x80 and configuration[8] * 2 <= 500  # mA
    assert tuple(association) == (8, 11, 0, 2, 2, 2, 0, 0)  # from interface 0, two of them: CDC, ACM
    assert tuple(control[:8]) == (9, 4, 0, 0, 1, 2, 2, 0)
    assert tuple(header[:3]) == (5, 0x24, 0) and word(header, 3) == 0x0120
    assert tuple(calls) == (5, 0x24, 1, 0, 1)
    assert tuple(acm[:3]) == (4, 0x24, 2) and acm[3] & 2  # line coding and control line state
    assert tuple(union) == (5, 0x24, 6, 0, 1)
    assert tuple(bulk[:8]) == (9, 4, 1, 0, len(ends), 10, 0, 0)
    endpoints = [notify, *ends]
    assert all(part[0] == 7 and part[1] == 5 for part in endpoints)
    assert notify[2] & 0x80 and notify[3] == 3 and notify[6] > 0
    assert {part[2] & 0x80 for part in ends} == {0, 0x80} and {part[3] for part in ends} == {2}
    assert {word(part, 4) for part in ends} == {64}  # a full-speed bulk packet
    assert len({part[2] for part in endpoints}) == 3
    assert all(1 <= part[2] & 0x7F <= 3 for part in endpoints)  # OTG_FS has four, one for control


def test_it_starts_pins_clock_and_stack(usb: ctypes.CDLL) -> None:
    assert number(usb, "bus_pins").value == 11 + 12
    assert number(usb, "bus_starts").value == 1
    assert usb.bus_register(GPIO + 0x08) >> 22 & 0xF == 0xF  # fast
    assert usb.bus_register(GPIO + 0x0C) >> 22 & 0xF == 0  # no pulls
    assert usb.bus_register(RCC + 0x34) & 1 << 7
    usb.stm32_start_uart(16_000_000)  # no PLL, no 48 MHz
    assert number(usb, "bus_starts").value == 1
    usb.cortex_m_interrupt_67()
    assert number(usb, "bus_interrupts").value == 1


def test_what_the_host_sends_arrives_in_pieces(usb: ctypes.CDLL) -> None:
    usb.bus_send(b"0123456789", 10)
    room = ctypes.create_string_buffer(8)
    assert (usb.uart_read(room, 4), room.raw[:4]) == (4, b"0123")
    assert (usb.uart_read(room, 8), room.raw[:6]) == (6, b"456789")
    assert usb.uart_read(room, 8) == 0


def test_a_slow_host_gets_everything(usb: ctypes.CDLL) -> None:
    data = bytes(range(256)) * 6
    number(usb, "bus_takes").value = 3
    usb.uart_write(data, len(data))
    usb.uart_write(b"end", 3)
    number(usb, "bus_takes").value = 64
    for _ in range(6):
        usb.uart_read(ctypes.create_string_buffer(1), 1)
    assert received(usb) == data + b"end"


def test_a_host_that_does_not_read_is_waited_for_once(usb: ctypes.CDLL) -> None:
    data = bytes(1000)
    usb.uart_write(data, len(data))
    waited = number(usb, "bus_turns").value
    assert 250 <= waited <= 255  # milliseconds
    usb.uart_write(data, len(data))
    assert number(usb, "bus_turns").value - waited == 1
    number(usb, "bus_takes").value = 64  # it reads again
    usb.uart_write(data, len(data))
    assert len(received(usb)) >= len(data)


def test_a_pulled_cable_ends_the_write(usb: ctypes.CDLL) -> None:
    number(usb, "bus_ready_turns").value = 10
    usb.uart_write(bytes(1000), 1000)
    assert number(usb, "bus_turns").value == 10
    usb.uart_write(b"more", 4)
    assert number(usb, "bus_turns").value == 11


def test_a_port_that_is_closed_leaves_nothing_to_the_next(usb: ctypes.CDLL) -> None:
    usb.uart_write(b"old", 3)
    usb.tud_cdc_line_state_cb(0, True, False)
    usb.tud_cdc_line_state_cb(0, False, False)
    number(usb, "bus_takes").value = 64
    usb.uart_write(b"new", 3)
    usb.uart_read(ctypes.create_string_buffer(1), 1)
    assert received(usb) == b"new"


def test_a_wrong_directory_of_tinyusb_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TINYUSB, str(tmp_path))
    with pytest.raises(BuildError, match=r"no src/tusb\.h") as caught:
        tinyusb(BOARD)
    assert "git clone" in caught.value.hint
    assert tinyusb("nucleo_f446re") is None


@pytest.mark.skipif(TINYUSB not in os.environ, reason=f"{TINYUSB} names no TinyUSB to build with")
def test_it_builds_with_tinyusb(tmp_path: Path) -> None:
    elf = build_firmware(None, BOARD, tmp_path, "record").elf
    with elf.open("rb") as stream:
        names = {symbol.name for symbol in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()}
    assert {"tud_task_ext", "dcd_int_handler", "tud_descriptor_device_cb"} <= names
