"""`stapes import`: networks of another origin become bundles that every other command takes."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import soundfile
from modelmaker import ModelMaker
from small_bundle import FRAMES, LABELS, make_small_bundle

from stapes.adopt import read_settings
from stapes.adopt.metadata import sample_rate_of
from stapes.errors import RecipeError
from stapes.features import FixedFrontend
from stapes.graph import load_graph, read_tflite, simplify
from stapes.int8 import run_graph
from stapes.recipe import Bundle, FrontendSpec, load_recipe
from stapes.reference import TflmOracle, output_quantization

BANDS = 20
SETTINGS = """
[frontend]
n_mels = 20

[normalization]
mean = -6.0
std = 4.0
"""
TORCHAUDIO = """
[MelSpectrogram]
sample_rate = 16000
n_fft = 512
win_length = 400
hop_length = 160
n_mels = 20

[AmplitudeToDB]

[normalization]
mean = -40.0
std = 15.0
"""
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None,
    reason="QEMU or the Arm compiler is not installed",
)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_stapes: Any) -> Any:
    """Runs a command in `tmp_path`: its exit status and all that it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (tmp_path / "frontend.toml").write_text(SETTINGS)
    return run_stapes


def network(shape: Sequence[int], *, softmax: bool = True, seed: int = 2) -> ModelMaker:
    """Convolutions over a map of one channel, whatever the axes are called."""
    maker = ModelMaker(seed).input(tuple(shape), 0.05 / 256 if ModelMaker.int16 else 0.05, -3)
    if len(shape) != 4 or shape[3] != 1:
        maker.reshape((1, *[size for size in shape if size != 1], 1))
    maker.conv_2d(8, kernel=(3, 5), stride=(2, 1), activation="RELU")
    maker.depthwise_conv_2d(kernel=(3, 3), activation="RELU").conv_2d(12, kernel=(1, 1), activation="RELU")
    maker.reduce("MEAN", (1, 2), scale=maker.scale(), zero_point=maker.zero_point())
    maker.fully_connected(len(LABELS), scale=0.2)
    return maker.softmax() if softmax else maker


def float_edges() -> bytes:
    maker = ModelMaker(4).input((1, FRAMES, BANDS, 1), None, 0, "FLOAT32")
    maker.op("QUANTIZE", [maker.last], (1, FRAMES, BANDS, 1), 0.05, -3)
    maker.conv_2d(4, stride=(2, 2)).reduce("MEAN", (1, 2), scale=0.05, zero_point=1)
    maker.fully_connected(len(LABELS)).softmax()
    return maker.op("DEQUANTIZE", [maker.last], (1, 3), type_name="FLOAT32", zero_point=0).build()


IMPORT = ("--frontend", "frontend.toml", "--labels", "labels.txt", "--out", "bundle")


def test_a_trained_network_comes_back_as_it_was(tmp_path: Path, command: Any) -> None:
    trained = make_small_bundle(tmp_path / "trained")
    (tmp_path / "n.tflite").write_bytes(trained.model)
    status, text = command(
        "import", "n.tflite", *IMPORT, "--set", "window.hop_frames=7", "--json", "found.json"
    )
    assert status == 0 and "nothing was measured" in text
    bundle = Bundle.load(tmp_path / "bundle")
    manifest = bundle.manifest
    assert bundle.model == trained.model
    assert manifest.frontend == trained.manifest.frontend
    assert (manifest.normalization, manifest.window, manifest.labels) == (
        trained.manifest.normalization,
        trained.manifest.window,
        LABELS,
    )
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["measured"] is False and "firmware" not in bundle.metrics()
    assert "Nothing was measured" in (tmp_path / "bundle/MODEL_CARD.md").read_text()
    assert load_recipe(tmp_path / "bundle/recipe.toml").model.architecture == "imported"


