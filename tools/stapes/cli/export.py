"""`stapes export`: a bundle as a library for another build system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, JsonOption, console, progress_bar, save_json


def export(
    bundle: BundleArgument,
    format_name: Annotated[
        str, typer.Option("--format", metavar="F", help="cmake, platformio, arduino, zephyr or esp-idf.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder that is empty or not there.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export in DIR.")] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Include the test harness's frames and messages.")
    ] = False,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Home page to name in the manifest.")] = "",
    is_measured: Annotated[
        bool,
        typer.Option("--measure/--no-measure", help="Build for a Cortex-M4 and put the sizes in the README."),
    ] = True,
    json: JsonOption = None,
) -> None:
    """Write runtime and generated sources as a self-contained library, with an example, licence and provenance."""
    from stapes.export import FORMATS, export_bundle, measure, require_free
    from stapes.recipe import Bundle

    loaded = Bundle.load(bundle)
    require_free(out, force=force)
    with progress_bar() as progress:
        measured = measure(loaded, progress=progress) if is_measured and format_name in FORMATS else None
    exported = export_bundle(loaded, format_name, out, force=force, link=link, url=url, measured=measured)
    save_json(json, exported.as_json())
    console.print(
        f"{exported.library.name} for {format_name}: {len(exported.files)} files in {out}, see README.md there",
    )
