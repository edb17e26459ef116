"""`stapes flash`: a bundle onto a real board."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import HistoryOption, JsonOption, console, progress_bar, save_json


def flash(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="[BUNDLE]", help="Directory of the bundle; the recorder needs none."),
    ] = None,
    *,
    board: Annotated[str, typer.Option("--board", metavar="B", help="A folder of firmware/boards.")],
    port: Annotated[
        str | None,
        typer.Option(
            "--port", metavar="P", help="The board's UART: a device, auto (by USB ids) or auto:SERIAL."
        ),
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option("--probe", metavar="ID", help="Serial number of the debug probe, or part of it."),
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            "--tool",
            metavar="T",
            help="pyocd, openocd, st-flash, stm32loader or esptool [the first installed].",
        ),
    ] = None,
    app: Annotated[
        str,
        typer.Option(
            "--app",
            metavar="A",
            help="hil, the harness's server; live, which listens for ever; record, which records.",
        ),
    ] = "hil",
    history_seconds: HistoryOption = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", metavar="FILE", help="An ELF or .bin to write instead of building one."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact commands, run none.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Build a bundle's firmware, write it to a board, verify it, and ask the board what it runs."""
    from stapes.device import history_text, live_definitions
    from stapes.device.flash import confirm, plan_flash, run_flash
    from stapes.recipe import Bundle

    loaded = Bundle.load(bundle) if bundle and app != "record" else None
    name = loaded.manifest.name if loaded else app
    rate = loaded.manifest.frontend.sample_rate if loaded else 0
    kept = live_definitions(app, history_seconds, rate)
    with progress_bar() as progress:
        plan = plan_flash(
            loaded,
            board,
            out or Path("build") / name,
            app=app,
            image=image,
            tool=tool,
            probe=probe,
            port=port,
            dry=dry_run,
            definitions=kept,
            progress=progress,
        )
    if kept:
        console.print(history_text(kept))
    if dry_run:
        for command in plan.commands():
            console.print(shlex.join(command), soft_wrap=True)
        save_json(
            json, {"dry_run": True, "board": board, "tool": plan.tool.name, "commands": plan.commands()}
        )
        return
    with progress_bar() as progress:
        result = run_flash(plan, progress=progress)
    console.print(
        f"{result.job.image.size:,} bytes written to {plan.board.chip} ({result.identity.text}) by {result.tool} "
        f"and verified, {result.seconds:.1f} s",
    )
    hello = confirm(loaded, board, result.job.port, plan.build_id) if result.job.port else None
    if hello is not None:
        console.print(
            f"{hello.board} on {result.job.port} runs build {hello.build_id} of {name}",
        )
    else:
        console.print("not asked what it runs: give --port P or --port auto for that")
    save_json(
        json,
        {
            "dry_run": False,
            **result.as_json(),
            "confirmed": hello is not None,
            "build_id": hello.build_id if hello else plan.build_id,
            "bundle_hash": loaded.hash if loaded else None,
        },
    )
