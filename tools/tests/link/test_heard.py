"""A device that does not answer but says something: what it said is shown, with what it means."""

from __future__ import annotations

import os
import pty
import threading
import tty
from collections.abc import Callable, Iterator

import pytest

from stapes.errors import LinkError
from stapes.link import Client
from stapes.link.heard import MOST_BYTES, Heard
from stapes.targets import open_target

ESP32C3_DOWNLOAD = (
    b"ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0))\r\n"
    b"waiting for download\r\n"
)
ESP32C3_EMPTY = (
    b"ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x7 (TG0WDT_SYS_RST),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n"
    b"invalid header: 0xffffffff\r\ninvalid header: 0xffffffff\r\n"
)
ESP32C3_STARTS = b"ESP-ROM:esp32c3-api1-20210207\r\nrst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n"

SAID = {
    ESP32C3_DOWNLOAD: ('"rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0))"', "waits for a program", "BOOT"),
    ESP32C3_EMPTY: ('"invalid header: 0xffffffff"', "no program in its flash", "stapes flash"),
    ESP32C3_STARTS: ('"ESP-ROM:', "nothing of ours follows", "power supply"),
    b"\x1f": ("1f", "STM32's boot loader", "BOOT0"),
    b"\x79\x1f\x1f": ("79 1f 1f", "STM32's boot loader", "BOOT0"),
    b"MicroPython v1.24 on 2026-01-01; NUCLEO-F446RE\r\n>>> ": (
        '"MicroPython v1.24',
        "another program",
        "flash",
    ),
    b"\x00" * 40: ("00 00", "without a signal", "TX goes to RX"),
    bytes(range(128, 200)): ("80 81", "neither text nor a frame", "another speed"),
}


@pytest.fixture
def talker() -> Iterator[Callable[[bytes], str]]:
    """The port of a device that says the same again to whatever it is told."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def talk(words: bytes) -> str:
        def answer() -> None:
            try:
                while os.read(ours, 4096):
                    os.write(ours, words)
            except OSError:
                pass  # the line was closed

        threading.Thread(target=answer, daemon=True).start()
        return os.ttyname(theirs)

    yield talk
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize("words", [ESP32C3_DOWNLOAD, b"\x1f", b"\xb5\x92\x83\xf1"])
def test_what_a_silent_device_said(words: bytes, talker: Callable[[bytes], str]) -> None:
    with (
        open_target(talker(words)) as line,
        pytest.raises(LinkError, match=r"no answer to HELLO .*; it said .* at 115200 baud: ") as caught,
    ):
        Client(line, hello_timeout=0.1).hello()
    assert "\n" not in caught.value.message and caught.value.hint


@pytest.mark.parametrize("words", list(SAID))
def test_what_it_means(words: bytes) -> None:
    heard = Heard()
    heard.add(None, words)
    found = heard.explain()
    assert found is not None
    shown, meaning, hint = SAID[words]
    assert found[0].startswith(f"it said {shown}") and meaning in found[0] and hint in found[1]


def test_the_speed_at_which_it_is_text_tells() -> None:
    heard = Heard()
    heard.add(115200, bytes(range(128, 200)))
    heard.add(460800, b"Zephyr says hello\r\n")
    found = heard.explain()
    assert found is not None and '"Zephyr says hello" at 460800 baud: another program' in found[0]


def test_nothing_was_said_and_too_much() -> None:
    heard = Heard()
    assert heard.explain() is None
    for _ in range(3):
        heard.add(None, b"\x1b[31mx\x07" * MOST_BYTES)
    assert len(heard._bytes[None]) == MOST_BYTES
    found = heard.explain()
    assert found is not None and found[0].isprintable()