@pytest.mark.parametrize(
    "shape",
    [
        (1, BANDS, 30, 1),
        (1, 1, BANDS, 30),
        (1, BANDS, 30),
        (1, 30, BANDS),
        (1, 1, 30, BANDS),
        (1, 30, BANDS, 1),
    ],
)
def test_every_layout_hears_the_same(shape: tuple[int, ...], tmp_path: Path, command: Any) -> None:
    """The bundle on rows of features against the network as it came on a picture of them, by the TFLM interpreter."""
    data = network(shape).build()
    (tmp_path / "n.tflite").write_bytes(data)
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 0, text
    bands_first = [size for size in shape if size != 1] == [BANDS, 30]
    assert ("transposed at compile time" in text) == bands_first
    bundle = Bundle.load(tmp_path / "bundle")
    graph = load_graph(bundle)
    random = np.random.default_rng(1)
    pcm = (random.standard_normal(16000) * 3000).astype(np.int16)
    rows = FixedFrontend(bundle.manifest.frontend).features(pcm, output_quantization(bundle, graph))[:30]
    oracle = TflmOracle(data)
    picture = np.ascontiguousarray(rows.T if bands_first else rows).reshape(shape)
    expected = oracle.run([picture])[oracle.graph.outputs[0]]
    found = run_graph(graph, [rows.reshape(1, 30, BANDS, 1)])[graph.outputs[0]]
    np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_transposed_gets_a_transpose(tmp_path: Path, command: Any) -> None:
    maker = ModelMaker(2).input((1, BANDS, 30, 1), 0.05, -3).conv_2d(4)
    maker.reshape((1, 30, BANDS, 4)).reduce("MEAN", (1, 2), scale=0.05, zero_point=0)
    (tmp_path / "n.tflite").write_bytes(maker.fully_connected(3).softmax().build())
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 0 and "a TRANSPOSE in front, because operator 1 RESHAPE" in text
    assert load_graph(Bundle.load(tmp_path / "bundle")).ops[0].kind == "TRANSPOSE"


def test_float_edges_are_taken_off_and_scores_become_probabilities(tmp_path: Path, command: Any) -> None:
    (tmp_path / "n.tflite").write_bytes(float_edges())
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 0 and "its float32 edges are made int8" in text, text
    raw = read_tflite(Bundle.load(tmp_path / "bundle").model)
    assert {raw.tensor(index).type_name for index in (*raw.inputs, *raw.outputs)} == {"INT8"}
    (tmp_path / "n.tflite").write_bytes(network((1, 30, BANDS, 1), softmax=False).build())
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 0 and "SOFTMAX is put behind it" in text
    assert simplify(read_tflite(Bundle.load(tmp_path / "bundle").model)).ops[-1].kind == "SOFTMAX"
    status, text = command("import", "n.tflite", *IMPORT, "--scores", "sigmoid")
    assert status == 0, text
    assert Bundle.load(tmp_path / "bundle").manifest.live.multi_label


@needs_cmake
@pytest.mark.parametrize("softmax", [True, False])
def test_a_network_of_sixteen_bits_gets_edges_of_eight(softmax: bool, tmp_path: Path, command: Any) -> None:
    ModelMaker.int16 = True
    try:
        data = network((1, FRAMES, BANDS, 1), softmax=softmax).build()
    finally:
        ModelMaker.int16 = False
    (tmp_path / "wide.tflite").write_bytes(data)
    status, text = command(
        "import", "wide.tflite", "--frontend", "frontend.toml", "--labels", "labels.txt", "--out", "wide"
    )
    assert status == 0, text
    assert "its int16 edges are made int8" in text or "SOFTMAX is put behind it" in text
    graph = load_graph(Bundle.load(tmp_path / "wide"))
    assert [op.kind for op in graph.ops].count("QUANTIZE") == 2
    if softmax:
        status, text = command("check", "wide", "--target", "host", "--clips", "1")
        assert status == 0, text


def metadata_of(rate: int) -> bytes:
    """TensorFlow Lite's metadata of a network whose input hears sound of `rate` Hz."""
    builder = flatbuffers.Builder()

    def table(fields: dict[int, tuple[str, int]]) -> int:
        builder.StartObject(8)
        for field, (kind, value) in fields.items():
            slot = {"offset": builder.PrependUOffsetTRelativeSlot, "byte": builder.PrependUint8Slot}
            slot.get(kind, builder.PrependUint32Slot)(field, value, 0)
        return int(builder.EndObject())

    def vector(entry: int) -> int:
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(entry)
        return int(builder.EndVector())

    content = table({0: ("byte", 4), 1: ("offset", table({0: ("uint", rate)}))})
    inputs = vector(table({3: ("offset", content)}))
    builder.Finish(table({3: ("offset", vector(table({2: ("offset", inputs)})))}))
    return bytes(builder.Output())


