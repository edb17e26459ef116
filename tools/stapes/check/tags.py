"""Figures about tags: each class of a clip judged by itself, so that several may sound, or none."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.packages import needed_for, require

Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


def require_tag_packages() -> None:
    """Raise `ToolError` before the long part where tags cannot be scored."""
    require("scoring tags", "sklearn")


def tag_figures(labels: Sequence[str], truth: Bools, found: Bools, scores: Float64) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each tag as it was `found`, and scikit-learn's average precision of its `scores`, of
    whatever threshold; all [clips, tags].

    A precision of nothing found, a recall of nothing there and an average precision of either are None.
    """
    with needed_for("scoring tags", "sklearn"):
        from sklearn.metrics import average_precision_score
    figures = []
    for index, label in enumerate(labels):
        there, said = truth[:, index], found[:, index]
        right, clips, tags = int((there & said).sum()), int(there.sum()), int(said.sum())
        figures.append(
            {
                "label": label,
                "clips": clips,
                "precision": right / tags if tags else None,
                "recall": right / clips if clips else None,
                "f1": 2 * right / (clips + tags) if clips + tags else None,
                "average_precision": float(average_precision_score(there, scores[:, index]))
                if clips
                else None,
            }
        )
    return figures


def mean_of(figures: Sequence[dict[str, Any]], key: str) -> float | None:
    """The mean over the tags that have such a figure; None where none has."""
    values = [row[key] for row in figures if row[key] is not None]
    return fmean(values) if values else None
