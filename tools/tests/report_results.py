"""Results as `stapes evaluate` and `stapes frontend parity` write them, for tests of what is drawn of them."""

from __future__ import annotations

from typing import Any

FIGURES: dict[str, Any] = {"accuracy_mean": 0.8, "accuracy_sd": 0.1, "per_fold": [0.7, 0.9]}
EVALUATION: dict[str, Any] = {
    "folds": [1, 2],
    "labels": ["bell", "dog", "unknown"],
    "int8": FIGURES,
    "firmware": {**FIGURES, "confusion": [[7, 2, 1], [1, 9, 0]]},
}
EVALUATION_WITH_EVERYTHING: dict[str, Any] = {
    **EVALUATION,
    "float": FIGURES,
    "windows": {**FIGURES, "count": 40},
    "foreground": {"clips": 4, "accuracy": 0.75},
    "classes": [{"label": "bell", "clips": 10, "precision": 0.8, "recall": 0.7, "f1": 0.75}],
    "wrong": [{"clip": "<b>.wav", "fold": 1, "label": "bell", "said": "dog", "confidence": 0.9}],
    "calibration": {
        "ece": 0.05,
        "bins": [
            {"from": 0.0, "to": 0.5, "count": 0, "confidence": None, "accuracy": None},
            {"from": 0.5, "to": 1.0, "count": 20, "confidence": 0.8, "accuracy": 0.75},
        ],
    },
    "robustness": {"conditions": [{"group": "noise", "condition": "10 dB", "accuracy_mean": 0.6}]},
}
PARITY: dict[str, Any] = {
    "int8_equal_fraction": 0.999,
    "histogram": {"edges_nat": [1e-8, 1e-7, 1e-6, 1e-5], "counts": [5, 80, 15]},
}