def test_another_sample_rate_than_the_file_says_is_refused(tmp_path: Path, command: Any) -> None:
    shape = (1, 30, BANDS, 1)
    assert sample_rate_of(network(shape).build()) is None
    data = network(shape).build(metadata=metadata_of(22050))
    assert sample_rate_of(data) == 22050
    for end in range(0, len(metadata_of(1)), 3):  # damaged, it says nothing
        assert sample_rate_of(network(shape).build(metadata=metadata_of(22050)[:end])) in (None, 22050)
    (tmp_path / "n.tflite").write_bytes(data)
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 1 and "22050 Hz, its metadata says" in text and "16000 Hz" in text
    assert not (tmp_path / "bundle").exists()
    (tmp_path / "n.tflite").write_bytes(network(shape).build(metadata=metadata_of(16000)))
    status, text = command("import", "n.tflite", *IMPORT)
    assert status == 0, text


def test_labels_come_with_the_network_or_in_a_table(tmp_path: Path, command: Any) -> None:
    packed = io.BytesIO(network((1, 30, BANDS, 1)).build())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labels.txt", "one\ntwo\nthree\n")
    (tmp_path / "n.tflite").write_bytes(packed.getvalue())
    status, text = command("import", "n.tflite", "--frontend", "frontend.toml", "--out", "bundle")
    assert status == 0, text
    assert Bundle.load(tmp_path / "bundle").manifest.labels == ("one", "two", "three")
    (tmp_path / "map.csv").write_text(
        'index,mid,display_name\n0,/m/1,"Speech, far"\n1,/m/2,Dog\n2,/m/3,Cat\n'
    )
    status, text = command(
        "import", "n.tflite", "--frontend", "frontend.toml", "--labels", "map.csv", "--out", "bundle"
    )
    assert status == 0 and Bundle.load(tmp_path / "bundle").manifest.labels == ("Speech, far", "Dog", "Cat")


def _two_inputs() -> bytes:
    maker = ModelMaker(1).input((1, 30, BANDS, 1), 0.05, -3)
    first = maker.last
    maker.input((1, 30, BANDS, 1), 0.05, -3)
    return maker.binary("ADD", first, maker.last, 0.1, 0).reduce("MEAN", (1, 2)).fully_connected(3).build()


