"""Figures of tags against figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stapes.check.tags import mean_of, tag_figures

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def test_figures_of_each_tag() -> None:
    """Of dog, clips 0 and 2 of 0, 1, 2 are found and 3 is made up; rain is never said; nothing is there of fan."""
    truth = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    scores = np.array([[0.9, 0.2, 0.1], [0.3, 0.4, 0.2], [0.6, 0.3, 0.9], [0.7, 0.1, 0.1]])
    dog, rain, fan = tag_figures(("dog", "rain", "fan"), truth, scores >= 0.5, scores)
    # Of dog, by falling score: right, wrong, right, right.
    assert dog == {"label": "dog", "clips": 3, "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3),
                   "f1": pytest.approx(2 / 3), "average_precision": pytest.approx((1 + 2 / 3 + 3 / 4) / 3)}  # fmt: skip
    # Of rain: wrong, right, right.
    assert rain == {"label": "rain", "clips": 2, "precision": None, "recall": 0.0, "f1": 0.0,
                    "average_precision": pytest.approx((1 / 2 + 2 / 3) / 2)}  # fmt: skip
    assert fan == {"label": "fan", "clips": 0, "precision": 0.0, "recall": None, "f1": 0.0,
                   "average_precision": None}  # fmt: skip
    assert mean_of([dog, rain, fan], "average_precision") == pytest.approx((29 / 36 + 7 / 12) / 2)
    assert mean_of([fan], "recall") is None
