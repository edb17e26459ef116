"""The device computes what Python computes: every feature, every layer, every score, every decision."""

from stapes.check import CheckReport, ClipSet


def test_every_clip_ran(report: CheckReport, clips: ClipSet) -> None:
    assert [result.clip for result in report.results] == [clip.name for clip in clips.clips]
    assert all(result.windows > 0 for result in report.results)


def test_the_sound_arrived(report: CheckReport) -> None:
    assert all(result.pcm_equal for result in report.results), str(report.first_difference)


def test_features(report: CheckReport) -> None:
    assert all(result.features_equal for result in report.results), str(report.first_difference)


def test_every_layer(report: CheckReport) -> None:
    assert all(result.layers_equal for result in report.results), str(report.first_difference)


def test_scores(report: CheckReport) -> None:
    assert all(result.scores_equal for result in report.results), str(report.first_difference)


def test_decisions(report: CheckReport) -> None:
    assert all(result.decision_equal for result in report.results), str(report.first_difference)


def test_nothing_else_differs(report: CheckReport) -> None:
    assert report.first_difference is None
    assert report.passed
