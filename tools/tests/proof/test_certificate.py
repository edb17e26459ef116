"""The certificate of a proof: what `stapes check` says of it, and when it says nothing any more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_bundle import make_small_bundle

from stapes.proof import frontend

SHOWN = "proved for all inputs on 20"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small bundle is built once."""
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    directory = tmp_path_factory.mktemp("certificate")
    make_small_bundle(directory / "bundle")
    return directory


@pytest.fixture
def command(place: Path, run_stapes: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(place)
    monkeypatch.setattr(frontend, "SWEPT", 1)
    return run_stapes


CHECK = ("check", "bundle", "--target", "host", "--clips", "1")


def test_check_says_so_until_anything_differs(command: Any, place: Path) -> None:
    status, text = command(*CHECK)
    assert status == 0 and SHOWN not in text
    status, text = command("prove", "bundle", "--json", "proof.json")
    assert status == 0 and "certificate: bundle/proof.json" in text
    assert "tested only: front end, rows, librosa: measured" in text
    certificate = place / "bundle/proof.json"
    sound = json.loads(certificate.read_text())
    assert sound["proofs"]["host"] == json.loads((place / "proof.json").read_text())
    status, text = command(*CHECK)
    assert status == 0 and SHOWN in text and "front end: no step overflows for any samples" in text

    for key, value in (("key", "0" * 64), ("schedule", None), ("layers", [])):
        changed = json.loads(json.dumps(sound))
        changed["proofs"]["host"][key] = value
        if key == "layers":
            changed["format"] = 2
        certificate.write_text(json.dumps(changed))
        status, text = command(*CHECK)
        assert status == 0 and SHOWN not in text, key
    certificate.write_text("{")
    assert SHOWN not in command(*CHECK)[1]

    make_small_bundle(place / "other", seed=2)
    certificate.write_text(json.dumps(sound))
    shutil.copy(certificate, place / "other/proof.json")
    assert SHOWN not in command("check", "other", *CHECK[2:])[1], "that is of another network"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "/dev/ttyX"), "/dev/ttyX runs a program of its own"),
        (("--certificate", "bundle/model.tflite/proof.json"), "cannot write bundle/model.tflite/proof.json"),
    ],
)
def test_what_cannot_be_is_one_line(command: Any, arguments: tuple[str, ...], message: str) -> None:
    status, text = command("prove", "bundle", *arguments)
    assert status == 1 and message in text and "Traceback" not in text
