"""What the front end costs on a target, and that it computes there what it computes here.

The firmware makes its own signals (firmware/app/bench_frontend.c); they are made again here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from stapes.codegen.emitter import Provenance
from stapes.codegen.frontend import generate_frontend
from stapes.errors import TargetError
from stapes.features import FixedFrontend, OutputQuantization, build_tables
from stapes.firmware import build_firmware
from stapes.recipe import FrontendSpec
from stapes.targets import board_for_target, known_fault, open_target, require_target, unit_of_counter

_SAMPLES = 2048
_REPETITIONS = 8
_SECONDS = 120.0
COUNTERS = ("none", "cycles", "instructions", "nanoseconds")
"""What a board counts, by the number that it prints."""


PORTABLE = {"CMAKE_C_FLAGS": "-U__ARM_FEATURE_DSP"}
"""CMake variables that build the portable C alone."""


def bench_frontend(
    target: str, spec: FrontendSpec, output: OutputQuantization, out_dir: Path, *, portable: bool = False
) -> dict[str, Any]:
    """Build, run and measure; returns the keys of `stapes bench frontend --json`.

    `equal` says whether every int8 feature was that of `FixedFrontend`; where it was not and the target is known to
    compute wrongly itself, `known` says how. Code counts the library functions that it calls; RAM is state, buffers and
    the deepest stack of the whole program (on targets that measure it). `portable` leaves out what is written for DSP
    instructions.
    """
    board = board_for_target(target)
    if board is None:
        raise TargetError(
            f"{target} runs a program of its own",
            hint="give host, qemu:MACHINE, renode:PLATFORM or board:NAME",
        )
    require_target(target)
    generated = out_dir / "generated"
    generate_frontend(build_tables(spec, output), generated, Provenance({"front end": spec.hash}), name="app")
    definitions = PORTABLE if portable else None
    build = build_firmware(generated, board, out_dir, "bench_frontend", definitions=definitions)
    with open_target(target, build.elf) as stream:
        answer = read_answer(stream)
    expected = FixedFrontend(spec).features(signals(), output)
    frames = max(answer["frames"], 1)
    code, tables = _flash(out_dir, build.elf)
    stack = answer["stack"]
    counter = unit_of_counter(target, COUNTERS[answer["counter"]])
    equal = answer["status"] == 0 and answer["hash"] == _fnv1a(expected.tobytes())
    counts = round(answer["ticks"] * answer["numerator"] / answer["denominator"] / frames)
    return {
        "target": target,
        "frames": answer["frames"],
        "equal": equal,
        "known": None if equal or portable else known_fault(target),
        "counter": counter,
        "counts_per_frame": counts,
        "instructions_per_frame": counts if counter == "instructions" else None,
        "flash_bytes": {"code": code, "tables": tables, "total": code + tables},
        "ram_bytes": {
            "memory": answer["memory"],
            "stack": stack,
            "total": answer["memory"] + stack,
        },
    }


def signals() -> npt.NDArray[np.int16]:
    """Loud, medium and quiet noise, a full-scale square wave, impulses and the lowest value; int16[98304]."""
    count = _SAMPLES * _REPETITIONS * 6
    state = np.empty(count, np.uint64)
    value = 1
    for i in range(count):
        value = (value * 1664525 + 1013904223) % 2**32
        state[i] = value
    noise = (state >> np.uint64(16)).astype(np.int64) - 32768
    parts = noise.reshape(6, _REPETITIONS, _SAMPLES)
    index = np.arange(_SAMPLES)
    parts[1] >>= 8
    parts[2] >>= 15
    parts[3] = np.where(index // 37 % 2 == 1, 32767, -32768)
    parts[4] = np.where(index == _SAMPLES // 2, 32767, 0)
    parts[5] = -32768
    return parts.reshape(-1).astype(np.int16)


def read_answer(stream: Any) -> dict[str, int]:
    """The line of names and numbers that a bench prints."""
    line = bytearray()
    end = time.monotonic() + _SECONDS
    while not line.endswith(b"\n"):
        if time.monotonic() > end:
            raise TargetError(
                "the target did not finish the bench", hint="raise the time or check the target"
            )
        line += stream.read(4096)
    words = line.decode("ascii", "replace").split()
    try:
        return dict(zip(words[0::2], map(int, words[1::2]), strict=True))
    except ValueError as error:
        raise TargetError(f"the target said {line!r}", hint="is it running the bench?") from error


def _fnv1a(data: bytes) -> int:
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 % 2**32
    return value


def _flash(build_dir: Path, elf: Path) -> tuple[int, int]:
    """Bytes of the image that come from the front end's objects: functions (and what they call), constants."""
    sizes = {symbol.name: int(symbol["st_size"]) for symbol in _table(elf)}
    code: set[str] = set()
    tables: set[str] = set()
    others: set[str] = set()
    called: set[str] = set()
    for path in build_dir.rglob("CMakeFiles/**/*.c.o*"):
        if path.suffix not in {".o", ".obj"}:
            continue
        defined, undefined = _symbols(path)
        if path.name.startswith(("frontend", "fft.")):
            code |= defined
            if defined & sizes.keys():  # else the linker left all of it out
                called |= undefined
        elif path.name.startswith("stapes_app_frontend"):
            tables |= defined
        else:
            others |= defined
    code |= called - tables - others
    return sum(sizes.get(name, 0) for name in code), sum(sizes.get(name, 0) for name in tables)


def _symbols(path: Path) -> tuple[set[str], set[str]]:
    """Names of the functions and objects that an object file defines, and of those it needs."""
    defined, undefined = set(), set()
    for symbol in _table(path):
        if symbol["st_shndx"] == "SHN_UNDEF":
            undefined.add(symbol.name)
        elif symbol["st_info"]["type"] in {"STT_FUNC", "STT_OBJECT"}:
            defined.add(symbol.name)
    return defined, undefined - {""}


def _table(path: Path) -> list[Any]:
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        return list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
