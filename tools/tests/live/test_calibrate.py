"""Calibration finds the thresholds and lags that were put into made-up scores."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from small_bundle import make_small_bundle

from stapes.errors import DataError
from stapes.live.calibrate import Heard, calibrate, fitted, section, too_few
from stapes.live.scene import Sound, Truth
from stapes.recipe import Bundle, LiveSpec

LABELS = ("bell", "dog", "other")


def heard(truth: list[Truth], late: float, hop: float = 0.25, length: float = 1.0) -> list[Heard]:
    """Windows whose class scores 0.6 (bell) or 0.9 (dog) from `late` seconds after the start to the end of an event."""
    windows = []
    for end in np.arange(length, 60.0, hop):
        scores = [0.3, 0.7, 0.0]
        for event in truth:
            if event.start + late <= end <= event.end + 0.5:
                scores = [0.62, 0.1, 0.0] if event.label == "bell" else [0.1, 0.92, 0.0]
        windows.append(Heard(end - length, end, tuple(scores)))
    return windows


def test_thresholds_and_lags_are_found() -> None:
    truth = [Truth(label, start, start + 3.0) for start, label in enumerate(("bell", "dog") * 5)]
    truth = [Truth(one.label, 5.0 * i + 2.0, 5.0 * i + 5.0) for i, one in enumerate(truth)]
    live = fitted(LiveSpec(other="other", windows=1), LABELS, heard(truth, 0.5), truth)
    assert live.thresholds == {"bell": 0.6, "dog": 0.9}
    assert live.start_lag_seconds == 0.5
    assert live.end_lag_seconds == 0.5
    assert live.windows == 1


def test_tags_are_found_beside_a_louder_one() -> None:
    """The bell never has the highest score: that hides it from a device that chooses, not from one that tags."""
    truth = [Truth("bell", 2.0, 5.0), Truth("bell", 12.0, 15.0)]
    beside = [Heard(one.start, one.end, (one.scores[0], 0.95, 0.0)) for one in heard(truth, 0.5)]
    assert fitted(LiveSpec(multi_label=True), LABELS, beside, truth).start_lag_seconds == 0.5
    assert fitted(LiveSpec(), LABELS, beside, truth).start_lag_seconds == 0.0


def test_a_class_without_examples_keeps_the_common_threshold() -> None:
    truth = [Truth("bell", 2.0, 5.0)]
    assert set(fitted(LiveSpec(), LABELS, heard(truth, 0.5), truth).thresholds) == {"bell"}
    assert fitted(LiveSpec(), LABELS, [], []) == LiveSpec()


def test_a_lag_of_nothing_is_not_the_default() -> None:
    truth = [Truth("bell", 2.0, 5.5)]
    live = fitted(LiveSpec(), LABELS, heard(truth, 0.0)[4:], truth, 0.032)
    assert 0.032 <= live.start_lag_seconds <= 0.25
    late = [Heard(one.start - 1.0, one.end - 0.8, one.scores) for one in heard(truth, 0.0)]
    assert fitted(LiveSpec(), LABELS, late, truth, 0.032).end_lag_seconds == 0.04


def test_the_section_is_what_was_found() -> None:
    thresholds = {"bell": 0.4, 'Glas "splittert"': 0.5, "grün": 0.25}
    live = LiveSpec(smoothing="energy", gate=True, thresholds=thresholds, start_lag_seconds=0.25)
    parsed = tomllib.loads(section(live))["live"]
    assert LiveSpec.model_validate(parsed) == live
    assert tomllib.loads(section(LiveSpec())) == {"live": {}}


def test_too_few_sounds_are_refused_or_named(tmp_path: Path) -> None:
    made = make_small_bundle(tmp_path)
    live = LiveSpec(other="rain", thresholds={"dog": 0.3}, level_seconds=0.0)
    bundle = Bundle(made.directory, made.manifest.model_copy(update={"live": live}), made.files)
    rng = np.random.default_rng(1)

    def sounds(**counts: int) -> list[Sound]:
        return [
            (label, rng.integers(-900, 900, 9000).astype(np.int16))
            for label, n in counts.items()
            for _ in range(n)
        ]

    with pytest.raises(DataError, match=r"too few sounds to calibrate with: bell 7, dog 2; a class needs 8"):
        calibrate(bundle, sounds(bell=7, dog=2, rain=50))
    assert too_few(bundle, sounds(bell=8, dog=2)) == {"dog": 2}
    found = calibrate(bundle, sounds(bell=8, dog=2), seconds=20.0)
    assert found.thresholds["dog"] == 0.3, "a class with too few keeps what it has"
