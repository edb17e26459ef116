"""Figures by class and of calibration: against counts by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from stapes.check.figures import calibration, class_figures


def test_by_hand() -> None:
    # dog: 3 of 4 found, one called cat; cat: 1 of 2 found, one unknown; nobody ever says eel.
    confusion = np.array([[3, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 2]])
    dog, cat, eel = class_figures(("dog", "cat", "eel"), confusion)
    assert dog == {"label": "dog", "clips": 4, "precision": 1.0, "recall": 0.75, "f1": 6 / 7}
    assert cat == {"label": "cat", "clips": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert eel == {"label": "eel", "clips": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_against_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed (extra 'train')")
    random = np.random.default_rng(3)
    truth, found = random.integers(0, 5, 300), random.integers(0, 5, 300)
    found[:150] = truth[:150]
    confusion = np.zeros((5, 6), dtype=int)
    np.add.at(confusion, (truth, found), 1)
    ours = class_figures("abcde", confusion)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, found)
    for index, row in enumerate(ours):
        assert row["precision"] == pytest.approx(precision[index])
        assert row["recall"] == pytest.approx(recall[index])
        assert row["f1"] == pytest.approx(f1[index])
        assert row["clips"] == support[index]


def test_calibration() -> None:
    found = calibration([0.95, 0.95, 0.55, 0.55, 1.0], [True, True, True, False, False])
    bins = {round(10 * bin["from"]): bin for bin in found["bins"]}
    assert bins[9]["count"] == 3, "full confidence belongs to the last bin"
    assert bins[9]["accuracy"] == pytest.approx(2 / 3)
    assert bins[5] == {"from": 0.5, "to": 0.6, "count": 2, "confidence": pytest.approx(0.55), "accuracy": 0.5}
    assert bins[0]["confidence"] is None
    expected = 3 / 5 * abs((0.95 + 0.95 + 1.0) / 3 - 2 / 3) + 2 / 5 * 0.05
    assert found["ece"] == pytest.approx(expected)


def test_who_is_always_sure_and_half_right_is_badly_calibrated() -> None:
    assert calibration([1.0] * 100, [True, False] * 50)["ece"] == pytest.approx(0.5)
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 20000)
    assert calibration(confidence.tolist(), (rng.random(20000) < confidence).tolist())["ece"] < 0.02
