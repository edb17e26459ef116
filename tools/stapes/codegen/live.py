"""Writes stapes_live.h and stapes_live.c: how the device listens."""

from __future__ import annotations

from pathlib import Path

from stapes.codegen.emitter import Provenance, render, write_source
from stapes.reference import LiveRule


def generate_live(
    name: str, rule: LiveRule, *, slides: bool, directory: Path, provenance: Provenance
) -> list[Path]:
    """Write both files into `directory`."""
    context = {
        "provenance": provenance,
        "title": f"Bundle {name}: how the device listens",
        "rule": rule,
        "classes": len(rule.on),
        "slides": slides,
    }
    return [
        write_source(directory, file, render(f"{file.removeprefix('stapes_')}.j2", **context))
        for file in ("stapes_live.h", "stapes_live.c")
    ]
