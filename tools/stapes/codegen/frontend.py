"""Writes stapes_<name>_frontend.h and .c: the constants of one front end."""

from __future__ import annotations

from pathlib import Path

from stapes.codegen.emitter import Provenance, c_prefix, render, write_sources
from stapes.errors import RecipeError
from stapes.features import Tables


def generate_frontend(
    tables: Tables, directory: Path, provenance: Provenance, *, name: str, values: bool = False
) -> list[Path]:
    """Write both files into `directory`; see `frontend_sources`."""
    return write_sources(directory, frontend_sources(tables, provenance, name=name, values=values))


def frontend_sources(
    tables: Tables, provenance: Provenance, *, name: str, values: bool = False
) -> dict[str, str]:
    """The text of both files by name, for the bundle `name`.

    `values`: rows are the int32 logarithms of `FixedFrontend.log_mel`, for normalisation by window, not int8.
    """
    spec = tables.spec
    if values and (spec.n_mfcc or spec.pcen):
        raise RecipeError("only log-mel is normalised by window", hint="leave out n_mfcc and pcen")
    prefix = c_prefix(name)
    context = {
        "prefix": prefix,
        "macro": prefix.upper(),
        "provenance": provenance,
        "title": f"Front end: {spec.sample_rate} Hz, {spec.frame_length} samples every {spec.hop_length}, "
        f"{spec.n_mels} mel bands",
        "tables": tables,
        "spec": spec,
        "plain": not (spec.n_mfcc or spec.pcen),
        "load": _load(tables),
        "finish": "values" if values else "mfcc" if spec.n_mfcc else "pcen" if spec.pcen else "log",
        "row_bytes": spec.n_features * (4 if values else 1),
        "bias": tables.fixed_offset if values else tables.bias,
    }
    return {
        f"{prefix}_frontend.{suffix}": render(f"frontend.{suffix}.j2", **context) for suffix in ("h", "c")
    }


def _load(tables: Tables) -> str:
    """Which of the functions that window a frame: the fast one where nothing speaks against it."""
    if tables.emphasis or tables.reciprocal:
        return "conditioned"
    full = tables.spec.frame_length == tables.spec.n_fft and not tables.radix2_first
    return "full" if full else "any"
