"""The programs and packages that stapes uses, and the exact commands that install them."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from stapes.errors import ToolError
from stapes.packages import PACKAGES, Package
from stapes.programs import first_complaint

_log = logging.getLogger(__name__)

WSL = "wsl --install, then as on Ubuntu"
RENODE = "install Renode 1.14 or later (https://renode.io) and put `renode` on PATH, or its path into STAPES_RENODE"


@dataclass(frozen=True)
class Tool:
    """A program (`command`) or a Python package (`package`), what needs it, and how to install it on each
    system. `variable` names an environment variable that may hold the program's path. `oldest` is the first version
    that works, `tested` the one that our tests ran or replay; both may be empty.
    """

    name: str
    needed_for: str
    debian: str
    macos: str
    windows: str
    command: str = ""
    package: str = ""
    library: str = ""
    variable: str = ""
    oldest: str = ""
    tested: str = ""

    @property
    def named_program(self) -> str:
        """The program that the tool's environment variable names; empty where it is not set."""
        return os.environ.get(self.variable, "") if self.variable else ""

    @property
    def install(self) -> str:
        """The command for the system at hand."""
        return {"Darwin": self.macos, "Windows": self.windows}.get(platform.system(), self.debian)


@dataclass(frozen=True)
class ToolStatus:
    """A tool as found here; `version` is empty where it is missing or does not start, which `problem` tells."""

    tool: Tool
    version: str
    path: str
    problem: str = ""

    @property
    def found(self) -> bool:
        """Whether it is there, and starts."""
        return bool(self.version)

    @property
    def is_too_old(self) -> bool:
        """Whether its version is known, and before the first that works."""
        return _is_before(self.version, self.tool.oldest)


def _is_before(version: str, oldest: str) -> bool:
    """Whether both are versions, and the first is the lower one."""
    numbers = [[int(part) for part in re.findall(r"\d+", text)] for text in (version, oldest)]
    return bool(numbers[0] and numbers[1]) and numbers[0] < numbers[1]


def _program(
    name: str,
    command: str,
    needed_for: str,
    debian: str,
    macos: str,
    windows: str,
    library: str = "",
    tested: str = "",
) -> Tool:
    install = f"sudo apt-get install {debian}"
    return Tool(name, needed_for, install, macos, windows, command=command, library=library, tested=tested)


def _package(package: Package) -> Tool:
    name, command = package.distribution, package.install
    return Tool(name, package.needed_for, command, command, command.replace("'", '"'), package=name)


def _flasher(command: str, needed_for: str, oldest: str, tested: str) -> Tool:
    """A flashing program that pip installs."""
    tool = _package(Package(command, "flash", needed_for))
    return replace(tool, package="", command=command, oldest=oldest, tested=tested)


STLINK_TOOLS = ("stlink-tools", "brew install stlink", "https://github.com/stlink-org/stlink/releases")

PROGRAMS = (
    _program("cmake", "cmake", "every build", "cmake", "brew install cmake", "winget install Kitware.CMake"),
    _program(
        "ninja",
        "ninja",
        "every build",
        "ninja-build",
        "brew install ninja",
        "winget install Ninja-build.Ninja",
    ),
    _program("cc", "cc", "the host target", "build-essential", "xcode-select --install", WSL),
    _program(
        "arm-none-eabi-gcc",
        "arm-none-eabi-gcc",
        "STM32 and other Arm boards",
        "gcc-arm-none-eabi libnewlib-arm-none-eabi",
        "brew install --cask gcc-arm-embedded",
        "winget install Arm.GnuArmEmbeddedToolchain",
        library="libc.a",
    ),
    _program(
        "riscv64-unknown-elf-gcc",
        "riscv64-unknown-elf-gcc",
        "RISC-V boards",
        "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
        "brew tap riscv-software-src/riscv && brew install riscv-tools",
        WSL,
    ),
    _program(
        "xtensa-lx106-elf-gcc",
        "xtensa-lx106-elf-gcc",
        "the emulated Xtensa",
        "gcc-xtensa-lx106 picolibc-xtensa-lx106-elf",
        "https://github.com/earlephilhower/esp-quick-toolchain/releases",
        WSL,
    ),
    _program(
        "qemu-system-arm",
        "qemu-system-arm",
        "emulated Arm targets",
        "qemu-system-arm",
        "brew install qemu",
        "winget install SoftwareFreedomConservancy.QEMU",
        tested="7.2",
    ),
    _program(
        "qemu-system-riscv32",
        "qemu-system-riscv32",
        "emulated RISC-V targets",
        "qemu-system-misc",
        "brew install qemu",
        "winget install SoftwareFreedomConservancy.QEMU",
        tested="7.2",
    ),
    _program(
        "qemu-system-xtensa",
        "qemu-system-xtensa",
        "the emulated Xtensa",
        "qemu-system-misc",
        "brew install qemu",
        "winget install SoftwareFreedomConservancy.QEMU",
        tested="7.2",
    ),
    Tool(
        "renode",
        "targets emulated by Renode",
        RENODE,
        RENODE,
        RENODE,
        command="renode",
        variable="STAPES_RENODE",
        oldest="1.14",
        tested="1.16.1",
    ),
    _flasher("pyocd", "flashing STM32 boards", "0.36", "0.46"),
    _program(
        "openocd",
        "openocd",
        "flashing with --tool openocd",
        "openocd",
        "brew install open-ocd",
        "https://github.com/xpack-dev-tools/openocd-xpack/releases",
        tested="0.12",
    ),
    _program("st-flash", "st-flash", "flashing with --tool st-flash", *STLINK_TOOLS, tested="1.7"),
    _program("st-info", "st-info", "flashing with --tool st-flash", *STLINK_TOOLS, tested="1.7"),
    _flasher("stm32loader", "flashing with --tool stm32loader", "0.7", "0.7.1"),
    _flasher("esptool", "flashing Espressif boards", "5.0", "5.6"),
)


