"""`stapes review`: look at recordings, hear them, correct their labels by a click."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.common import JsonOption, attended, console, progress_bar, save_json


def review(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Recordings, labelled or not.")],
    bundle: Annotated[
        Path,
        typer.Option("--bundle", metavar="BUNDLE", help="The bundle that hears them, e.g. models/esc10."),
    ],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: any.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    json: JsonOption = None,
) -> None:
    """Show clips with spectrogram, sound and the network's scores, doubtful ones first; a click corrects the label.

    The page is served to this machine only and needs no internet. Corrections go to DIR/clips.csv at once. Ctrl-C ends.
    """
    from stapes.recipe import Bundle
    from stapes.review import Review, ReviewServer

    loaded = Bundle.load(bundle)
    with progress_bar() as progress:
        reviewed = Review(directory, loaded, progress)
    manifest = loaded.manifest
    with ReviewServer(reviewed, manifest.frontend, manifest.name, port) as server:
        console.print(f"{len(reviewed.entries)} clips: {server.url}", soft_wrap=True)
        console.print("Ctrl-C ends")
        if browser:
            webbrowser.open(server.url)
        try:
            with attended():
                server.serve_forever(poll_interval=0.1)
        finally:
            changes = reviewed.changes()
            save_json(json, {"clips": len(reviewed.entries), "changes": changes})
            if changes:
                table = directory / "clips.csv"
                text = f'{table}: {", ".join(changes)}. To train with it: kind = "csv" under [dataset]'
                console.print(text, soft_wrap=True)
            else:
                console.print("no label changed")
