"""`stapes build`: a bundle to a firmware image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, HistoryOption, JsonOption, console, progress_bar, save_json


def build(
    bundle: BundleArgument,
    board: Annotated[str, typer.Option("--board", metavar="B", help="A folder of firmware/boards.")] = "host",
    app: Annotated[
        str,
        typer.Option(
            "--app", metavar="A", help="hil, the harness's server, or live, which listens for ever."
        ),
    ] = "hil",
    history_seconds: HistoryOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Generate the C sources of a bundle and build the firmware of one board."""
    from stapes.device import history_text, live_definitions
    from stapes.firmware import build_bundle, find_program
    from stapes.firmware.boards import Board
    from stapes.firmware.build import require_compiler, tinyusb
    from stapes.firmware.pack import needs_packing, pack_image
    from stapes.recipe import Bundle

    require_compiler(board)
    loaded = Bundle.load(bundle)
    directory = out or Path("build") / loaded.manifest.name
    kept = live_definitions(app, history_seconds, loaded.manifest.frontend.sample_rate)
    with progress_bar() as progress:
        result = build_bundle(
            loaded, directory, board, directory / board, app, definitions=kept, progress=progress
        )
    console.print(f"{result.elf}", soft_wrap=True)
    # A compiler launcher may lose the call graph: ccache does, findings/ccache-loses-call-graphs.sh.
    stack = f"{result.stack_bytes:,} B" if result.stack_bytes else "unknown: no call graph from the compiler"
    console.print(
        f"flash {result.flash_bytes:,} B, RAM {result.ram_bytes:,} B and stack at most {stack}",
    )
    if usb := tinyusb(board):
        console.print(f"the line is the chip's own USB, by TinyUSB in {usb}", soft_wrap=True)
    if kept:
        console.print(history_text(kept))
    image: Path | None = None
    if needs_packing(Board.load(board)):
        if find_program("esptool") is None:
            console.print("not packed for flash: esptool is missing (pip install 'stapes[flash]')")
        else:
            image = result.elf.with_suffix(".bin")
            pack_image(result.elf, Board.load(board), image)
            console.print(f"{image}", soft_wrap=True)
    save_json(json, {"board": board, **result.as_json(), "image": str(image) if image else None})
