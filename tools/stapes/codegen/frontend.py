"""Writes stapes_<name>_frontend.h and .c: the constants of one front end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.codegen.emitter import Provenance, c_prefix, render, write_sources
from stapes.errors import RecipeError
from stapes.features import FrontendTables, Tables


def generate_frontend(
    tables: FrontendTables, directory: Path, provenance: Provenance, *, name: str, values: bool = False
) -> list[Path]:
    """Write both files into `directory`; see `frontend_sources`."""
    return write_sources(directory, frontend_sources(tables, provenance, name=name, values=values))


def frontend_sources(
    tables: FrontendTables, provenance: Provenance, *, name: str, values: bool = False
) -> dict[str, str]:
    """The text of both files by name, for the bundle `name`.

    `values`: rows are the int32 logarithms of `FixedFrontend.log_mel`, for normalisation by window, not int8.
    """
    spec = tables.spec
    if values and spec.kind != "log-mel":
        raise RecipeError("only log-mel is normalised by window", hint="leave out n_mfcc, pcen and micro")
    prefix = c_prefix(name)
    context: dict[str, Any] = {
        "prefix": prefix,
        "macro": prefix.upper(),
        "provenance": provenance,
        "title": f"Front end: {spec.sample_rate} Hz, {spec.frame_length} samples every {spec.hop_length}, "
        f"{spec.n_mels} mel bands",
        "tables": tables,
        "spec": spec,
        "row_bytes": spec.n_features * (4 if values else 1),
    }
    source = "frontend_micro.c.j2"
    if isinstance(tables, Tables):
        source = "frontend.c.j2"
        context |= _mel(tables, values)
    else:
        context["twiddles"] = _words(tables.twiddles)
    return {
        f"{prefix}_frontend.h": render("frontend.h.j2", **context),
        f"{prefix}_frontend.c": render(source, **context),
    }


def _words(turns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Pairs as words: the first in the low half, the second in the high one."""
    halves = turns & 0xFFFF
    words: npt.NDArray[np.int64] = halves[:, 0] | halves[:, 1] << 16
    return words


def _mel(tables: Tables, values: bool) -> dict[str, Any]:
    """What the template needs besides for rows of mel bands."""
    spec = tables.spec
    return {
        "plain": spec.kind == "log-mel",
        "load": _load(tables),
        "finish": "values" if values else "mfcc" if spec.n_mfcc else "pcen" if spec.pcen else "log",
        "bias": tables.fixed_offset if values else tables.bias,
    }


def _load(tables: Tables) -> str:
    """Which of the functions that window a frame: the fast one where nothing speaks against it."""
    if tables.emphasis or tables.reciprocal:
        return "conditioned"
    full = tables.spec.frame_length == tables.spec.n_fft and not tables.radix2_first
    return "full" if full else "any"