@cache
def find_program(command: str) -> str | None:
    """The path of a program on PATH or beside this Python (where pip puts cmake and ninja), or None.

    A tool's environment variable, where set, is the only place looked at. Of two programs the first that is new
    enough is taken.
    """
    tool = next((tool for tool in PROGRAMS if tool.command == command), None)
    if tool is not None and tool.named_program:
        path = shutil.which(tool.named_program)
        _log.debug("%s is %s, as %s says", command, path or "missing", tool.variable)
        return path
    beside = str(Path(sys.executable).parent)
    paths = list(dict.fromkeys(filter(None, (shutil.which(command), shutil.which(command, path=beside)))))
    oldest = tool.oldest if tool is not None else ""
    if len(paths) > 1 and oldest and _is_before(_program_version(paths[0])[0], oldest):
        _log.debug("%s is older than %s: passed over", paths.pop(0), oldest)
    _log.debug("%s is %s", command, paths[0] if paths else "missing")
    return paths[0] if paths else None


def require_program(command: str) -> str:
    """The path of a program that is needed; `ToolError` with the install command when it is missing."""
    tool = next(tool for tool in PROGRAMS if tool.command == command)
    path = find_program(command)
    if path is None:
        if tool.named_program:
            raise ToolError(f"{tool.variable} names no program: {tool.named_program}", hint=tool.install)
        raise ToolError(f"{command} is missing; it is needed for {tool.needed_for}", hint=tool.install)
    if tool.library and not _has_library(path, tool.library):
        raise ToolError(f"{command} is there, its C library is not", hint=tool.install)
    return path


@cache
def _has_library(compiler: str, library: str) -> bool:
    """A compiler prints the bare name of a library that it cannot find."""
    found = subprocess.run(
        [compiler, f"-print-file-name={library}"], capture_output=True, text=True, timeout=30, check=False
    )
    return os.sep in found.stdout


def find_tools() -> list[ToolStatus]:
    """Every tool and package with the version found here."""
    return [_find(tool) for tool in (*PROGRAMS, *map(_package, PACKAGES))]


def _find(tool: Tool) -> ToolStatus:
    if tool.command:
        path = find_program(tool.command)
        version, problem = _program_version(path) if path else ("", "")
        return ToolStatus(tool, version, path or "", problem)
    for name in (tool.package, f"{tool.package}-cpu"):
        try:
            return ToolStatus(tool, importlib.metadata.version(name), "")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ToolStatus(tool, "", "")


def _program_version(path: str) -> tuple[str, str]:
    """The version, and why there is none where the program does not start."""
    try:
        word = "version" if Path(path).stem == "esptool" else "--version"
        answer = subprocess.run([path, word], capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        return "", f"does not start: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "", "does not start: no answer within 30 s"
    match = re.search(r"\d+\.\d+(\.\d+)*", answer.stdout + ("" if answer.returncode else answer.stderr))
    if answer.returncode and not match:
        words = first_complaint(answer.stdout + answer.stderr)
        return "", f"does not start: status {answer.returncode}{': ' + words if words else ''}"
    return (match.group() if match else "unknown"), ""
