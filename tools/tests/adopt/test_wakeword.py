"""A streaming wake word from its manifest to a checked device, and against pymicro-wakeword."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from modelmaker import ModelMaker

from stapes.adopt import adopt, read_manifest
from stapes.datasets import read_audio
from stapes.errors import BundleError, ModelError
from stapes.graph import load_graph
from stapes.int8 import initial_state, run_graph
from stapes.recipe import MICRO, Bundle, FrontendSpec, WindowSpec
from stapes.reference import LiveKind, LiveReference, Reference

DATA = os.environ.get("STAPES_DATA")
"""Read before the tests, which do not see it."""
MANIFEST: dict[str, Any] = {
    "type": "micro",
    "wake_word": "Hey Anvil",
    "author": "Somebody",
    "website": "https://example.org/",
    "model": "anvil.tflite",
    "trained_languages": ["en"],
    "version": 2,
    "micro": {
        "probability_cutoff": 0.5,
        "feature_step_size": 10,
        "sliding_window_size": 3,
        "tensor_arena_size": 20000,
        "minimum_esphome_version": "2024.7.0",
    },
}
OKAY_NABU = {**MANIFEST, "wake_word": "Okay Nabu", "model": "okay_nabu.tflite",
             "micro": {**MANIFEST["micro"], "probability_cutoff": 0.97, "sliding_window_size": 5}}  # fmt: skip
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
    reason="QEMU or the Arm compiler is not installed",
)


def streaming() -> bytes:
    """As microWakeWord's mixednet: three new rows a step, variables in front of every layer with memory, a sigmoid."""
    maker = ModelMaker(8).input((1, 3, 40), 26 / 255, -128)
    maker.reshape((1, 3, 1, 40)).remember("stream", 2)
    maker.conv_2d(8, (5, 1), (3, 1), padding="VALID", activation="RELU")
    maker.remember("stream_1", 4).depthwise_conv_2d(1, (5, 1), padding="VALID")
    maker.conv_2d(8, (1, 1), activation="RELU").remember("stream_2", 3).reshape((1, 32))
    maker.fully_connected(1)
    share = 0.06 / maker.scale()  # logits of a few units: scores between 0 and 1
    for tensor in maker.tensors[-3:]:
        tensor.scales = tuple(scale * share for scale in tensor.scales)
    return maker.unary("LOGISTIC", scale=1 / 256, zero_point=-128).build()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "anvil.tflite").write_bytes(streaming())
    (tmp_path / "anvil.json").write_text(json.dumps(MANIFEST))
    return tmp_path


def noise(seconds: float, seed: int = 4) -> np.ndarray:
    """Noise whose level jumps."""
    random = np.random.default_rng(seed)
    count = round(seconds * 16000)
    levels = np.repeat(2.0 ** random.uniform(2, 13, count // 1600 + 1), 1600)[:count]
    return np.clip(random.normal(0, 1, count) * levels, -32768, 32767).astype(np.int16)


def test_the_manifest_becomes_a_bundle(place: Path, run_stapes: Any) -> None:
    status, text = run_stapes("import", "anvil.json", "--out", "bundle")
    assert status == 0, text
    assert "3 variables" in text and "go on from window to window: 3 new rows each" in text
    bundle = Bundle.load(place / "bundle")
    manifest = bundle.manifest
    assert bundle.model == streaming()
    assert manifest.labels == ("Hey Anvil",)
    assert manifest.frontend.micro and manifest.frontend.hop_length == 160
    assert (manifest.window.frames, manifest.window.hop_frames, manifest.window.stateful) == (3, 3, True)
    live = manifest.live
    assert (live.smoothing, live.windows, live.multi_label, live.release) == ("mean", 3, True, 1.0)
    # 384 of 768 steps are the cutoff itself, which is not above it.
    assert live.threshold == 385 * 256 // 3 / 65536
    assert load_graph(bundle).states


def test_version_1_has_steps_of_20_ms(place: Path) -> None:
    first = {**MANIFEST, "version": 1, "model": "./anvil.tflite",
             "micro": {"probability_cutoff": 0.5, "sliding_window_average_size": 10}}  # fmt: skip
    (place / "first.json").write_text(json.dumps(first))
    found = read_manifest(place / "first.json")
    assert (found.step_ms, found.windows, found.path) == (20, 10, place / "anvil.tflite")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version"),
        ({"wake_word": ""}, "wake_word"),
        ({"model": "../other/anvil.tflite"}, "is not beside it"),
        ({"micro": {}}, "micro.probability_cutoff"),
        ({"micro": {**MANIFEST["micro"], "probability_cutoff": 2.0}}, "micro.probability_cutoff"),
        ({"micro": {**MANIFEST["micro"], "sliding_window_size": 0}}, "micro.sliding_window_size"),
    ],
)
def test_what_is_no_manifest_is_refused(change: dict[str, Any], message: str, place: Path) -> None:
    (place / "bad.json").write_text(json.dumps({**MANIFEST, **change}))
    with pytest.raises(BundleError, match=message):
        read_manifest(place / "bad.json")


