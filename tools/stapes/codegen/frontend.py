"""Writes stapes_frontend_tables.h and stapes_frontend_tables.c: the constants of one front end."""

from __future__ import annotations

from pathlib import Path

from stapes.codegen.emitter import Provenance, render, write_source
from stapes.features import Tables


def generate_frontend(tables: Tables, directory: Path, provenance: Provenance) -> list[Path]:
    """Write both files into `directory`."""
    spec = tables.spec
    context = {
        "provenance": provenance,
        "title": f"Front end: {spec.sample_rate} Hz, {spec.frame_length} samples every {spec.hop_length}, "
        f"{spec.n_mels} mel bands",
        "tables": tables,
        "spec": spec,
    }
    return [
        write_source(directory, name, render(f"{name.removeprefix('stapes_')}.j2", **context))
        for name in ("stapes_frontend_tables.h", "stapes_frontend_tables.c")
    ]
