"""Find toolchains, drive CMake, measure flash, RAM and stack."""

from stapes.definitions import firmware_dir
from stapes.firmware.build import BuildResult, board_names, build_firmware
from stapes.firmware.kept import build_bundle
from stapes.firmware.library import build_library
from stapes.firmware.network import build_network
from stapes.firmware.tools import Tool, ToolStatus, find_program, find_tools, require_program

__all__ = [
    "BuildResult",
    "Tool",
    "ToolStatus",
    "board_names",
    "build_bundle",
    "build_firmware",
    "build_library",
    "build_network",
    "find_program",
    "find_tools",
    "firmware_dir",
    "require_program",
]