def _float() -> bytes:
    maker = ModelMaker(1).input((1, 30, BANDS, 1), None, 0, "FLOAT32")
    return maker.op("RELU", [maker.last], maker.shape(), type_name="FLOAT32", zero_point=0).build()


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        ("good", ["--set", "n_mels=40"], "no axis of it has the 40 values of a row of this front end"),
        ("good", ["--set", "window.frames=98"], "window.frames = 98, the network takes 30"),
        ("three axes", [], "of 3 axes; frames and the values of a row are two"),
        ("good", ["--set", "normalization.mean=50.0"], "reaches from"),
        ("good", ["--set", "log=db"], "in the unit of the features"),
        ("good", ["--set", "n_fft=500"], "n_fft = 500 is not a power of two"),
        ("good", ["--set", "frontend.bands=3"], "frontend.bands: unknown key"),
        ("good", ["--set", "n_mels"], "not KEY=VALUE"),
        ("good", ["--labels", "four.txt"], "four.txt names 4 classes, the network gives 3 scores"),
        ("good", ["--labels", "twice.txt"], "dog more than once"),
        ("good", ["--labels", "none.txt"], "cannot read none.txt"),
        (
            "good",
            ["--frontend", "mel"],
            "neither the name of a front end (yamnet, microfrontend, kws) nor a file",
        ),
        ("good", ["--layout", "bands-first"], "is not where --layout bands-first says"),
        ("good", ["--layout", "wide"], "give auto, frames-first, bands-first"),
        ("good", ["--data", "nowhere"], "nowhere"),
        ("two inputs", [], "2 inputs, a bundle's network has one"),
        ("float", [], "its input input0 is float32, not int8"),
        ("nothing", [], "cannot read nothing.tflite"),
        ("text", [], "not a .tflite file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(
    model: str, arguments: list[str], said: str, tmp_path: Path, command: Any
) -> None:
    made = {
        "good": network((1, 30, BANDS, 1)).build,
        "two inputs": _two_inputs,
        "float": _float,
        "three axes": ModelMaker(1).input((1, 30, BANDS, 3), 0.05, -3).conv_2d(2).build,
        "text": lambda: b"no network at all, only text",
    }
    if model in made:
        (tmp_path / f"{model}.tflite").write_bytes(made[model]())
    (tmp_path / "four.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "twice.txt").write_text("dog\ncat\ndog\n")
    status, text = command("import", f"{model}.tflite", *IMPORT, *arguments)
    assert status == 1 and said in text and "try:" in text, text
    assert not (tmp_path / "bundle").exists()


@needs_cmake
def test_figures_are_measured_with_recordings(tmp_path: Path, command: Any) -> None:
    """On the synthetic clips, which need no directory, and again by `evaluate --record` and `calibrate --write`."""
    (tmp_path / "n.tflite").write_bytes(network((1, BANDS, 30, 1)).build())
    (tmp_path / "recordings").mkdir()
    made = ["--set", "dataset.kind=synthetic", "--set", 'dataset.labels=["bell", "dog", "rain"]']
    status, text = command("import", "n.tflite", *IMPORT, *made, "--data", "recordings")
    assert status == 0 and "of 30 clips decided right" in text, text
    figures = Bundle.load(tmp_path / "bundle").metrics()
    assert figures["clips"] == [6] * 5 and figures["int8"] == figures["firmware"]
    assert "is not known here" in (tmp_path / "bundle/MODEL_CARD.md").read_text()

    status, text = command("import", "n.tflite", *IMPORT, *made)
    assert status == 0 and "firmware" not in Bundle.load(tmp_path / "bundle").metrics()
    status, text = command("evaluate", "bundle", "--data", "recordings", "--record", "--folds", "all")
    assert status == 0, text
    again = Bundle.load(tmp_path / "bundle").metrics()
    assert again["firmware"] == figures["firmware"] and again["origin"] == figures["origin"]
    status, text = command("calibrate", "bundle", "--data", "recordings", "--seconds", "60", "--write")
    assert status == 0, text
    assert Bundle.load(tmp_path / "bundle").manifest.live.thresholds


@needs_cmake
@needs_qemu
def test_from_pytorch_to_a_checked_export(tmp_path: Path, command: Any) -> None:
    """A network as converters from PyTorch leave it, [1, 1, bands, frames] and logits, with torchaudio's settings."""
    (tmp_path / "n.tflite").write_bytes(network((1, 1, BANDS, 30), softmax=False).build())
    (tmp_path / "torchaudio.toml").write_text(TORCHAUDIO)
    status, text = command("import", "n.tflite", *IMPORT, "--frontend", "torchaudio.toml")
    assert status == 0 and "transposed at compile time" in text and "SOFTMAX is put behind it" in text, text
    for target in ("host", "qemu:netduinoplus2"):
        status, text = command("check", "bundle", "--target", target, "--clips", "2", "--json", "check.json")
        assert status == 0, text
        found = json.loads((tmp_path / "check.json").read_text())
        assert found["features_equal"] and found["layers_equal"] and found["scores_equal"]
    status, text = command("export", "bundle", "--format", "cmake", "--out", "library")
    assert status == 0 and (tmp_path / "library/CMakeLists.txt").is_file(), text
    noise = (np.random.default_rng(1).standard_normal(32000) * 3000).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, 16000, subtype="PCM_16")
    status, text = command("listen", "bundle", "--target", "host", "--wav", "noise.wav", "--fast", "--plain")
    assert status == 0 and "0 samples dropped" in text, text


def test_a_whole_recipe_is_a_file_of_settings() -> None:
    path = Path(__file__).parents[3] / "models/esc10/recipe.toml"
    read = read_settings(str(path), ["normalization.std=5.0", "window.hop_frames=16"])
    recipe, trained = read.recipe("again", 127), load_recipe(path)
    assert recipe.frontend == trained.frontend and recipe.live == trained.live
    assert recipe.normalization.std == 5.0 and recipe.window.hop_frames == 16
    with pytest.raises(RecipeError, match=r"normalization\.std"):
        read_settings(str(path), ["normalization.std=0.0"]).recipe("again", 127)


def test_a_front_end_by_flags_alone() -> None:
    spec = read_settings("", ["n_mels=40", "fmin=0.0", "mel_scale=htk"]).frontend
    assert spec == FrontendSpec(n_mels=40, fmin=0.0, mel_scale="htk")
