"""Drive CMake and Ninja, and measure what they made."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import subprocess
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stapes.definitions import firmware_dir
from stapes.errors import BuildError, StapesError, TooLargeError
from stapes.files import canonical_json, sha256, write_atomic
from stapes.firmware.tools import require_program
from stapes.programs import program, run_program
from stapes.progress import Progress, no_progress

_log = logging.getLogger(__name__)

COMPILERS = {
    "host": "cc",
    "arm-none-eabi": "arm-none-eabi-gcc",
    "riscv64-unknown-elf": "riscv64-unknown-elf-gcc",
    "xtensa-lx106-elf": "xtensa-lx106-elf-gcc",
}


TINYUSB = "STAPES_TINYUSB"
"""Environment variable: the directory of TinyUSB, for boards whose line may be their chip's own USB."""


@dataclass(frozen=True)
class BuildResult:
    """A linked image and its sizes in bytes.

    `ram_bytes` is data without the stack; `stack_bytes` is the worst case over all paths (0: the compiler
    cannot tell). `build_id` is a hash of all sources; the device reports the same.
    """

    elf: Path
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    build_id: str

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes build --json`."""
        return {
            "elf": str(self.elf),
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "stack_bytes": self.stack_bytes,
            "build_id": self.build_id,
        }


def board_names() -> list[str]:
    """Every board that can be built."""
    return sorted(path.parent.name for path in (firmware_dir() / "boards").glob("*/board.cmake"))


def require_board(name: str, error: type[StapesError] = BuildError) -> None:
    """Raise `error` for a board that is not there; a machine of QEMU or Renode is told as that of its board."""
    if name in board_names():
        return
    for path in sorted((firmware_dir() / "boards").glob("*/board.toml")):
        described = tomllib.loads(path.read_text(encoding="utf-8"))
        for emulator in ("qemu", "renode"):
            if described.get(emulator) == name:
                board = path.parent.name
                raise error(
                    f"{name!r} is {emulator}'s name of the board {board}", hint=f"choose the board {board}"
                )
    raise error(f"unknown board {name!r}", hint=f"choose one of {', '.join(board_names())}")


def require_compiler(board: str) -> None:
    """Raise `BuildError` for an unknown board, `ToolError` for a missing compiler, CMake or Ninja."""
    require_board(board)
    for command in (COMPILERS[_toolchain(board)], "cmake", "ninja"):
        require_program(command)


def _toolchain(board: str) -> str:
    """A key of `COMPILERS`."""
    description = firmware_dir() / "boards" / board / "board.cmake"
    found = re.search(r"set\(STAPES_TOOLCHAIN ([\w-]+)\)", description.read_text(encoding="utf-8"))
    if found is None or found.group(1) not in COMPILERS:
        raise BuildError(
            f"{description} names no known STAPES_TOOLCHAIN", hint=f"one of {', '.join(COMPILERS)}"
        )
    return found.group(1)


def tinyusb(board: str) -> Path | None:
    """The directory of TinyUSB that `TINYUSB` names, for a board whose line may be its chip's own USB; None for others
    and where it is not set. `BuildError` where there is no TinyUSB.
    """
    given = os.environ.get(TINYUSB)
    description = firmware_dir() / "boards" / board / "board.cmake"
    if not given or not description.is_file():
        return None
    if "set(STM32_USB " not in description.read_text(encoding="utf-8"):
        return None
    directory = Path(given).absolute()
    if not (directory / "src" / "tusb.h").is_file():
        raise BuildError(
            f"{TINYUSB} is {given}, where there is no src/tusb.h",
            hint="git clone https://github.com/hathach/tinyusb, and name its directory",
        )
    return directory


@cache
def compiler_version(board: str) -> str:
    """The board's compiler and its version, as `arm-none-eabi-gcc 12.2.1`; raises as `require_compiler`."""
    require_compiler(board)
    name = COMPILERS[_toolchain(board)]
    command = [require_program(name), "-dumpfullversion", "-dumpversion"]
    return f"{name} {run_program(command, seconds=30).stdout.strip()}"


def build_firmware(
    generated_dir: Path | None,
    board: str,
    out_dir: Path,
    app: str = "hil",
    *,
    definitions: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> BuildResult:
    """Build `app` (firmware/app/NAME.c, or the path of a C file) for `board` in `out_dir`, as far as is
    needed.

    `definitions` are further CMake variables. Raises `ToolError` when a tool is missing, `BuildError` with
    the compiler's first error otherwise; the whole conversation is in `out_dir`/build.log.
    """
    require_compiler(board)
    out_dir = out_dir.absolute()
    out_dir.mkdir(parents=True, exist_ok=True)
    build_id = _build_id(generated_dir, board, app, definitions)
    variables = {
        "STAPES_BOARD": board,
        "STAPES_APP": app,
        "STAPES_GENERATED": str(generated_dir.absolute()) if generated_dir else "",
        "STAPES_BUILD_ID": build_id,
        "STAPES_LIVE_HISTORY": "0",  # CMake would remember that of an earlier build
        "STAPES_TINYUSB": str(tinyusb(board) or ""),
        **(definitions or {}),
    }
    begin = time.monotonic()
    _configure(out_dir, variables)
    configured = time.monotonic()
    _compile(out_dir, board, progress)
    _log.debug(
        "%s for %s in %s: build %s, configured in %.1f s, compiled in %.1f s",
        app,
        board,
        out_dir,
        build_id,
        configured - begin,
        time.monotonic() - configured,
    )
    elf = out_dir / "stapes.elf"
    if elf.read_bytes()[:4] != b"\x7fELF":
        return BuildResult(elf, 0, 0, 0, build_id)
    # These read ELF files by a package that is slow to import, in vain where nothing is to be built.
    from stapes.firmware.checksum import write_checksum
    from stapes.firmware.size import measure
    from stapes.firmware.stack import kept_worst_case_stack

    write_checksum(elf)
    sizes = measure(elf)
    return BuildResult(elf, sizes.flash, sizes.ram, kept_worst_case_stack(out_dir, elf), build_id)


def _build_id(
    generated_dir: Path | None, board: str, app: str, definitions: dict[str, str] | None = None
) -> str:
    """Twelve hex digits of a hash over every source that could be in the image, and what it is built with."""
    sources = source_hash(board, app, generated_dir)
    return (sha256(canonical_json([sources, definitions])) if definitions else sources)[:12]


def source_hash(board: str, app: str, generated_dir: Path | None = None) -> str:
    """Hex SHA-256 over the firmware's sources, with those of an application, of a bundle and of TinyUSB where they are
    given.
    """
    digest = hashlib.sha256(f"{board}\0{app}".encode())
    roots = [
        firmware_dir() / name
        for name in ("runtime", "link", "audio", "boards", "app", "cmake", "CMakeLists.txt")
    ]
    usb = tinyusb(board)
    roots += [usb / "src"] if usb else []
    roots += [root for root in (generated_dir, Path(app)) if root is not None and root.exists()]
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*.*")):
            if path.is_file() and path.suffix in {".c", ".h", ".S", ".def", ".ld", ".cmake", ".txt"}:
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _configure(out_dir: Path, variables: dict[str, str]) -> None:
    """Run CMake unless it already ran with the same variables."""
    stamp = out_dir / "stapes-configure.json"
    wanted = json.dumps({"source": str(firmware_dir()), **variables}, indent=2, sort_keys=True) + "\n"
    previous = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
    if previous == wanted and (out_dir / "build.ninja").is_file():
        return
    if previous and _identity(previous) != _identity(wanted):
        (out_dir / "CMakeCache.txt").unlink(missing_ok=True)
    command = [require_program("cmake"), "-G", "Ninja", "-S", str(firmware_dir()), "-B", str(out_dir)]
    command += [f"-DCMAKE_MAKE_PROGRAM={require_program('ninja')}"]
    command += [f"-D{name}={value}" for name, value in variables.items()]
    _log.debug("%s", shlex.join(command))
    done = run_program(command, seconds=300)
    log = done.stdout + done.stderr
    if done.returncode != 0:
        write_atomic(out_dir / "build.log", log)
        raise BuildError(f"CMake failed: {_first_error(log)}", hint=f"see {out_dir / 'build.log'}")
    write_atomic(stamp, wanted)


def _identity(stamp: str) -> tuple[str, ...]:
    """What a CMake cache cannot change its mind about."""
    values = json.loads(stamp)
    return values["source"], values["STAPES_BOARD"]


def _compile(out_dir: Path, board: str, progress: Progress) -> None:
    environment = {**os.environ, "NINJA_STATUS": "[%f/%t] ", "LC_ALL": "C"}
    lines: list[str] = []
    command = [require_program("ninja"), "-C", str(out_dir)]
    with program(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            step = re.match(r"\[(\d+)/(\d+)\] (.*)", line)
            if step and step.group(1) != "0":
                progress(f"build {Path(step.group(3)).name}", int(step.group(1)), int(step.group(2)))
        process.wait()
    log = "".join(lines)
    write_atomic(out_dir / "build.log", log)
    if process.returncode != 0:
        missing = re.findall(r"region [`']?([\w.]+)' overflowed by (\d+) bytes", log)
        if missing:
            raise _too_large(out_dir, board, {region: int(count) for region, count in missing})
        raise BuildError(
            f"the firmware does not build: {_first_error(log)}", hint=f"see {out_dir / 'build.log'}"
        )


