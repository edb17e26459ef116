"""A network alone, without a bundle, in an application that asks for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stapes.files import sha256
from stapes.firmware.build import BuildResult, build_firmware
from stapes.progress import Progress, no_progress

if TYPE_CHECKING:
    from stapes.compiler import Plan


def build_network(
    plan: Plan,
    model: bytes,
    directory: Path,
    board: str,
    app: str,
    macro: str,
    *,
    name: str,
    progress: Progress = no_progress,
) -> BuildResult:
    """Write the C of `plan`, that of the .tflite `model` which is called `name`, into `directory`/generated and build
    `app` with it for `board` beside that; `macro` is NAME=VALUE for the compiler. Raises as `build_firmware`.
    """
    from stapes.codegen.emitter import Provenance
    from stapes.codegen.model import generate_model

    generated = directory / "generated"
    generate_model(plan, generated, Provenance({name: sha256(model)}), name="app")
    return build_firmware(
        generated,
        board,
        directory / board,
        app=app,
        definitions={"CMAKE_C_FLAGS": f"-D{macro}"},
        progress=progress,
    )
