"""A short version of the hour: a scene with known events; the scores of events; false alarms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from live_bundle import LABELS, make_live_bundle

from stapes.bench.events import bench_events, false_alarms, score_events
from stapes.cli.live import _events_text
from stapes.files import json_text
from stapes.live.scene import Truth, active_span, scene
from stapes.recipe import LiveSpec
from stapes.reference import LiveEvent, LiveKind

RATE = 16000


def sounds(seed: int) -> list[tuple[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        (label, (random.normal(0, 3000, 2 * RATE) * (np.arange(2 * RATE) < RATE)).astype(np.int16))
        for label in LABELS[:3]
    ]


def end(index: int, start: float, stop: float, score: int = 100) -> LiveEvent:
    return LiveEvent(LiveKind.END, index, round(start * RATE), round(stop * RATE), score, 0, 0)


def test_a_minute_equals_python_and_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("sed_eval")
    bundle = make_live_bundle(tmp_path / "bundle", LiveSpec(threshold=0.3, gate=True), seed=4)
    result = bench_events(
        bundle, sounds(1), tmp_path / "build", seconds=60.0, target="host", target_seconds=20.0
    )
    assert result["equal_to_python"] is True
    assert result["target"]["equal_to_python"] is True
    assert result["dropped_samples"] == result["target"]["dropped_samples"] == 0
    assert result["events"] > 0 and result["windows"] > 0
    assert set(result["false_alarms_per_hour"]) == {
        "gate_rejection", "gate_no_rejection", "no_gate_rejection", "no_gate_no_rejection"
    }  # fmt: skip
    # The same with nothing found and nothing to be found, in the terminal's words and as JSON.
    result |= {"source": "silence", "scores": score_events([], [], LABELS, RATE), "times_real_time": None}
    assert "F1 – by onset" in _events_text(result) and "clip accuracy –" in _events_text(result)
    assert "– by segments of 1 s" in _events_text(result)
    scores = json.loads(json_text(result))["scores"]
    assert scores["onset"]["f_measure"] is scores["segment"]["f_measure"] is None


def test_a_scene_is_as_long_as_asked_and_says_where_its_events_are() -> None:
    pieces = list(scene(sounds(2), RATE, 90.0, seed=3))
    pcm = np.concatenate([piece.pcm for piece in pieces])
    assert len(pcm) == 90 * RATE
    truth = [piece.truth for piece in pieces if piece.truth]
    assert len(truth) > 3
    for one in truth:
        assert abs(one.end - one.start - 1.0) < 0.05  # the second half of every sound is silence
        inside = pcm[round(one.start * RATE) : round(one.end * RATE)].astype(float)
        assert np.sqrt((inside**2).mean()) > 2000
    again = np.concatenate([piece.pcm for piece in scene(sounds(2), RATE, 90.0, seed=3)])
    assert np.array_equal(pcm, again)


def test_scores_of_events() -> None:
    pytest.importorskip("sed_eval")
    truth = [Truth("bell", 1.0, 3.0), Truth("dog", 10.0, 11.0), Truth("rain", 20.0, 30.0)]
    exact = [end(0, 1.0, 3.0), end(1, 10.0, 11.0), end(2, 20.0, 30.0)]
    result = score_events(exact, truth, LABELS, RATE)
    assert result["onset"]["f_measure"] == result["onset_and_offset"]["f_measure"] == 1.0
    assert result["clip_accuracy"] == 1.0
    late = [end(0, 1.4, 3.0), end(1, 10.6, 11.6), end(2, 20.0, 24.0), end(1, 20.0, 22.0, 200)]
    result = score_events(late, truth, LABELS, RATE)
    assert result["onset"] == pytest.approx({"f_measure": 4 / 7, "precision": 0.5, "recall": 2 / 3})
    assert result["onset_and_offset"]["recall"] == pytest.approx(1 / 3)
    assert result["clip_accuracy"] == pytest.approx(2 / 3)  # the dog has the higher score in the rain


def test_scores_of_segments() -> None:
    """By hand: of the bell seconds 1 and 2 are found and 3 is made up; the dog's 10 and 11 are found as rain."""
    pytest.importorskip("sed_eval")
    truth = [Truth("bell", 1.0, 3.0), Truth("dog", 10.5, 11.2)]
    found = [end(0, 1.9, 3.1), end(2, 10.6, 11.4)]
    result = score_events(found, truth, LABELS, RATE)["segment"]
    assert result == pytest.approx({"precision": 2 / 5, "recall": 2 / 4, "f_measure": 4 / 9})


def test_nothing_detected_is_a_result() -> None:
    """Every figure is there or null, and JSON takes it."""
    pytest.importorskip("sed_eval")
    nothing = score_events([], [Truth("bell", 1.0, 3.0)], LABELS, RATE)
    wrong = score_events([end(0, 1.0, 3.0)], [], LABELS, RATE)
    for kind in ("onset", "onset_and_offset", "segment"):
        assert nothing[kind] == {"f_measure": 0.0, "precision": None, "recall": 0.0}
        assert wrong[kind] == {"f_measure": 0.0, "precision": 0.0, "recall": None}
    assert nothing["clip_accuracy"] == 0.0
    json.dumps([nothing, wrong], allow_nan=False)


def test_false_alarms_lie_outside_of_all_events() -> None:
    truth = [Truth("bell", 10.0, 12.0)]
    events = [end(1, 10.5, 11.0), end(0, 13.0, 14.0), end(0, 15.5, 16.0), end(2, 0.0, 1.0)]
    assert false_alarms(events, truth, RATE, 2.0) == 2


def test_active_span() -> None:
    pcm = np.zeros(RATE, np.int16)
    pcm[4000:8000] = 1000
    assert active_span(pcm, RATE) == pytest.approx((0.24, 0.5), abs=0.021)
