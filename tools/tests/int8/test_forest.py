"""A forest bundle: statistics against floating point, trees against scikit-learn and emlearn's C, C against Python."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forests import BANDS, FRAMES, make_forest_bundle, random_forest
from hypothesis import given, settings
from hypothesis import strategies as st

from stapes.check import check_bundle, select_clips
from stapes.device import prepare
from stapes.errors import ModelError
from stapes.graph import STATISTICS_LAG, check_supported, read_tflite, write_tflite
from stapes.int8 import run_graph
from stapes.reference import Reference
from stapes.training.forest import forest_model, forest_nodes, statistics_of

pytest.importorskip("emlearn", reason="emlearn is not installed")


@settings(max_examples=60, deadline=None)
@given(st.integers(STATISTICS_LAG + 1, 200), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_statistics_are_those_of_floating_point(frames: int, bands: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(-128, 128, (frames, bands)) // random.integers(1, 20)
    found = statistics_of(np.float32(rows / 32)[None]).reshape(6, bands).astype(float)
    assert np.abs(found[0] - rows.mean(axis=0)).max() <= 0.5
    exact = [
        2 * rows.std(axis=0),
        *(4 * np.abs(rows[lag:] - rows[:-lag]).mean(axis=0) for lag in (1, STATISTICS_LAG)),
    ]
    for value, want in zip(found[[1, 4, 5]], exact, strict=True):
        below = np.minimum(want, 255) - (value + 128)
        assert (below > -1e-9).all() and (below < 1).all()
    assert np.array_equal(found[2], rows.min(axis=0)) and np.array_equal(found[3], rows.max(axis=0))


def test_trees_vote_as_those_of_scikit_learn_and_of_emlearns_c(tmp_path: Path) -> None:
    import emlearn

    forest = random_forest(6 * BANDS)
    inputs = np.random.default_rng(3).integers(-128, 128, (300, 6 * BANDS))
    graph = read_tflite(forest_model(forest, FRAMES, BANDS))
    check_supported(graph)
    ours = graph.ops[1]
    from stapes.int8.forest import forest as vote

    constants = [graph.tensor(index).data for index in ours.inputs[1:]]
    scores = np.stack(
        [vote(graph, ours, [row.astype(np.int8)[None], *constants])[0].reshape(-1) for row in inputs]
    ).astype(int)
    votes = np.zeros((len(inputs), forest.n_classes_), dtype=int)
    for tree in forest.estimators_:
        votes[np.arange(len(inputs)), tree.predict(inputs).astype(int)] += 1
    assert np.array_equal(scores, np.minimum(256 * votes // len(forest.estimators_), 255) - 128)

    compiler = shutil.which("cc")
    assert compiler
    model = emlearn.convert(forest, method="inline", dtype="int16_t")
    for node in model.forest_[0]:
        node[1] = int(np.floor(node[1])) + 1
    source = model.save(name="trees", format="c", include_proba=False)
    values = ", ".join(str(value) for value in inputs.reshape(-1))
    program = f"""{source}
#include <stdio.h>
static const int16_t inputs[{len(inputs)}][{inputs.shape[1]}] = {{ {values} }};
int main(void) {{
    for (int i = 0; i < {len(inputs)}; i++) printf("%d ", (int)trees_predict(inputs[i], {inputs.shape[1]}));
}}
"""
    (tmp_path / "trees.c").write_text(program)
    subprocess.run([compiler, "-w", "-o", tmp_path / "trees", tmp_path / "trees.c"], check=True)
    told = subprocess.run([tmp_path / "trees"], capture_output=True, text=True, check=True).stdout
    assert [int(word) for word in told.split()] == scores.argmax(axis=1).tolist()


@pytest.mark.parametrize("target", ["host", "qemu:microbit"])
def test_the_firmware_of_a_forest_is_equal_in_every_stage(tmp_path: Path, target: str) -> None:
    if target != "host" and (
        shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None
    ):
        pytest.skip("qemu-system-arm or arm-none-eabi-gcc is not installed")
    bundle = make_forest_bundle(tmp_path / "bundle")
    prepared = prepare(bundle, target, tmp_path)
    report = check_bundle(
        bundle, target, select_clips(bundle, None, 2), tmp_path, prepared=prepared, full=True
    )
    assert report.passed, str(report.first_difference)
    assert [layer.name for layer in report.plan.layers] == ["statistics", "forest"]
    assert report.reference == "numpy"


def test_a_forest_whose_windows_vote_is_equal_too(tmp_path: Path) -> None:
    bundle = make_forest_bundle(tmp_path / "bundle", vote="majority")
    clips = select_clips(bundle, None, 2)
    report = check_bundle(bundle, "host", clips, tmp_path)
    assert report.passed, str(report.first_difference)
    reference = Reference(bundle)
    windows = reference.clip(clips.clips[1].pcm).windows
    mean = replace(reference.rule, vote="mean").verdict([one.scores for one in windows], [1] * len(windows))
    assert report.results[1].verdict.class_index != mean.class_index, "else another vote would pass"


def test_the_file_says_what_was_written() -> None:
    model = forest_model(random_forest(6 * BANDS), FRAMES, BANDS)
    graph = read_tflite(model)
    assert write_tflite(graph) == model
    nodes, roots = forest_nodes(random_forest(6 * BANDS))
    assert np.array_equal(graph.tensor(2).data, nodes) and np.array_equal(graph.tensor(3).data, roots)
    features = np.zeros((1, FRAMES, BANDS, 1), dtype=np.int8)
    assert run_graph(graph, [features])[4].shape == (1, 3)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 6 * BANDS, "feature"),
        (1, 200, "threshold"),
        (2, 0, "bad nodes"),
        (3, 20_000, "bad nodes"),
        (2, -4, "bad"),
    ],
)
def test_a_corrupt_forest_is_refused(column: int, value: int, message: str) -> None:
    from dataclasses import replace

    graph = read_tflite(forest_model(random_forest(6 * BANDS), FRAMES, BANDS))
    nodes = np.array(graph.tensor(2).data)
    nodes[0, column] = value
    tensors = list(graph.tensors)
    tensors[2] = replace(tensors[2], data=nodes)
    with pytest.raises(ModelError, match=message):
        check_supported(read_tflite(write_tflite(replace(graph, tensors=tuple(tensors)))))
