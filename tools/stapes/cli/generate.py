"""`stapes generate`: a bundle to C sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, JsonOption, console, save_json


def generate(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the C files go.")],
    json: JsonOption = None,
) -> None:
    """Generate the C sources of a bundle: weights, call plan, front-end tables, labels."""
    from stapes.codegen import generate as generate_sources
    from stapes.recipe import Bundle

    generated = generate_sources(Bundle.load(bundle), out)
    summary = generated.summary()
    save_json(json, summary)
    for path in generated.files:
        console.print(f"{path}  {path.stat().st_size:,} B", soft_wrap=True)
    console.print(
        f"network: {len(generated.plan.layers)} layers, arena {summary['arena_bytes']:,} B, "
        f"weights {summary['weights_bytes']:,} B",
    )
