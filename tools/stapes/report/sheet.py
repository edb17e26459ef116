"""Pictures of features side by side in one SVG file that needs no other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from stapes.report.picture import HEAT, data_uri

_WIDTH, _HEIGHT, _TITLE, _GAP = 230, 110, 16, 12


def sheet(pictures: Sequence[tuple[str, npt.NDArray[np.float32]]], columns: int = 3) -> str:
    """An SVG of titled pictures of features [frames, bands], all in the colours of the same range of values."""
    low = min(float(values.min()) for _, values in pictures)
    high = max(float(values.max()) for _, values in pictures)
    parts = []
    for number, (title, values) in enumerate(pictures):
        x = _GAP + (number % columns) * (_WIDTH + _GAP)
        y = _GAP + (number // columns) * (_HEIGHT + _TITLE + _GAP)
        levels = np.rint((values - low) * (255 / max(high - low, 1e-9))).astype(np.int64)
        parts.append(
            f'<text x="{x}" y="{y + _TITLE - 5}">{escape(title)}</text>\n'
            f'<image x="{x}" y="{y + _TITLE}" width="{_WIDTH}" height="{_HEIGHT}" preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" href="{data_uri(levels, 0, 255, HEAT)}"/>'
        )
    rows = -(-len(pictures) // columns)
    width, height = _GAP + columns * (_WIDTH + _GAP), _GAP + rows * (_HEIGHT + _TITLE + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
