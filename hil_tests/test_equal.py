"""The device computes what Python computes: every feature, every layer, every score, every decision."""

from stapes.check import CheckReport, ClipSet


def test_every_clip_ran(stapes_report: CheckReport, stapes_clips: ClipSet) -> None:
    assert [result.clip for result in stapes_report.results] == [clip.name for clip in stapes_clips.clips]
    assert all(result.windows > 0 for result in stapes_report.results)


def test_the_sound_arrived(stapes_report: CheckReport) -> None:
    assert all(result.pcm_equal for result in stapes_report.results), str(stapes_report.first_difference)


def test_features(stapes_report: CheckReport) -> None:
    assert all(result.features_equal for result in stapes_report.results), str(stapes_report.first_difference)


def test_every_layer(stapes_report: CheckReport) -> None:
    assert all(result.layers_equal for result in stapes_report.results), str(stapes_report.first_difference)


def test_scores(stapes_report: CheckReport) -> None:
    assert all(result.scores_equal for result in stapes_report.results), str(stapes_report.first_difference)


def test_decisions(stapes_report: CheckReport) -> None:
    assert all(result.decision_equal for result in stapes_report.results), str(stapes_report.first_difference)


def test_nothing_else_differs(stapes_report: CheckReport) -> None:
    assert stapes_report.first_difference is None
    assert stapes_report.passed
