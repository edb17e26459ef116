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
    sums = int(filters.low_pass.sum(dtype=int)) * int(filters.half_band_taps.sum())
    unit_gain = round(2**62 / (FULL_SCALE * sums))
    return write_source(
        directory, "pdm_taps.h", render("pdm_taps.h.j2", filters=filters, unit_gain=unit_gain)
    )


if __name__ == "__main__":
    print(generate_pdm(design(), Path(sys.argv[1])))
