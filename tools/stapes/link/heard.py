"""What a device that does not answer did say, and what that means."""

from __future__ import annotations

import re

from stapes.files import printable

MOST_BYTES = 4096
"""Of each speed that are kept: the beginning, where a ROM introduces itself."""

SHOWN = 60
TEXT_SHARE = 0.9
IDLE_SHARE = 0.9

# The first that is found tells what it means and what to do.
MEANINGS: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"waiting for download|DOWNLOAD\(",
        "the ESP32's loader in ROM waits for a program",
        "let BOOT (GPIO9 low) go and press RESET",
    ),
    (
        rb"invalid header: 0x|No bootable app|flash read err",
        "the ESP32's loader finds no program in its flash",
        "flash the board: `stapes flash`",
    ),
    (
        rb"Guru Meditation|Backtrace:|abort\(\) was called",
        "a program for ESP-IDF crashed",
        "flash the board: `stapes flash`",
    ),
    (
        rb"ESP-ROM:|rst:0x[0-9a-f]+ \(",
        "the ESP32 starts, and nothing of ours follows",
        "flash the board: `stapes flash`; where it starts again and again, look at its power supply",
    ),
    (
        rb"(?s)\A[\x79\x1f]{1,64}\Z",
        "the STM32's boot loader in ROM answers (0x79 is its yes, 0x1f its no)",
        "set BOOT0 back to 0 and press RESET",
    ),
)


class Heard:
    """Bytes that came while nothing was understood, by the speed of the line (None where it has none)."""

    def __init__(self) -> None:
        self._bytes: dict[int | None, bytearray] = {}

    def add(self, baud: int | None, data: bytes) -> None:
        """Keep what came at that speed."""
        kept = self._bytes.setdefault(baud, bytearray())
        kept += data[: MOST_BYTES - len(kept)]

    def explain(self) -> tuple[str, str] | None:
        """What it said with what that means, and what to do; None where it said nothing."""
        for look in (_known, _text, _idle, _noise):
            for baud, data in self._bytes.items():
                found = look(bytes(data)) if data else None
                if found is not None:
                    speed = f" at {baud} baud" if baud else ""
                    return f"it said {_shown(bytes(data))}{speed}: {found[0]}", found[1]
        return None


def _known(data: bytes) -> tuple[str, str] | None:
    return next(((what, do) for pattern, what, do in MEANINGS if re.search(pattern, data)), None)


def _text(data: bytes) -> tuple[str, str] | None:
    letters = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in data)
    if len(data) < 4 or letters < TEXT_SHARE * len(data):
        return None
    return "another program runs there", "flash the board, or name the right port"


def _idle(data: bytes) -> tuple[str, str] | None:
    if max(data.count(0), data.count(255)) < IDLE_SHARE * len(data):
        return None
    return "a line without a signal", "check ground, that TX goes to RX, and the board's power"


def _noise(data: bytes) -> tuple[str, str] | None:
    return (
        "neither text nor a frame",
        "another speed than ours, a wrong level or a loose ground: check the port and its wiring",
    )


def _shown(data: bytes) -> str:
    """The line that tells most, as a person reads it; bytes in hexadecimal where they are no text."""
    if _text(data) is None:
        return data[:12].hex(" ") + (" …" if len(data) > 12 else "")
    found = next(filter(None, (re.search(pattern, data) for pattern, _, _ in MEANINGS)), None)
    start = data.rfind(b"\n", 0, found.start()) + 1 if found else 0
    lines = data[start:].decode("ascii", "replace").strip().splitlines() or [""]
    text = printable(lines[0].strip())
    return f'"{text[:SHOWN]}{"…" if len(text) > SHOWN else ""}"'
