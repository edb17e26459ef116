"""`stapes link soak`: what a target's link does on a bad line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import JsonOption, console, progress_bar, save_json, working

app = typer.Typer(help="The serial link to a target.", no_args_is_help=True)


@app.callback()
def _main() -> None:
    pass


@app.command()
def soak(
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="T", help="host, qemu:MACHINE, renode:PLATFORM, board:NAME@PORT or a URL."
        ),
    ] = "host",
    faults: Annotated[
        str, typer.Option("--faults", metavar="F", help="all, none, or names separated by commas.")
    ] = "all",
    frames: Annotated[int, typer.Option("--frames", min=1, metavar="N", help="Frames both ways.")] = 100_000,
    rate: Annotated[
        float, typer.Option("--rate", min=0.0, max=0.5, metavar="P", help="Share of frames that are hit.")
    ] = 0.01,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same faults for the same seed.")] = 1,
    bundle: Annotated[Path, typer.Option("--bundle", metavar="DIR", help="What the target runs.")] = Path(
        "models/esc10"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Build directory [build/NAME].")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Stream sound over a line that damages frames; count crashes, hangs and wrong results."""
    from stapes.check.soak import soak as run
    from stapes.device import prepare
    from stapes.link.faults import parse_faults
    from stapes.recipe import Bundle
    from stapes.targets import largest_payload, open_target

    chosen = parse_faults(faults)
    loaded = Bundle.load(bundle)
    with working(f"building for {target}"):
        prepared = prepare(loaded, target, out or Path("build") / loaded.manifest.name)
    with progress_bar() as progress, open_target(target, prepared.elf) as stream:
        report = run(
            stream,
            faults=chosen,
            frames=frames,
            rate=rate,
            seed=seed,
            largest_payload=largest_payload(target),
            progress=progress,
        )
    hit = ", ".join(f"{count} {name}" for name, count in sorted(report.injected.items())) or "none"
    save_json(json, report.as_json())
    console.print(
        f"{report.frames:,} frames on {target}, {sum(report.injected.values()):,} of them hit: {hit}\n"
        f"crashes {report.crashes}, hangs {report.hangs}, wrong results accepted {report.wrong_results_accepted}, "
        f"throughput {report.throughput_ratio:.0%} of the clean line's {2 * report.throughput_clean:,.0f} B/s",
    )
    if not report.passed:
        console.print(f"first: {report.first_wrong}")
        raise typer.Exit(1)