def _too_large(out_dir: Path, board: str, missing: dict[str, int]) -> TooLargeError:
    """What a linker's overflow means to a person: how much too small each memory is, and what takes the most."""
    from stapes.firmware.size import largest_objects

    regions = " and ".join(f"{name} is {count:,} bytes too small" for name, count in missing.items())
    everything = largest_objects(out_dir)
    data = [each for each in everything if each.memory == "RAM"]
    if "FLASH" in missing or sum(each.size for each in data) < missing.get("RAM", 0):
        data = everything  # where RAM holds the code too, it is not data that fills it
    names = (f"{each.name} {each.size:,} B" for each in data[:3])
    return TooLargeError(
        f"the firmware does not fit {board}: {regions}; the largest things there are {', '.join(names)}",
        missing,
        hint="`stapes boards BUNDLE...` shows which bundle fits which board, `stapes cost RECIPE` what a recipe needs; "
        f"the linker's words are in {out_dir / 'build.log'}",
    )


def _first_error(log: str) -> str:
    """The line that a person must see."""
    lines = log.splitlines()
    for pattern in (
        r"undefined reference",
        r"(?i)\berror:",
        r"CMake Error",
        r"FAILED|failed",
    ):
        for position, line in enumerate(lines):
            if re.search(pattern, line):
                rest = [after.strip() for after in lines[position + 1 : position + 4] if after.strip()]
                return " ".join([line.strip(), *rest]) if pattern == "CMake Error" else line.strip()
    return lines[-1].strip() if lines else "no output"
