"""`stapes bench audio`: what a microphone's samples cost before the front end sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import JsonOption, console, save_json, working


def bench_audio(
    target: Annotated[
        str,
        typer.Option("--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM or board:NAME@PORT."),
    ] = "qemu:mps2-an386",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/bench_audio/T].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Instructions a PCM sample from PDM, I2S and ADC, and whether the samples are the host's."""
    from stapes.bench.audio import bench_audio as bench

    with working(f"measuring microphones on {target}"):
        result = bench(target, out or Path("build/bench_audio") / target.replace(":", "_").replace("/", "_"))
    costs = ", ".join(f"{name} {count:,.0f}" for name, count in result["sources"].items())
    save_json(json, result)
    console.print(
        f"{target}: {result['counter']} a PCM sample: {costs}; "
        f"samples {'equal to' if result['equal'] else 'DIFFERENT from'} the host's",
    )
    if not result["equal"]:
        raise typer.Exit(1)
