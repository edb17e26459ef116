"""Writes firmware/audio/pdm_taps.h; `python -m stapes.codegen.pdm firmware/audio` designs the filters again."""

from __future__ import annotations

import sys
from pathlib import Path

from stapes.codegen.emitter import render, write_source
from stapes.features.pdm import PdmFilters, design

FULL_SCALE = 28672
"""What the running sums are scaled to when every bit is 1; see firmware/audio/pdm.c."""


def generate_pdm(filters: PdmFilters, directory: Path) -> Path:
    """Write the header into `directory`."""
    low_pass = int(filters.low_pass.sum(dtype=int))
    half_band = int(filters.half_band_taps.sum())
    units = {
        "pdm_unit": round(2**62 / (FULL_SCALE * low_pass * half_band)),
        "adc_unit": round(2**34 / half_band),
    }
    return write_source(directory, "pdm_taps.h", render("pdm_taps.h.j2", filters=filters, **units))


if __name__ == "__main__":
    print(generate_pdm(design(), Path(sys.argv[1])))