@pytest.mark.parametrize(
    ("bands_first", "sigmoid", "message"),
    [(True, True, "bands first, and it keeps state"), (False, False, "nothing is put behind such a network")],
)
def test_a_network_with_state_is_taken_as_it_is_or_not(
    bands_first: bool, sigmoid: bool, message: str
) -> None:
    maker = ModelMaker(8).input((1, 40, 3) if bands_first else (1, 3, 40), 26 / 255, -128)
    maker.reshape((1, 3, 1, 40)).remember("stream", 2).reshape((1, 200)).fully_connected(1)
    if sigmoid:
        maker.unary("LOGISTIC", scale=1 / 256, zero_point=-128)
    with pytest.raises(ModelError, match=message):
        adopt(maker.build(), "anvil", FrontendSpec(**MICRO, micro=True, hop_length=160))


def test_settings_that_no_streaming_network_has_are_named() -> None:
    with pytest.raises(ValueError, match=r"one setting, and n_mels = 64 is not of it"):
        FrontendSpec(**{**MICRO, "n_mels": 64}, micro=True)
    with pytest.raises(ValueError, match=r"hop_frames = 2 is not frames = 3"):
        WindowSpec(frames=3, hop_frames=2, stateful=True)


def test_nothing_is_written_without_the_network(place: Path, run_stapes: Any) -> None:
    (place / "anvil.tflite").unlink()
    status, text = run_stapes("import", "anvil.json", "--out", "bundle")
    assert status != 0 and "cannot read anvil.tflite" in text
    assert not (place / "bundle").exists()
    (place / "broken.json").write_text("{")
    status, text = run_stapes("import", "broken.json", "--out", "bundle")
    assert status != 0 and "broken.json" in text


def test_windows_go_on_and_clips_begin_anew(place: Path, run_stapes: Any) -> None:
    assert run_stapes("import", "anvil.json", "--out", "bundle")[0] == 0
    bundle = Bundle.load(place / "bundle")
    pcm = noise(1.0)
    for kind in ("tflm", "numpy"):
        reference = Reference(bundle, kind)  # type: ignore[arg-type]
        first, second = reference.clip(pcm), reference.clip(pcm)
        graph, state = reference.graph, initial_state(reference.graph)
        for window, again in zip(first.windows, second.windows, strict=True):
            rows = window.features.reshape(graph.tensor(graph.inputs[0]).shape)
            expected = run_graph(graph, [rows], state)[graph.outputs[0]].reshape(-1)
            np.testing.assert_array_equal(window.scores, expected)
            np.testing.assert_array_equal(again.scores, expected)
        assert len({window.scores.tobytes() for window in first.windows}) > 5


