"""Regression against an accepted run: each figure that became worse is one line, better ones ask for an update."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.check import (
    CheckReport,
    ClipSet,
    baseline_path,
    check_bundle,
    compare_with_baseline,
    load_baseline,
    select_clips,
)
from stapes.device import prepare
from stapes.errors import StapesError
from stapes.firmware import BuildResult


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> CheckReport:
    directory = tmp_path_factory.mktemp("baseline")
    bundle = make_small_bundle(directory / "bundle")
    clips = select_clips(bundle, None, 2)
    return check_bundle(bundle, "host", clips, directory, prepared=prepare(bundle, "host", directory))


def emulated(
    report: CheckReport, *, scale: float = 1.0, flash: int = 10_000, stack: int = 400
) -> CheckReport:
    """The same check as if an emulated board had run it, with its counts `scale` times the host's."""
    assert report.hello and report.build
    results = [
        replace(
            result,
            window_counts=[1000.0 * scale] * result.windows,
            frontend_counts=[500.0 * scale] * result.windows,
        )
        for result in report.results
    ]
    build = BuildResult(report.build.elf, flash, 2000, stack, report.build.build_id)
    hello = replace(report.hello, counter="instructions")
    return replace(report, target="qemu:netduinoplus2", hello=hello, build=build, results=results)


def test_the_accepted_run_compares_equal(checked: CheckReport, tmp_path: Path) -> None:
    accepted = compare_with_baseline(checked, tmp_path, update=True)
    assert accepted.path == tmp_path / "small-host.json" and accepted.path.is_file()
    outcome = compare_with_baseline(checked, tmp_path)
    assert outcome.regressions == [] and outcome.notes == []


def test_the_host_has_no_sizes(checked: CheckReport, tmp_path: Path) -> None:
    figures = load_baseline(compare_with_baseline(checked, tmp_path, update=True).path).figures
    assert figures["flash_bytes"] is None and figures["instructions_per_window"] is None


def test_what_became_worse_is_one_line_each(checked: CheckReport, tmp_path: Path) -> None:
    compare_with_baseline(emulated(checked), tmp_path, update=True)
    outcome = compare_with_baseline(emulated(checked, scale=1.02, flash=10_200, stack=404), tmp_path)
    assert outcome.regressions == [
        "instructions a window: 1,000 -> 1,020 (+2.00 %, tolerance 1)",
        "instructions of the front end a window: 500 -> 510 (+2.00 %, tolerance 1)",
        "flash bytes: 10,000 -> 10,200 (+2.00 %, tolerance 1)",
    ]


def test_what_became_better_asks_for_an_update(checked: CheckReport, tmp_path: Path) -> None:
    compare_with_baseline(emulated(checked), tmp_path, update=True)
    outcome = compare_with_baseline(emulated(checked, flash=9_000), tmp_path)
    assert outcome.regressions == []
    assert outcome.notes == ["flash bytes: 10,000 -> 9,000 (-10.00 %); better: update the baseline"]


