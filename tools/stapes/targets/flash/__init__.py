"""Write a firmware image to a real chip with the programs that people already have.

Every one is run the same way: find the probe, read which chip answers, compare, and only then write and verify.
"""

from stapes.targets.flash.flasher import FlashResult, choose_tool, flash_image, planned_commands
from stapes.targets.flash.identity import Identity
from stapes.targets.flash.image import Image, read_image
from stapes.targets.flash.tools import TOOLS

__all__ = [
    "TOOLS",
    "FlashResult",
    "Identity",
    "Image",
    "choose_tool",
    "flash_image",
    "planned_commands",
    "read_image",
]
