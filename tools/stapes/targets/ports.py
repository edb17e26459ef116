"""Find the serial port of a board by the USB ids of its adapter, and among several by serial number."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stapes.errors import TargetError

_log = logging.getLogger(__name__)

AUTO = "auto"

ADAPTERS: dict[int, tuple[str, frozenset[int] | None]] = {
    0x0483: ("ST-Link", frozenset({0x374B, 0x374E, 0x374F, 0x3752, 0x3753, 0x3754, 0x3757, 0x5740})),
    0x1209: ("stapes over its own USB", frozenset({0x0001})),
    0x303A: ("Espressif USB", frozenset({0x1001, 0x1002, 0x4001})),
    0x0D28: ("DAPLink", frozenset({0x0204})),
    0x1366: ("J-Link", None),
    0x2E8A: ("Raspberry Pi", frozenset({0x0004, 0x000A, 0x000C})),
    0x10C4: ("CP210x", frozenset({0xEA60, 0xEA70, 0xEA71})),
    0x1A86: ("CH34x", frozenset({0x7523, 0x7522, 0x5523, 0x55D3, 0x55D4})),
    0x0403: ("FTDI", frozenset({0x6001, 0x6010, 0x6011, 0x6014, 0x6015})),
    0x067B: ("PL2303", None),
}
"""USB vendor id: what it is, and its products that are serial ports (None: any of that vendor)."""

PROBES = frozenset({0x0483, 0x0D28, 0x1366})
"""USB vendors whose serial ports belong to a debug probe with the same serial number."""


def is_auto(port: str) -> bool:
    """Whether `port` is `auto` or `auto:SERIAL`."""
    return port.partition(":")[0] == AUTO


def find_port(port: str, candidates: Iterable[Any] | None = None) -> str:
    """The device name for `auto` (the only known adapter that is plugged in) or `auto:SERIAL`; another name as it is.

    `candidates` are `serial.tools.list_ports_common.ListPortInfo`, by default those of this computer. Raises
    `TargetError` when there is none, or, naming them, when there are several.
    """
    if not is_auto(port):
        return port
    if candidates is None:
        from serial.tools import list_ports

        candidates = list_ports.comports()
    known = sorted((found for found in candidates if _adapter(found)), key=lambda found: str(found.device))
    wanted = port.partition(":")[2]
    _log.debug("%s: %s", port, _listed(known) or "no known adapter is plugged in")
    fits = [found for found in known if wanted in ("", found.serial_number)]
    if len(fits) == 1:
        return str(fits[0].device)
    if not fits:
        what = f"no board with serial number {wanted}" if wanted else "no board"
        seen = f"plugged in: {_listed(known)}" if known else "plug it in, or name its port"
        raise TargetError(f"{what} on any USB port", hint=seen)
    raise TargetError(
        f"{len(fits)} boards are plugged in: {_listed(fits)}", hint="name one as auto:SERIAL, or its port"
    )


def probe_behind(port: str, candidates: Iterable[Any] | None = None) -> str | None:
    """Serial number of the debug probe whose own serial port `port` is; None where it is not a probe's.

    A link under /dev/serial/by-id is the device that it leads to.
    """
    if candidates is None:
        from serial.tools import list_ports

        candidates = list_ports.comports()
    device = port if "://" in port else os.path.realpath(port)
    found = next((found for found in candidates if found.device in (port, device)), None)
    probe = str(found.serial_number) if found and found.vid in PROBES and found.serial_number else None
    _log.debug("%s is %s", port, f"the port of probe {probe}" if probe else "not the port of a known probe")
    return probe


class PortFinder:
    """Finds a USB port again that comes back by another name: the same device at the same place.

    Calling it gives the name by now, the first one for other ports and while there is none.
    """

    def __init__(self, port: str) -> None:
        self._port = port
        self._device = self._of_usb(lambda found: found.device == os.path.realpath(port))

    def __call__(self) -> str:
        """The port's name."""
        if self._device is None:
            return self._port
        found = self._of_usb(lambda found: _same(found) == _same(self._device))
        return str(found.device) if found else self._port

    @staticmethod
    def _of_usb(fits: Callable[[Any], bool]) -> Any:
        from serial.tools import list_ports

        return next((found for found in list_ports.comports() if found.vid and fits(found)), None)


def _same(found: Any) -> tuple[Any, ...]:
    return found.vid, found.pid, found.serial_number, found.location


def _adapter(found: Any) -> str | None:
    name, products = ADAPTERS.get(found.vid, (None, None))
    return name if name and (products is None or found.pid in products) else None


def _listed(ports: Sequence[Any]) -> str:
    return ", ".join(f"{p.device} ({_adapter(p)}, serial {p.serial_number or 'none'})" for p in ports)
