"""What an exported bundle takes on a named core: measured, where its compiler is here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stapes.codegen import generate
from stapes.definitions import firmware_dir
from stapes.errors import ToolError
from stapes.firmware import build_firmware
from stapes.firmware.build import compiler_version
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle

BOARD, CORE = "mps2_an386", "Cortex-M4"


@dataclass(frozen=True)
class Measured:
    """Bytes of a program that listens and does nothing else; `ram_bytes` is without the stack."""

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    compiler: str
    core: str = CORE

    def as_json(self) -> dict[str, object]:
        """The key `measured` of `stapes export --json`."""
        return asdict(self)


def measure(bundle: Bundle, *, progress: Progress = no_progress) -> Measured | None:
    """Build firmware/export/sizes.c with the bundle for a Cortex-M4; None where a tool for that is missing."""
    try:
        compiler = compiler_version(BOARD)
    except ToolError:
        return None
    with TemporaryDirectory(prefix="stapes-sizes-") as name:
        directory = Path(name)
        generated = generate(bundle, directory / "generated").directory
        app = str(firmware_dir() / "export" / "sizes.c")
        built = build_firmware(generated, BOARD, directory / "build", app, progress=progress)
    return Measured(built.flash_bytes, built.ram_bytes, built.stack_bytes, f"{compiler} -O2")
