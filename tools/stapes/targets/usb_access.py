"""Probes that are plugged in but may not be used: most programs call them absent."""

from __future__ import annotations

import os
from pathlib import Path

from stapes.targets.ports import PROBES

STLINK_PRODUCTS = range(0x3744, 0x3760)


def forbidden_device(
    sysfs: Path = Path("/sys/bus/usb/devices"), nodes: Path = Path("/dev/bus/usb")
) -> str | None:
    """The device node of a debug probe that this user may not write to; None when there is no such."""
    for vendor_file in sorted(sysfs.glob("*/idVendor")):
        device = vendor_file.parent
        try:
            vendor, product = (int((device / name).read_text(), 16) for name in ("idVendor", "idProduct"))
            bus, number = (int((device / name).read_text()) for name in ("busnum", "devnum"))
        except (OSError, ValueError):
            continue
        if vendor not in PROBES or (vendor == 0x0483 and product not in STLINK_PRODUCTS):
            continue
        node = nodes / f"{bus:03d}" / f"{number:03d}"
        if node.exists() and not os.access(node, os.W_OK):
            return str(node)
    return None
