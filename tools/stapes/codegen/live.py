"""Writes stapes_live.h and stapes_live.c: how the device listens."""

from __future__ import annotations

from stapes.codegen.emitter import Provenance, render
from stapes.reference import LiveRule


def live_sources(name: str, rule: LiveRule, *, slides: bool, provenance: Provenance) -> dict[str, str]:
    """The text of both files by name."""
    context = {
        "provenance": provenance,
        "title": f"Bundle {name}: how the device listens",
        "rule": rule,
        "classes": len(rule.on),
        "slides": slides,
    }
    return {
        file: render(f"{file.removeprefix('stapes_')}.j2", **context)
        for file in ("stapes_live.h", "stapes_live.c")
    }
