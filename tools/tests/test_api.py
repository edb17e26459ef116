"""The promised Python API: its examples run, and what it says of a recording is what the firmware says."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_bundle import make_small_bundle

import stapes
from stapes.device import connect, prepare
from stapes.recipe import Bundle
from stapes.reference import classifier as classifier_module

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("api") / "bundle")


def noise(samples: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 3000.0, samples).astype(np.int16)


def test_every_name_is_there_and_documented() -> None:
    assert set(stapes.__all__) <= set(dir(stapes))
    for name in stapes.__all__:
        assert getattr(stapes, name).__doc__, name
        assert name in stapes.__doc__ or name in {"CheckReport", "Classification", "Plan"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stapes.nothing  # noqa: B018


@pytest.mark.parametrize("module", [stapes, classifier_module], ids=lambda module: module.__name__)
def test_the_docstrings_examples(module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tried = doctest.testmod(module)
    assert tried.attempted >= 3 and tried.failed == 0


def test_the_pages_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/python.md, every line as written, in a directory that has the models and a recording."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    soundfile.write(tmp_path / "rain.wav", noise(5 * 8000), 8000)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    # What rain.wav sounds like is not committed.
    text = text.replace("('rain', 0.36)\n", "(..., ...)\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "python.md", "docs/python.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(test).failed == 0 and runner.tries >= 12


def test_a_recording_gives_the_devices_bits(bundle: Bundle, tmp_path: Path) -> None:
    rate = bundle.manifest.frontend.sample_rate
    file = tmp_path / "clip.wav"
    soundfile.write(file, noise(2 * rate), rate)
    classifier = stapes.Classifier(str(bundle.directory))
    result = classifier.classify(str(file))
    prepared = prepare(bundle, "host", tmp_path / "build")
    with connect(bundle, "host", prepared.elf) as (client, _):
        client.reset()
        pcm = classifier.samples(file)
        scores = []
        taken = 0
        while (pushed := client.push(pcm[taken:])).window_ready:
            taken = pushed.samples
            scores.append(client.window().scores)
        decided = client.decision()
    assert np.array_equal(result.windows, np.array(scores))
    assert classifier.labels[decided.best] == result.best
    assert (result.label is None) == (decided.class_index < 0)
    assert decided.confidence == round(result.confidence * classifier._reference.rule.full_score)


def test_samples_of_another_kind_are_named(bundle: Bundle) -> None:
    classifier = stapes.Classifier(bundle)
    for wrong in (np.zeros(8000), np.zeros((8000, 2), np.int16), np.zeros(0, np.int16)):
        with pytest.raises(stapes.StapesError, match="not int16 of shape") as caught:
            classifier.classify(wrong)
        assert "np.round" in caught.value.hint


def test_the_command_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    files = []
    for number in range(2):
        files.append(tmp_path / f"a recording with quite a long name, number {number} of two [take 3].wav")
        soundfile.write(files[-1], noise(16000, number), 16000)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    command = [sys.executable, "-m", "stapes", "classify", *files, broken, "--bundle", bundle.directory]
    done = subprocess.run([*command, "--json", tmp_path / "r.json"], capture_output=True, text=True)
    assert done.returncode == 1 and "broken.wav" in done.stderr and "Traceback" not in done.stderr
    *whole, last = json.loads((tmp_path / "r.json").read_text())["files"]
    assert "error" in last
    classifier = stapes.Classifier(bundle)
    for file, entry in zip(files, whole, strict=True):
        expected = classifier.classify(file)
        assert entry["best"] == expected.best and entry["scores"] == dict(expected.scores)
        assert "".join(file.name.split()) in "".join(done.stdout.split())
