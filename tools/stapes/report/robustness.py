"""Writes README.md's table of how well the committed models hold up: `python -m stapes.report.robustness`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stapes.definitions import firmware_dir
from stapes.files import with_tables, write_atomic

COLUMNS = {
    "as recorded": "as recorded",
    "white noise 20 dB below": "white, SNR 20 dB",
    "10 dB below": "white, SNR 10 dB",
    "as loud": "white, SNR 0 dB",
    "20 dB quieter": "-20 dB",
    "20 dB louder": "+20 dB",
}
"""Title of each column, and the condition of `stapes evaluate --robustness` that it shows."""


def readme(text: str, models: Path) -> str:
    """`text` with the table between `<!-- robustness -->` and `<!-- end -->` written again.

    A row for each bundle in `models` whose metrics.json has such figures. Raises `KeyError` where `text` has no place
    for the table.
    """
    return with_tables(text, ("robustness",), lambda _: _table(models))


def _table(models: Path) -> str:
    rows = [["bundle", *COLUMNS], ["---", *("---:" for _ in COLUMNS)]]
    for path in sorted(models.glob("*/metrics.json")):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if "robustness" in metrics:
            rows.append([f"`models/{path.parent.name}`", *_figures(metrics["robustness"])])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _figures(found: dict[str, Any]) -> list[str]:
    means = {row["condition"]: row["accuracy_mean"] for row in found["conditions"]}
    return [f"{100 * means[name]:.1f} %" for name in COLUMNS.values()]


def places() -> tuple[Path, Path]:
    """README.md and the folder of the committed bundles, in a checkout."""
    root = firmware_dir().parent
    return root / "README.md", root / "models"


if __name__ == "__main__":
    page, models = places()
    write_atomic(page, readme(page.read_text(encoding="utf-8"), models))
