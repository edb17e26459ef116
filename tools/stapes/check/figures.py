"""Figures about decisions: what each class gets, and whether confidence means what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CALIBRATION_BINS = 10


def class_figures(labels: Sequence[str], confusion: npt.NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each label, from counts [true][predicted].

    Columns after the labels (unknown) count as not found. A ratio without a denominator is 0: nothing was found.
    """
    figures = []
    for index, label in enumerate(labels):
        right = int(confusion[index, index])
        found, there = int(confusion[:, index].sum()), int(confusion[index].sum())
        figures.append(
            {
                "label": label,
                "clips": there,
                "precision": right / found if found else 0.0,
                "recall": right / there if there else 0.0,
                "f1": 2 * right / (found + there) if right else 0.0,
            }
        )
    return figures


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Expected calibration error and what it comes from (Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017): in ten bins of confidence (0 to 1), its mean and the share that was right.

    `ece` is the mean distance of the two, weighted with the number of decisions in a bin.
    """
    values, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    place = np.clip((values * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    bins: list[dict[str, Any]] = []
    error = 0.0
    for number in range(CALIBRATION_BINS):
        here = place == number
        count = int(here.sum())
        mean = float(values[here].mean()) if count else None
        share = float(hits[here].mean()) if count else None
        if mean is not None and share is not None:
            error += abs(mean - share) * count / len(values)
        bins.append(
            {
                "from": number / CALIBRATION_BINS,
                "to": (number + 1) / CALIBRATION_BINS,
                "count": count,
                "confidence": mean,
                "accuracy": share,
            }
        )
    return {"ece": error, "bins": bins}
