"""`stapes evaluate` on a small bundle whose folds are random networks: every figure follows from the decisions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_bundle import LABELS, make_small_bundle
from sound_trees import write_noise
from typer.testing import CliRunner

from stapes.check import select_clips
from stapes.check.evaluate import _Decided, _result, recorded
from stapes.cli.app import app
from stapes.datasets import open_dataset
from stapes.errors import DataError
from stapes.recipe import Bundle, DatasetSpec
from stapes.reference import Reference
from stapes.report import checked_result, html_report

RECIPE = """
name = "small"
[dataset]
kind = "synthetic"
labels = ["bell", "dog", "rain"]
[frontend]
n_mels = 20
[window]
frames = 20
hop_frames = 7
"""

METRICS = {
    "folds": [1],
    "clips": [6],
    "float": {"accuracy_mean": 0.5, "accuracy_sd": 0.0, "per_fold": [0.5]},
    "parameters": 1,
    "macs_per_window": 1,
    "model_bytes": 1,
}

needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")


def make_bundle(directory: Path, recipe: str = RECIPE) -> Bundle:
    one, two = (make_small_bundle(directory / str(seed), seed=seed) for seed in (1, 2))
    files = {
        "model.tflite": one.model,
        "folds/fold1.tflite": one.model,
        "folds/fold2.tflite": two.model,
        "recipe.toml": recipe.encode(),
        "metrics.json": json.dumps(METRICS).encode(),
    }
    return Bundle.save(directory / "bundle", one.manifest, files)


@needs_cmake
def test_every_figure_is_there_and_fits_the_others(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    arguments = ["evaluate", str(bundle.directory), "--data", str(tmp_path), "--folds", "1"]
    extra = ["--robustness", "--record", "--out", str(tmp_path / "build"), "--json", str(tmp_path / "j.json")]
    done = CliRunner().invoke(app, [*arguments, *extra], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "j.json").read_text())
    assert found["folds"] == [1]
    assert found["clips"] == [6]
    assert found["firmware"] == found["int8"], "the firmware decides as Python does"
    confusion = np.array(found["firmware"]["confusion"])
    assert confusion.shape == (3, 4)
    assert confusion.sum() == 6
    assert found["firmware"]["accuracy_mean"] == pytest.approx(np.trace(confusion) / 6)
    assert [row["label"] for row in found["classes"]] == list(LABELS)
    for index, row in enumerate(found["classes"]):
        assert row["recall"] == pytest.approx(confusion[index, index] / 2)
    assert found["windows"]["count"] == 6 * 33
    assert sum(bin["count"] for bin in found["calibration"]["bins"]) == 6
    assert 0.0 <= found["calibration"]["ece"] <= 1.0
    assert found["robustness"]["folds"] == [1]
    clean, *others = found["robustness"]["conditions"]
    assert clean["group"] == "clean"
    assert clean["per_fold"] == found["firmware"]["per_fold"]
    assert len(others) == 15
    again = Bundle.load(bundle.directory)
    assert again.hash == bundle.hash, "what the device does has not changed"
    metrics = again.metrics()
    assert metrics["classes"] == found["classes"]
    assert metrics["robustness"] == found["robustness"]
    assert "confusion" not in metrics["firmware"]
    card = (again.directory / "MODEL_CARD.md").read_text()
    for text in ("| bell | 2 |", "calibration error", "| pink, SNR 10 dB |"):
        assert text in card
    page = html_report([found])
    assert f"bundle {bundle.manifest.name} {bundle.hash[:12]}<" in page
    for text in ("Disturbed sounds", "pink, SNR 10 dB", "Does confidence mean what it says?", "precision"):
        assert text in page
    for text in ("macro F1", "white, SNR 0 dB", "calibration error"):
        assert text in done.output


def record_later(directory: Path) -> Path:
    """One recording each of two of the three classes, one of them two windows long: nothing to make folds of."""
    write_noise(directory / "bell" / "Glocke, Übung.wav", 1.0, seed=1)
    write_noise(directory / "rain" / "r.wav", 0.7, rate=44100, seed=2)
    return directory


@needs_cmake
def test_recordings_made_later_need_no_folds(tmp_path: Path) -> None:
    later = record_later(tmp_path / "later")
    bundle = make_bundle(tmp_path)
    own = Bundle.save(  # the bundle's own network is neither of its folds'
        tmp_path / "final",
        bundle.manifest,
        bundle.files | {"model.tflite": make_small_bundle(tmp_path / "3", seed=3).model},
    )
    build = ["--out", str(tmp_path / "build"), "--json", str(tmp_path / "j.json")]
    arguments = ["evaluate", str(own.directory), "--test", str(later), "--record", *build]
    arguments += ["--html", str(tmp_path / "page.html")]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"STAPES_DATA": "elsewhere"})
    assert done.exit_code == 0
    found = json.loads((tmp_path / "j.json").read_text())
    assert (found["test"], found["folds"], found["clips"]) == (str(later), [], [2])
    assert "float" not in found
    assert found["firmware"] == found["int8"]
    reference = Reference(own)
    wanted = [
        reference.clip(clip.pcm).verdict.class_index
        for clip in open_dataset(later, DatasetSpec(kind="folders"), 16000, for_training=False).clips
    ]
    assert found["firmware"]["accuracy_mean"] == np.mean(
        [a == b for a, b in zip(wanted, (0, 2), strict=True)]
    )
    assert "all 2 clips: Glocke, Übung.wav, r.wav" in done.output
    wrong = [(name, label) for name, label, right in (
        ("bell/Glocke, Übung.wav", "bell", wanted[0] == 0), ("rain/r.wav", "rain", wanted[1] == 2)
    ) if not right]  # fmt: skip
    assert wrong and sorted((row["clip"], row["label"]) for row in found["wrong"]) == wrong
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:audio/wav;base64,") == page.count('alt="spectrogram of') == len(wrong)
    assert wrong[0][0] in page
    page = html_report([checked_result(found, "j.json")])
    assert "Accuracy on recordings made later" in page and "<th>all 2 clips</th>" in page
    again = Bundle.load(own.directory)
    assert again.metrics()["later"]["clips"] == [2]
    assert again.metrics()["float"] == METRICS["float"], "the other figures stay"
    assert "Of 2 clips the firmware" in (own.directory / "MODEL_CARD.md").read_text()

    check = ["check", str(own.directory), "--data", str(later), *build]
    assert CliRunner().invoke(app, check, catch_exceptions=False).exit_code == 0
    assert json.loads((tmp_path / "j.json").read_text())["clips"] == 2


def test_what_a_test_is_not(tmp_path: Path) -> None:
    later = record_later(tmp_path / "later")
    data = open_dataset(later, DatasetSpec(kind="folders"), 16000, for_training=False)
    metrics = METRICS | {"data_sha256": [data.content(fold) for fold in data.folds]}
    bundle = make_bundle(tmp_path)
    Bundle.save(
        bundle.directory, bundle.manifest, bundle.files | {"metrics.json": json.dumps(metrics).encode()}
    )
    write_noise(tmp_path / "others" / "crow" / "a.wav", 1.0)
    write_noise(tmp_path / "negatives" / "a.wav", 1.0)
    (tmp_path / "negatives" / "clips.csv").write_text("filename,label\na.wav,\n")
    for arguments, problem in (
        ([], "no recordings given"),
        (["--test", str(tmp_path / "negatives")], "1 clips have no label: a.wav"),
        (["--test", str(later)], "these are recordings that it was trained on"),
        (["--test", str(later), "--folds", "1"], "recordings made later have no folds"),
        (["--test", str(tmp_path / "none")], "no data directory"),
        (["--test", str(tmp_path / "others")], "no clip has the label bell, dog, rain"),
    ):
        done = CliRunner().invoke(
            app, ["evaluate", str(bundle.directory), *arguments], env={"STAPES_DATA": None}
        )
        assert isinstance(done.exception, DataError), done.output
        assert problem in str(done.exception)


def test_nothing_is_held_out_from_a_final_network(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    assert len(select_clips(bundle, tmp_path, 9).held_out) == 6
    metrics = json.dumps(METRICS | {"final": True}).encode()
    final = Bundle.save(bundle.directory, bundle.manifest, bundle.files | {"metrics.json": metrics})
    assert select_clips(final, tmp_path, 9).held_out == frozenset()


def test_labels_that_the_bundle_does_not_have_are_named(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, RECIPE.replace('"rain"', '"crow"'))
    with pytest.raises(DataError, match="label crow is none of the bundle's"):
        CliRunner().invoke(
            app, ["evaluate", str(bundle.directory), "--data", str(tmp_path)], catch_exceptions=False
        )


def test_figures_of_one_fold_do_not_replace_those_of_all() -> None:
    metrics = {"folds": [1, 2], "firmware": {"accuracy_mean": 0.9}}
    result = {"folds": [1], "robustness": {"folds": [1], "conditions": []}}
    assert recorded(result, metrics) == metrics | {"robustness": result["robustness"]}


def decided(fold: int, truth: int, firmware: int, *, foreground: bool | None = None) -> _Decided:
    return _Decided(
        "clip",
        fold,
        truth,
        frozenset({truth}),
        truth,
        firmware,
        0.75,
        firmware,
        (truth, firmware),
        foreground,
    )


def test_folds_windows_and_foreground_are_counted(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    seen = [
        decided(1, 0, 0, foreground=True),
        decided(1, 1, 2, foreground=False),
        decided(2, 2, 2, foreground=False),
        decided(2, 2, -1, foreground=True),
        decided(2, 1, 1, foreground=True),
    ]
    found = _result(bundle, [1, 2], seen, ["", ""])
    assert found["clips"] == [2, 3]
    assert found["firmware"]["per_fold"] == [0.5, pytest.approx(2 / 3)]
    assert found["int8"]["accuracy_mean"] == 1.0
    assert found["windows"]["per_fold"] == [0.75, pytest.approx(5 / 6)]
    assert found["windows"]["count"] == 10
    assert found["foreground"] == {"clips": 3, "accuracy": pytest.approx(2 / 3)}
    assert found["background"] == {"clips": 2, "accuracy": 0.5}
    assert found["firmware"]["confusion"] == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    without = _result(bundle, [1], [decided(1, 0, 0), decided(1, 1, 1)], [""])
    assert "foreground" not in without


def test_any_of_several_labels_is_right(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    both = frozenset({0, 2})
    seen = [_Decided("clip", 1, 0, both, 2, found, 0.75, found, (0, 1, 2), None) for found in (0, 2, 1, -1)]
    result = _result(bundle, [1], seen, [""])
    assert result["int8"]["accuracy_mean"] == 1.0
    assert result["firmware"]["accuracy_mean"] == 0.5
    assert result["windows"]["accuracy_mean"] == pytest.approx(2 / 3)
    assert result["firmware"]["confusion"] == [[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("known", "folds", "content", "expected"),
    [
        pytest.param({}, [1, 2], ["a", "b"], [0.5, 0.75], id="the same"),
        pytest.param({}, [2], ["b"], [0.75], id="one fold of it"),
        pytest.param({}, [1, 2], ["a", "x"], None, id="other recordings"),
        pytest.param({}, [1, 3], ["a", "c"], None, id="a fold not trained without"),
        pytest.param({"data_sha256": ["", ""]}, [1], ["a"], None, id="recordings not known"),
        pytest.param(
            {"decision": {"vote": "energy", "min_confidence": 0.0}}, [1], ["a"], None, id="another rule"
        ),
        pytest.param({"decision": None}, [1], ["a"], None, id="a rule not known"),
    ],
)
def test_the_float_figure_is_of_the_same_recordings_and_rule_or_absent(
    tmp_path: Path,
    known: dict[str, object],
    folds: list[int],
    content: list[str],
    expected: list[float] | None,
) -> None:
    bundle = make_bundle(tmp_path)
    metrics = METRICS | {
        "folds": [1, 2],
        "float": {"accuracy_mean": 0.625, "accuracy_sd": 0.125, "per_fold": [0.5, 0.75]},
        "data_sha256": ["a", "b"],
        "decision": bundle.manifest.decision.model_dump(mode="json"),
    }
    files = {"model.tflite": bundle.model, "metrics.json": json.dumps(metrics | known).encode()}
    bundle = Bundle.save(tmp_path / "known", bundle.manifest, files)
    result = _result(bundle, folds, [decided(fold, 0, 0) for fold in folds], content)
    assert result.get("float", {}).get("per_fold") == expected
    assert ("float_minus_firmware_points" in result) == (expected is not None)
