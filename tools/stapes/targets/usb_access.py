"""Debug probes as the system sees them: plugged in, and perhaps not to be used, which most programs call absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stapes.targets.ports import PROBES

STLINK_PRODUCTS = range(0x3744, 0x3760)


SYSFS = Path("/sys/bus/usb/devices")


def forbidden_device(sysfs: Path = SYSFS, nodes: Path = Path("/dev/bus/usb")) -> str | None:
    """The device node of a debug probe that this user may not write to; None when there is no such."""
    for device in _probes(sysfs):
        try:
            bus, number = (int((device / name).read_text()) for name in ("busnum", "devnum"))
        except (OSError, ValueError):
            continue
        node = nodes / f"{bus:03d}" / f"{number:03d}"
        if node.exists() and not os.access(node, os.W_OK):
            return str(node)
    return None


def connected_probes(vendor: int, sysfs: Path = SYSFS) -> list[str]:
    """Serial numbers of the probes of a USB vendor that are plugged in, `none` where one has none; empty where this
    system does not tell.
    """
    found = []
    for device in _probes(sysfs, vendor):
        try:
            found.append((device / "serial").read_text(encoding="utf-8", errors="replace").strip() or "none")
        except OSError:
            found.append("none")
    return found


def _probes(sysfs: Path, wanted: int | None = None) -> Iterator[Path]:
    for vendor_file in sorted(sysfs.glob("*/idVendor")):
        device = vendor_file.parent
        try:
            vendor, product = (int((device / name).read_text(), 16) for name in ("idVendor", "idProduct"))
        except (OSError, ValueError):
            continue
        if vendor in PROBES and wanted in (None, vendor) and (vendor != 0x0483 or product in STLINK_PRODUCTS):
            yield device
