"""`stapes bench live`, `stapes listen` and `stapes label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, save_json

TargetOption = Annotated[
    str,
    typer.Option(
        "--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM, board:NAME@PORT or a URL."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME/live].")
]


def bench_live(
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="BUNDLE", help="Directory of the bundle, e.g. models/esc10.")
    ],
    target: TargetOption = "host",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="Sound that the device hears.")] = 20.0,
    out: OutOption = None,
    json: JsonOption = None,
) -> None:
    """What listening costs: a hop, a second, the longest step, flash and RAM of the whole application."""
    from stapes.live import bench_live as measure
    from stapes.recipe import Bundle

    loaded = Bundle.load(bundle)
    result = measure(loaded, target, out or Path("build") / loaded.manifest.name / "live", seconds=seconds)
    console.print(bench_text(result), highlight=False)
    save_json(json, result)
    if result["sliding_equals_scratch"] is False or not result["events_equal_to_python"]:
        raise typer.Exit(1)


def bench_text(result: dict[str, Any]) -> str:
    """The figures as lines."""
    lines = [f"{result['bundle']} on {result['target']}: {result['why']}"]
    if result["instructions_per_second"] is not None:
        if result["slides"]:
            lines.append(
                f"a hop: {result['instructions_per_hop']:,} instructions, {result['hop_over_ideal']:.2f} of the "
                f"kernels' for new rows alone, {result['hop_over_scratch']:.2f} of a window from scratch "
                f"({result['instructions_per_window_from_scratch']:,}; overlap {100 * result['overlap']:.0f} %)"
            )
        else:
            lines.append(
                f"a window: {result['instructions_per_window_from_scratch']:,} instructions, each from scratch"
            )
        lines.append(
            f"a second: {result['instructions_per_second']:,} instructions, "
            f"{result['cpu_percent_at_80_mhz']:.1f} % of 80 MHz at one a cycle (a stand-in for cycles)"
        )
        lines.append(
            f"longest step: {result['worst_step_instructions']:,} instructions, "
            f"{result['worst_step_ms_at_80_mhz']:.1f} ms at 80 MHz; a frame is {result['frame_ms']:.1f} ms"
        )
    ram = result["ram_bytes"]
    lines.append(
        f"flash {result['flash_bytes']['total']:,} B; RAM {ram['total']:,} B: static {ram['static']:,} "
        f"(arena {ram['arena']:,}), stack {ram['stack']:,}"
    )
    same = {None: "does not slide", True: "equals scratch", False: "DIFFERS from scratch"}
    lines.append(
        f"sliding {same[result['sliding_equals_scratch']]}; {result['events']} events, "
        f"{'equal to' if result['events_equal_to_python'] else 'DIFFERENT from'} Python's; "
        f"{result['windows']} windows, {result['dropped_samples']} samples dropped"
    )
    return "\n".join(lines)
