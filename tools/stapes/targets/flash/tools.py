"""The flashing programs by name."""

from __future__ import annotations

from stapes.targets.flash.esptool import EspTool
from stapes.targets.flash.openocd import OpenOcd
from stapes.targets.flash.pyocd import PyOcd
from stapes.targets.flash.stlink import StFlash
from stapes.targets.flash.stm32loader import Stm32Loader
from stapes.targets.flash.tool import Tool

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in (PyOcd(), OpenOcd(), StFlash(), Stm32Loader(), EspTool())
}