def test_another_compilers_sizes_fail_nothing(
    checked: CheckReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_with_baseline(emulated(checked), tmp_path, update=True)
    monkeypatch.setattr("stapes.check.baseline.compiler_of", lambda elf: "GCC 99")
    outcome = compare_with_baseline(emulated(checked, flash=10_200), tmp_path)
    assert outcome.regressions == []
    assert outcome.notes[0] == "flash bytes: 10,000 -> 10,200 (+2.00 %, tolerance 1)"
    assert outcome.notes[1].startswith("built with GCC 99, the baseline with ")


def test_a_persons_tolerance_counts_and_is_kept(checked: CheckReport, tmp_path: Path) -> None:
    path = compare_with_baseline(emulated(checked), tmp_path, update=True).path
    value = json.loads(path.read_text())
    value["tolerances_percent"]["flash_bytes"] = 5
    path.write_text(json.dumps(value))
    assert compare_with_baseline(emulated(checked, flash=10_400), tmp_path).regressions == []
    assert len(compare_with_baseline(emulated(checked, flash=10_600), tmp_path).regressions) == 1
    compare_with_baseline(emulated(checked, flash=10_400), tmp_path, update=True)
    assert load_baseline(path).tolerances_percent["flash_bytes"] == 5


def test_a_figure_that_is_gone_is_a_regression(checked: CheckReport, tmp_path: Path) -> None:
    compare_with_baseline(emulated(checked), tmp_path, update=True)
    report = emulated(checked)
    assert report.hello
    silent = replace(report, hello=replace(report.hello, counter="none"))
    assert "instructions a window: not measured, the baseline has 1,000" in (
        compare_with_baseline(silent, tmp_path).regressions
    )


def test_the_accuracy_is_compared_in_points(checked: CheckReport, tmp_path: Path) -> None:
    labels = checked.bundle.manifest.labels

    def told(*right: bool) -> CheckReport:
        """The check of recordings whose labels make the decisions right or wrong."""
        results = []
        for result, good in zip(checked.results, right, strict=True):
            said = checked.prediction(result)
            results.append(replace(result, label=said if good else next(x for x in labels if x != said)))
        held_out = frozenset(result.clip for result in results)
        return replace(checked, source="recordings", results=results, held_out=held_out)

    compare_with_baseline(told(True, True), tmp_path, update=True)
    assert compare_with_baseline(told(True, False), tmp_path).regressions == [
        "accuracy: 100.0% -> 50.0% (-50.00 points, tolerance 0)"
    ]


@pytest.mark.parametrize("stage", ["features", "layers", "scores", "decisions"])
def test_other_bits_are_a_regression(checked: CheckReport, tmp_path: Path, stage: str) -> None:
    compare_with_baseline(checked, tmp_path, update=True)
    first, *others = checked.results
    other = replace(checked, results=[replace(first, bits={**first.bits, stage: "0" * 64}), *others])
    assert compare_with_baseline(other, tmp_path).regressions == [f"{stage}: other bits than the baseline's"]


def test_the_bits_tell_clips_and_stages_apart(checked: CheckReport) -> None:
    first, second = (result.bits for result in checked.results)
    assert len(set(first.values())) == 4
    assert first["features"] != second["features"] and first["layers"] != second["layers"]


def test_a_failed_check_is_not_accepted(checked: CheckReport, tmp_path: Path) -> None:
    with pytest.raises(StapesError, match="did not pass"):
        compare_with_baseline(replace(checked, interrupted=True), tmp_path, update=True)
    assert not list(tmp_path.iterdir())


def test_other_clips_are_refused(checked: CheckReport, tmp_path: Path) -> None:
    compare_with_baseline(checked, tmp_path, update=True)
    fewer = ClipSet("synthetic", select_clips(checked.bundle, None, 1).clips)
    directory = tmp_path / "work"
    report = check_bundle(
        checked.bundle, "host", fewer, directory, prepared=prepare(checked.bundle, "host", directory)
    )
    with pytest.raises(StapesError, match="2 other clips than these 1"):
        compare_with_baseline(report, tmp_path)


def test_another_bundle_is_refused(checked: CheckReport, tmp_path: Path) -> None:
    compare_with_baseline(checked, tmp_path, update=True)
    other = make_small_bundle(tmp_path / "other", seed=2)
    with pytest.raises(StapesError, match="another bundle"):
        compare_with_baseline(replace(checked, bundle=other), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no baseline"),
        ("{", "is no baseline"),
        ("{}", "is no baseline: Field required"),
    ],
)
def test_a_bad_file_is_one_clear_error(
    checked: CheckReport, tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "accepted.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StapesError, match=message) as caught:
        compare_with_baseline(checked, path)
    assert "--update-baseline" in caught.value.hint


def test_one_file_for_each_bundle_and_target() -> None:
    assert baseline_path(Path("x"), "esc10", "qemu:netduinoplus2") == Path("x/esc10-qemu-netduinoplus2.json")
    assert baseline_path(Path("x.json"), "esc10", "host") == Path("x.json")
