"""Classifiers that users fitted themselves, as scikit-learn and emlearn keep them, as heads of bundles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mobilenet import mobilenet

from stapes.errors import ModelError
from stapes.graph import Editor, Graph, Quantization, Tensor
from stapes.int8 import run_graph
from stapes.recipe import Bundle, ModelSpec, Recipe
from stapes.training.head import fit_dense
from stapes.training.own_head import read_head

joblib = pytest.importorskip("joblib", reason="scikit-learn is not installed (extra 'train')")
emlearn = pytest.importorskip("emlearn", reason="emlearn is not installed (extra 'train')")

from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler, StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

SIZE = 8
QUANTIZATION = Quantization(np.array([0.07], np.float32), np.array([-11], np.int64))
EMBEDDING = Tensor(0, "e", (1, SIZE), np.dtype(np.int8), QUANTIZATION, type_name="INT8")


def problem(classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(1).integers(-128, 128, (400, SIZE)).astype(np.int8)
    score = values[:, 0].astype(int) + values[:, 3] // 2
    return values, np.digitize(score, [-40, 40][: classes - 1])


def int8_classes(head: Any, values: np.ndarray) -> np.ndarray:
    """What the operators behind an embedding decide, in the device's arithmetic."""
    edit = Editor(Graph((EMBEDDING,), (), (0,), (0,), ""))
    graph = edit.finished(outputs=(head.append(edit, 0),))
    return np.array([run_graph(graph, [row[None]])[graph.outputs[0]].argmax() for row in values])


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(9, max_depth=6, random_state=1),
        ExtraTreesClassifier(9, max_depth=8, random_state=1),
        DecisionTreeClassifier(max_depth=6, random_state=1),
        LogisticRegression(C=0.01, max_iter=3000),
        make_pipeline(StandardScaler(), MLPClassifier((12,), max_iter=400, random_state=1)),
        make_pipeline(MinMaxScaler(), MLPClassifier((12, 6), max_iter=400, random_state=1)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_decides_as_scikit_learn(estimator: Any, classes: int, tmp_path: Path) -> None:
    values, targets = problem(classes)
    estimator.fit(values, targets)
    joblib.dump(estimator, tmp_path / "own.joblib")
    head, labels = read_head(tmp_path / "own.joblib", EMBEDDING, lambda: values)
    assert labels is None
    decided = int8_classes(head, values)
    votes = getattr(estimator, "estimators_", None)
    if votes is not None:  # the device counts votes, scikit-learn sums probabilities
        counts = np.stack([tree.predict(values) for tree in votes])
        theirs = np.array(
            [np.bincount(column.astype(int), minlength=classes).argmax() for column in counts.T]
        )
        np.testing.assert_array_equal(decided, theirs)
    else:
        assert np.mean(decided == estimator.predict(values)) >= 0.97
    assert np.mean(head.probabilities(values).argmax(axis=1) == decided) >= 0.97


@pytest.mark.parametrize("kind", ["own layers", "a dense head"])
def test_narrow_embeddings_far_from_zero_keep_their_classes(kind: str, tmp_path: Path) -> None:
    """Behind a ReLU values lie close together and far from zero: errors of rounded weights must not add up there."""
    random = np.random.default_rng(4)
    means, deviations = random.uniform(-120, 110, SIZE), random.uniform(0.5, 2.0, SIZE)
    values = np.rint(means + deviations * random.standard_normal((500, SIZE))).astype(np.int8)
    score = ((values - means) / deviations) @ random.standard_normal(SIZE)
    targets = np.digitize(score, [-0.8, 0.8])
    if kind == "own layers":
        estimator = make_pipeline(StandardScaler(), MLPClassifier((12,), max_iter=300, random_state=1))
        joblib.dump(estimator.fit(values, targets), tmp_path / "own.joblib")
        head, _ = read_head(tmp_path / "own.joblib", EMBEDDING, lambda: values)
    else:
        recipe = Recipe(name="dense", model=ModelSpec(architecture="dense", head_c=10.0))
        head = fit_dense(values, targets, 3, EMBEDDING, recipe)
    decided = head.probabilities(values).argmax(axis=1)
    assert np.mean(decided == targets) >= 0.85
    assert np.mean(int8_classes(head, values) == decided) >= 0.96


def test_what_emlearn_made_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # emlearn compiles what it converts, in a folder `tmp` of where it is called
    values, targets = problem()
    forest = RandomForestClassifier(5, max_depth=5, random_state=1).fit(values, targets)
    joblib.dump(forest, tmp_path / "sklearn.joblib")
    converted = emlearn.convert(forest, method="inline", dtype="int16_t")
    joblib.dump(converted, tmp_path / "emlearn.joblib")
    converted.save(file=str(tmp_path / "emlearn.csv"), name="own", format="csv")
    expected = int8_classes(read_head(tmp_path / "sklearn.joblib", EMBEDDING, None)[0], values)
    for name in ("emlearn.joblib", "emlearn.csv"):
        np.testing.assert_array_equal(
            int8_classes(read_head(tmp_path / name, EMBEDDING, None)[0], values), expected
        )
    network = MLPClassifier((6,), max_iter=300, random_state=1).fit(values / 64.0, targets)
    network.coefs_[0] /= 64.0
    joblib.dump(network, tmp_path / "network.joblib")
    joblib.dump(emlearn.convert(network), tmp_path / "converted.joblib")
    one, other = (
        read_head(tmp_path / name, EMBEDDING, lambda: values)[0]
        for name in ("network.joblib", "converted.joblib")
    )
    np.testing.assert_allclose(one.probabilities(values), other.probabilities(values), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x, y: SVC().fit(x, y), "a SVC cannot be a head"),
        (lambda x, y: RandomForestClassifier(3).fit(x[:, :5], y), "fitted on 5 values, the embedding has 8"),
        (lambda x, y: DecisionTreeClassifier().fit(x * 70.0, y), "its thresholds reach from"),
        (
            lambda x, y: MLPClassifier((4,), activation="tanh", max_iter=5).fit(x, y),
            "hidden layers end in tanh",
        ),
        (lambda x, y: LogisticRegression().fit(x / 64.0, y), "must be measured on sounds"),
        (
            lambda x, y: make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(x, y),
            "trees behind a scaling",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_be_a_head_is_said(make: Any, said: str, tmp_path: Path) -> None:
    joblib.dump(make(*problem()), tmp_path / "own.joblib")
    with pytest.raises(ModelError, match=said):
        read_head(tmp_path / "own.joblib", EMBEDDING, None)


@pytest.mark.parametrize("name", ["text.joblib", "text.csv", "missing.joblib", "missing.csv"])
def test_files_that_are_none_are_said(name: str, tmp_path: Path) -> None:
    if name.startswith("text"):
        (tmp_path / name).write_text("no classifier, only text")
    with pytest.raises(ModelError, match=r"read|no forest"):
        read_head(tmp_path / name, EMBEDDING, None)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
@pytest.mark.parametrize("backbone", ["mobilenet.tflite", "statistics"])
def test_embed_fit_import_check(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_stapes: Any
) -> None:
    """docs/import.md: embeddings to a file, a classifier fitted on them, its bundle, equal on the host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mobilenet(tmp_path)
    (tmp_path / "recordings").mkdir()
    told = ["--set", "dataset.kind=synthetic", "--set", 'dataset.labels=["rain", "dog"]']
    if backbone == "statistics":
        told += ["--set", "window.frames=60", "--set", "window.hop_frames=60", "--set", "n_mels=20"]
        told += ["--set", "normalization.mean=-8.0", "--set", "normalization.std=4.0"]
    else:
        told += ["--frontend", "yamnet"]

    def run(*arguments: str) -> str:
        status, text = run_stapes(*arguments)
        assert status == 0, text
        return text

    run("embed", backbone, "--out", "e.npz", "--data", "recordings", *told)
    kept = np.load(tmp_path / "e.npz")
    estimator: Any = RandomForestClassifier(10, max_depth=5, random_state=1)
    estimator.fit(kept["embeddings"], kept["labels"])
    joblib.dump(estimator, tmp_path / "own.joblib")
    run("import", "own.joblib", "--backbone", backbone, "--out", "heard", *told)
    bundle = Bundle.load(tmp_path / "heard")
    assert bundle.manifest.labels == ("dog", "rain")
    run("check", "heard", "--target", "host", "--clips", "2", "--json", "check.json")
    found = json.loads((tmp_path / "check.json").read_text())
    assert found["features_equal"] and found["layers_equal"] and found["scores_equal"]
