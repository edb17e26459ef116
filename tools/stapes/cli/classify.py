"""`stapes classify`: what the device would say of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stapes.cli.common import JsonOption, console, errors, note, progress_bar, save_json


def classify(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Recordings of any format and rate.")
    ],
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="BUNDLE", help="Directory of the bundle, e.g. models/esc10.")
    ],
    json: JsonOption = None,
) -> None:
    """What a device with this bundle would say of each recording as a whole, bit for bit, without a device.

    `stapes label` writes down when in a recording something is heard.
    """
    from rich.table import Table

    from stapes.errors import DataError
    from stapes.reference import Classifier

    classifier = Classifier(bundle)
    found: list[dict[str, Any]] = []
    with progress_bar(after=2.0) as progress:
        for done, file in enumerate(files):
            progress(file.name, done, len(files))
            try:
                found.append({"file": str(file), **_heard(classifier, file)})
            except DataError as error:
                found.append({"file": str(file), "error": error.message})
    save_json(json, {"bundle": classifier.bundle.manifest.name, "files": found})
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "label", "confidence", "next", "windows"):
        table.add_column(heading, justify="right" if heading == "windows" else "left", overflow="fold")
    for entry in found:
        if "error" not in entry:
            others = [(share, label) for label, share in entry["scores"].items() if label != entry["best"]]
            share, label = max(others, default=(0.0, ""))
            word = entry["label"] or f"unknown (best: {entry['best']})"
            following = f"{label} {share:.0%}" if others else ""
            table.add_row(entry["file"], word, f"{entry['confidence']:.0%}", following, str(entry["windows"]))
    if table.row_count:
        console.print(table)
    failed = [entry for entry in found if "error" in entry]
    for entry in failed:
        note("error:", entry["error"], "bold red", to=errors)
    if failed:
        raise typer.Exit(1)


def _heard(classifier: Any, file: Path) -> dict[str, Any]:
    result = classifier.classify(file)
    return {
        "label": result.label,
        "best": result.best,
        "confidence": result.confidence,
        "scores": dict(result.scores),
        "windows": len(result.windows),
    }
