"""Accuracy against size: who is on the front, from real bundles and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner

from stapes.bench.pareto import Point, _ranked
from stapes.cli.app import app
from stapes.errors import BundleError, StapesError
from stapes.recipe import Bundle


def point(name: str, accuracy: float, macs: int, weights: int = 100, arena: int = 100) -> Point:
    return Point(name, accuracy, 0.01, 5, "firmware", macs, weights, arena)


def test_a_bundle_is_on_the_front_when_no_other_is_smaller_and_better() -> None:
    small, middle, large, bad, twin = everyone = [
        point("small", 0.8, 10),
        point("middle", 0.9, 20, weights=50),
        point("large", 0.95, 40),
        point("bad", 0.85, 30),
        point("twin", 0.8, 10),
    ]
    assert _ranked(small, everyone).best_for == ("macs_per_window",)
    assert _ranked(middle, everyone).best_for == ("macs_per_window", "weights_bytes")
    assert _ranked(large, everyone).best_for == ("macs_per_window", "weights_bytes", "arena_bytes")
    assert _ranked(bad, everyone).best_for == ()
    assert _ranked(twin, everyone).best_for == ("macs_per_window",), "equal ones do not beat each other"


def make_bundle(directory: Path, seed: int, accuracy: float | None) -> Path:
    bundle = make_small_bundle(directory / "made" / str(seed), seed=seed, name=f"net{seed}")
    files = {"model.tflite": bundle.model}
    if accuracy is not None:
        figures = {"accuracy_mean": accuracy, "accuracy_sd": 0.02, "per_fold": [accuracy] * 5}
        files["metrics.json"] = json.dumps({"firmware": figures, "int8": figures}).encode()
    return Bundle.save(directory / f"net{seed}", bundle.manifest, files).directory


def test_the_command(tmp_path: Path) -> None:
    bundles = [make_bundle(tmp_path, 1, 0.8), make_bundle(tmp_path, 2, 0.9), make_bundle(tmp_path, 3, None)]
    (tmp_path / "recipe-only").mkdir()
    arguments = ["report", "pareto", *map(str, bundles), str(tmp_path / "recipe-only")]
    done = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "j.json")], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "j.json").read_text())["bundles"]
    assert [(item["name"], item["accuracy"]) for item in found] == [("net1", 0.8), ("net2", 0.9)]
    assert found[0]["best_for"] == []
    assert found[1]["best_for"] == ["macs_per_window", "weights_bytes", "arena_bytes"]
    assert found[0]["macs_per_window"] == found[1]["macs_per_window"] > 0
    assert "net2" in done.output
    with pytest.raises(BundleError, match="no bundle with figures"):
        CliRunner().invoke(app, ["report", "pareto", str(bundles[2])], catch_exceptions=False)


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'train')")
    bundle = str(make_bundle(tmp_path, 1, 0.8))
    for name in ("a.svg", "b.svg"):
        arguments = ["report", "pareto", bundle, "--out", str(tmp_path / name)]
        assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn.startswith("<?xml")
    with pytest.raises(StapesError, match="docx"):
        arguments = ["report", "pareto", bundle, "--out", str(tmp_path / "c.docx")]
        CliRunner().invoke(app, arguments, catch_exceptions=False)
