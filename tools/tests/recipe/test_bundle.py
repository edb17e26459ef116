"""Bundles: saved whole, refused when damaged."""

import json
from pathlib import Path

import pytest

from stapes.errors import BundleError
from stapes.recipe import Bundle, BundleManifest, DecisionSpec, FrontendSpec, Normalization, WindowSpec


def manifest() -> BundleManifest:
    return BundleManifest(
        name="x",
        labels=("a", "b"),
        frontend=FrontendSpec(),
        normalization=Normalization(mean=-5.0, std=4.0),
        window=WindowSpec(),
        decision=DecisionSpec(),
    )


def save(directory: Path) -> Bundle:
    return Bundle.save(directory, manifest(), {"model.tflite": b"TFL3", "recipe.toml": b"name = 'x'\n"})


def test_round_trip(tmp_path: Path) -> None:
    saved = save(tmp_path)
    loaded = Bundle.load(tmp_path)
    assert loaded.manifest == saved.manifest
    assert loaded.hash == saved.hash
    assert loaded.metrics() == {}


def test_hash_follows_the_network_but_not_the_figures(tmp_path: Path) -> None:
    saved = save(tmp_path / "a")
    files = {"model.tflite": b"TFL3", "metrics.json": b"{}"}
    assert Bundle.save(tmp_path / "b", manifest(), files).hash == saved.hash
    assert Bundle.save(tmp_path / "c", manifest(), {"model.tflite": b"TFL4"}).hash != saved.hash


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "bundle.json").unlink(), "not a bundle"),
        (lambda d: (d / "bundle.json").write_text("{"), "bundle.json"),
        (lambda d: (d / "model.tflite").unlink(), "model.tflite is missing"),
        (lambda d: (d / "model.tflite").write_bytes(b"TFL5"), "SHA-256 differs"),
        (lambda d: edit(d, format=2), "format 2"),
        (lambda d: edit(d, surprise=1), "surprise: unknown key"),
        (lambda d: edit(d, files={}), "model.tflite is not listed"),
    ],
)
def test_damage_is_one_clear_line(tmp_path: Path, damage, message: str) -> None:
    save(tmp_path)
    damage(tmp_path)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.load(tmp_path)
    assert caught.value.hint and "\n" not in str(caught.value)


def edit(directory: Path, **changes: object) -> None:
    path = directory / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
