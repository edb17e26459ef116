"""`stapes export`: a bundle as a library for another build system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import BundleArgument, JsonOption, console, save_json


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
    json: JsonOption = None,
) -> None:
    """Write runtime and generated sources as a self-contained library, with an example, licence and provenance."""
    from stapes.export import export_bundle
    from stapes.recipe import Bundle

    exported = export_bundle(Bundle.load(bundle), format_name, out, force=force, link=link, url=url)
    save_json(json, exported.as_json())
    console.print(
        f"{exported.library.name} for {format_name}: {len(exported.files)} files in {out}, see README.md there",
    )
