"""C sources as a library for ctypes: undefined behaviour ends the test."""

import ctypes
import subprocess
from collections.abc import Iterable
from pathlib import Path

FIRMWARE = Path(__file__).parents[2] / "firmware"
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def build_library(directory: Path, sources: Iterable[Path | str], *flags: str) -> ctypes.CDLL:
    """`sources`: paths, or names below firmware/; `flags` come before the usual
    directories of headers."""
    library = directory / "library.so"
    subprocess.run(
        [
            "cc", "-g", "-O1", *WARNINGS, "-shared", "-fPIC", "-fsanitize=undefined",
            "-fsanitize-undefined-trap-on-error", *flags, f"-I{FIRMWARE / 'runtime/include'}",
            f"-I{FIRMWARE / 'audio'}", f"-I{FIRMWARE / 'boards'}", "-o", str(library),
            *(str(FIRMWARE / source) for source in sources), "-lm",
        ],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))
