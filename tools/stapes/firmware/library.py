"""The runtime as a shared library for this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stapes.definitions import firmware_dir
from stapes.errors import BuildError
from stapes.firmware.tools import require_program
from stapes.programs import run_program

_FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared", "-fPIC")


def build_library(generated_dir: Path, app: str, out_dir: Path, *, flags: tuple[str, ...] = ()) -> Path:
    """Compile firmware/app/`app`.c with the runtime and the generated files; returns the library's path.

    Built anew only when a source changed. Raises `ToolError` without a C compiler, `BuildError` with its first error.
    """
    root = firmware_dir()
    sources = [
        root / f"app/{app}.c",
        *sorted((root / "runtime/src").glob("*.c")),
        *sorted(generated_dir.glob("*.c")),
    ]
    headers = [*(root / "runtime").rglob("*.[hd]*"), *(root / "app").glob("*.h"), *generated_dir.glob("*.h")]
    digest = hashlib.sha256(repr(flags).encode())
    for path in [*sources, *sorted(path for path in headers if path.is_file())]:
        digest.update(path.read_bytes())
    library = out_dir / f"{app}-{digest.hexdigest()[:12]}.so"
    if library.is_file():
        return library
    out_dir.mkdir(parents=True, exist_ok=True)
    includes = [
        f"-I{root / 'runtime/include'}",
        f"-I{root / 'link'}",
        f"-I{root / 'app'}",
        f"-I{generated_dir}",
    ]
    unfinished = library.with_suffix(".part")
    command = [require_program("cc"), *_FLAGS, *flags, *includes, *map(str, sources), "-o", str(unfinished)]
    done = run_program(command, seconds=300)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no output"]
        raise BuildError(f"the library does not build: {lines[0].strip()}", hint="check the C compiler")
    unfinished.replace(library)
    return library