@needs_cmake
@pytest.mark.parametrize("target", ["host", pytest.param("qemu:netduinoplus2", marks=needs_qemu)])
def test_import_check_listen(target: str, place: Path, run_stapes: Any) -> None:
    assert run_stapes("import", "anvil.json", "--out", "bundle")[0] == 0
    status, text = run_stapes("check", "bundle", "--target", target, "--clips", "1", "--full")
    assert status == 0 and "every bit is equal" in text, text
    pcm = noise(4.0)
    soundfile.write("noise.wav", pcm, 16000, subtype="PCM_16")
    status, text = run_stapes("listen", "bundle", "--target", target, "--wav", "noise.wav", "--fast", "--plain",
                              "--json-lines", "events.jsonl")  # fmt: skip
    assert status == 0, text
    live = LiveReference(Reference(Bundle.load(place / "bundle")))
    for at in range(0, len(pcm), 1234):
        live.push(pcm[at : at + 1234])
    live.flush()
    expected = [event for event in live.events if event.kind == LiveKind.END]
    assert expected
    lines = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
    found = [line for line in lines if line.get("kind", line.get("event")) == "end"]
    assert len(found) == len(expected)


def test_an_export_tests_itself(place: Path, run_stapes: Any) -> None:
    assert run_stapes("import", "anvil.json", "--out", "bundle")[0] == 0
    status, text = run_stapes("export", "bundle", "--format", "cmake", "--out", "exported")
    assert status == 0, text
    (place / "main.c").write_text(
        """#include "stapes_bundle.h"
        static uint64_t memory[(STAPES_BUNDLE_MEMORY_BYTES + 7u) / 8u];
        static stapes_classifier_t classifier;
        int main(void) {
            return stapes_selftest_run(&stapes_bundle_selftest, &classifier, memory, sizeof memory) != 1;
        }"""
    )
    sources = [str(path) for path in sorted((place / "exported/src").rglob("*.c"))]
    subprocess.run(["cc", "-O1", "-Iexported/src", "-o", "selftest", "main.c", *sources], check=True)
    subprocess.run([place / "selftest"], check=True)


def foreign() -> Path:
    models = os.environ.get("STAPES_MODELS")
    path = Path(models or "") / "foreign/esphome__okay_nabu__2.tflite"
    if not models or not path.is_file():
        pytest.skip("STAPES_MODELS=DIR with foreign/esphome__okay_nabu__2.tflite is not set")
    return path


@pytest.mark.timeout(3600)
def test_okay_nabu_hears_what_pymicro_wakeword_hears(place: Path, run_stapes: Any) -> None:
    """Minutes of recordings and noise (STAPES_MICRO_MINUTES, here 0.5): activations equal, probabilities up to what
    TensorFlow Lite's kernels round otherwise than those of TFLM (findings/tflite-int8-kernels-disagree.sh).
    """
    package: Any = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    shutil.copy(foreign(), place / "okay_nabu.tflite")
    (place / "okay_nabu.json").write_text(json.dumps(OKAY_NABU))
    assert run_stapes("import", "okay_nabu.json", "--out", "bundle")[0] == 0
    count = round(float(os.environ.get("STAPES_MICRO_MINUTES", "0.5")) * 60 * 16000)
    paths = sorted(Path(DATA).glob("audio/*")) if DATA else []
    parts = [noise(5.0)]
    while sum(map(len, parts)) < count:
        parts.append(read_audio(paths[len(parts) % len(paths)], 16000) if paths else noise(5.0, len(parts)))
        parts.append(noise(1.0, len(parts)))
    pcm = np.concatenate(parts)[:count]

    word, probabilities, means = package.MicroWakeWord.from_config(place / "okay_nabu.json"), [], []
    for row in package.MicroWakeWordFeatures().process_streaming(pcm.tobytes()):
        mean = word.process_streaming_prob(row)
        if not word._features:
            probabilities.append(word._probabilities[-1])
            means.append(mean)

    bundle = Bundle.load(place / "bundle")
    scores = np.array([int(window.scores[0]) + 128 for window in Reference(bundle).windows(pcm)])
    theirs = np.rint(np.array(probabilities) * 256).astype(int)
    assert len(scores) == len(theirs) > count / 480 - 2
    assert np.abs(scores - theirs).max() <= 2
    ours = np.array([scores[i - 4 : i + 1].sum() / 1280 if i >= 4 else 0.0 for i in range(len(scores))])
    above = ours * 65536 // 1 >= bundle.manifest.live.threshold * 65536
    np.testing.assert_array_equal(above, np.array(means) > word.probability_cutoff)
