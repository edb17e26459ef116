"""The whole loop on the host: equal when it is, and a named first difference for every planted fault."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from planting import Alter, field, number
from small_bundle import FRAMES, make_small_bundle

from stapes.check import CheckReport, ClipSet, check_bundle, select_clips
from stapes.cli.app import run as run_command
from stapes.device import Prepared, connect, prepare
from stapes.errors import IdentityError, ToolError
from stapes.firmware import build_firmware
from stapes.recipe import VOTES, Bundle, DecisionSpec
from stapes.reference import Reference
from stapes.targets import require_target

ROOT = Path(__file__).parents[3]


@dataclass
class Rig:
    """A small bundle with its firmware, and a way to check altered copies of it."""

    bundle: Bundle
    prepared: Prepared
    clips: ClipSet
    directory: Path

    def check(self, prepared: Prepared | None = None, *, full: bool = False) -> CheckReport:
        return check_bundle(
            self.bundle, "host", self.clips, self.directory, full=full, prepared=prepared or self.prepared
        )

    def altered(self, name: str, alter: Alter) -> Prepared:
        """Firmware for the host from the generated files with one of them altered."""
        directory = self.directory / "altered"
        shutil.rmtree(directory, ignore_errors=True)
        generated = directory / "generated"
        shutil.copytree(self.prepared.generated.directory, generated)
        source = generated / name
        text = source.read_text()
        source.write_text(alter(text))
        assert source.read_text() != text, "nothing was altered"
        return replace(self.prepared, build=build_firmware(generated, "host", directory / "host"))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    directory = tmp_path_factory.mktemp("rig")
    bundle = make_small_bundle(directory / "bundle")
    return Rig(bundle, prepare(bundle, "host", directory), select_clips(bundle, None, 3), directory)


def test_everything_is_equal(rig: Rig) -> None:
    report = rig.check()
    assert report.first_difference is None
    assert report.passed
    value = report.as_json()
    assert value["clips"] == value["decisions_equal"] == 3
    assert value["features_equal"] and value["layers_equal"] and value["scores_equal"]
    assert value["windows"] > 3 * 10
    assert len(value["layers"]) == 7


def test_a_bundle_of_mfccs_is_equal(tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", n_mfcc=13)
    report = check_bundle(bundle, "host", select_clips(bundle, None, 1), tmp_path, full=True)
    assert report.passed, report.first_difference
    assert report.hello is not None and report.hello.n_features == 13


def test_only_clips_that_the_network_never_met_say_how_well_it_does(rig: Rig) -> None:
    report = rig.check()
    assert report.accuracy is None and report.as_json()["accuracy"] is None
    first, second, third = report.results
    known = replace(first, label=report.prediction(first))
    wrong = replace(second, label="no such label")
    judged = replace(report, results=[known, wrong, third], held_out=frozenset({first.clip, second.clip}))
    assert (judged.accuracy, judged.as_json()["accuracy_clips"]) == (0.5, 2)


def test_every_value_fetched_is_equal(rig: Rig) -> None:
    rig = replace(rig, clips=ClipSet("synthetic", rig.clips.clips[:1]))
    assert rig.check(full=True).passed


def test_the_numpy_network_is_an_equal_reference(rig: Rig) -> None:
    clip = rig.clips.clips[0]
    tflm, twins = (Reference(rig.bundle, network).clip(clip.pcm) for network in ("tflm", "numpy"))
    assert tflm.verdict == twins.verdict
    for left, right in zip(tflm.windows, twins.windows, strict=True):
        assert np.array_equal(left.scores, right.scores)
        for index, value in right.activations.items():
            if index in left.activations:
                assert np.array_equal(left.activations[index], value)


def test_a_flipped_weight_is_named(rig: Rig) -> None:
    altered = rig.altered(
        "stapes_small_weights.c", number("stapes_small_layer_0_weights", 24, lambda value: value ^ 64)
    )
    found = rig.check(altered).first_difference
    assert (found.stage, found.layer) == ("layer", "conv_2d_0")
    assert found.index is not None and len(found.index) == 3
    assert f"only channel {found.index[2]}:" in found.looks_like


def test_a_wrong_bias_is_named(rig: Rig) -> None:
    altered = rig.altered(
        "stapes_small_weights.c", number("stapes_small_layer_0_channels", 6, lambda value: value + 3000)
    )
    found = rig.check(altered).first_difference
    assert (found.stage, found.layer) == ("layer", "conv_2d_0")
    assert found.index[2] == 3
    assert "only channel 3" in found.looks_like


@pytest.mark.parametrize(
    ("array", "index"), [("window", 100), ("twiddles", 33), ("weights", 60), ("log_table", 64)]
)
def test_a_damaged_front_end_table_is_named(rig: Rig, array: str, index: int) -> None:
    altered = rig.altered(
        "stapes_small_frontend.c", number(array, index, lambda value: value // 2 if value > 1 else 2**30)
    )
    report = rig.check(altered)
    found = report.first_difference
    assert found.stage == "features" and found.layer is None
    frame, band = found.index
    assert 0 <= frame < FRAMES and 0 <= band < rig.bundle.manifest.frontend.n_mels
    assert not any(result.features_equal for result in report.results)
    assert not report.passed


def test_one_bit_of_a_feature_is_named(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    features = Reference.windows

    def flipped(self: Reference, pcm: np.ndarray):
        for window in features(self, pcm):
            if window.index == 2:
                rows = window.features.copy()
                rows[11, 7] ^= 1
                window = replace(window, features=rows)
            yield window

    monkeypatch.setattr(Reference, "windows", flipped)
    found = rig.check().first_difference
    assert (found.stage, found.window, found.index) == ("features", 2, (11, 7))
    assert abs(found.expected - found.got) == 1 and found.differing == 1


def test_a_wrong_vote_is_named(rig: Rig) -> None:
    altered = rig.altered(
        "stapes_small.c", lambda text: text.replace("stapes_vote_energy", "stapes_vote_mean")
    )
    found = rig.check(altered).first_difference
    assert (found.stage, found.got) == ("weight", 1)


@pytest.mark.parametrize("vote", sorted({*VOTES} - {"energy", "majority"}))
def test_votes_of_no_test_of_their_own_are_equal(tmp_path: Path, vote: str) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", seed=4, vote=vote)
    report = check_bundle(bundle, "host", select_clips(bundle, None, 2), tmp_path)
    assert report.passed, str(report.first_difference)
    assert all(result.windows > 1 for result in report.results)


def test_the_vote_of_a_majority_is_equal(tmp_path: Path) -> None:
    bundle = make_small_bundle(tmp_path / "bundle", seed=4, vote="majority", min_confidence=0.7)
    prepared, clips = prepare(bundle, "host", tmp_path), select_clips(bundle, None, 3)
    report = check_bundle(bundle, "host", clips, tmp_path, prepared=prepared)
    assert report.passed, str(report.first_difference)
    assert [report.prediction(result) for result in report.results] == ["unknown", "rain", "rain"]
    reference = Reference(bundle)
    with connect(bundle, "host", prepared.build.elf) as (client, _):
        for clip, result in zip(clips.clips, report.results, strict=True):
            scores = np.stack([window.scores for window in reference.clip(clip.pcm).windows]).astype(int)
            best = np.bincount(scores.argmax(axis=1)).max()
            assert result.verdict.confidence == 256 * best // len(scores)
            client.reset()
            position = 0
            while position < len(clip.pcm):
                position = client.push(clip.pcm[position:]).samples
            decided = client.decision()
            assert decided.weight == decided.windows == len(scores)
            assert decided.sums == tuple((scores + 128).sum(axis=0))


def test_a_trained_network_may_get_another_vote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`stapes check` on the host; in the first clip two classes have three votes each."""
    nano = Bundle.load(ROOT / "models/esc10-nano")
    manifest = nano.manifest.model_copy(update={"decision": DecisionSpec(vote="majority")})
    bundle = Bundle.save(tmp_path / "bundle", manifest, {"model.tflite": nano.model})
    assert bundle.hash != nano.hash
    monkeypatch.chdir(tmp_path)
    arguments = ["check", str(bundle.directory), "--target", "host", "--clips", "1", "--json", "x.json"]
    monkeypatch.setattr(sys, "argv", ["stapes", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_command()
    assert ended.value.code == 0, capsys.readouterr().out
    (clip,) = json.loads((tmp_path / "x.json").read_text())["results"]
    assert clip["windows"] == 6 and clip["confidence"] == 0.5 and clip["decision_equal"]


def test_a_core_that_no_kernel_was_written_for_computes_the_same(tmp_path: Path) -> None:
    """An Xtensa: no unaligned loads, no division, no long product; what ESP32 and ESP8266 have in common."""
    target = "qemu:xtensa-sim"
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    bundle = Bundle.load(ROOT / "models/esc10-nano")
    report = check_bundle(bundle, target, select_clips(bundle, None, 2), tmp_path)
    assert report.passed and all(result.windows for result in report.results)


def test_another_bundle_is_refused(rig: Rig, tmp_path: Path) -> None:
    other = make_small_bundle(tmp_path / "other", seed=2, name="other")
    elf = rig.prepared.build.elf
    with pytest.raises(IdentityError, match="another bundle"), connect(other, "host", elf):
        pass


def test_another_front_end_is_refused(rig: Rig) -> None:
    altered = rig.altered("stapes_small.c", field("stapes_small", "frontend_hash", "{0}"))
    with (
        pytest.raises(IdentityError, match="another front end"),
        connect(rig.bundle, "host", altered.build.elf),
    ):
        pass


def test_interrupted_check_keeps_what_it_saw(rig: Rig) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 1 and total == 3:
            raise KeyboardInterrupt

    report = check_bundle(
        rig.bundle, "host", rig.clips, rig.directory, prepared=rig.prepared, progress=interrupt
    )
    assert report.interrupted and not report.passed
    assert len(report.results) == 1 and report.as_json()["first_difference"] is None
