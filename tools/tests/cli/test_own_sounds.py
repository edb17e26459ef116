"""docs/own-sounds.md, from its recordings to the check: its recipe and its commands, run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pages import DOCS, commands, run, without_stapes

from stapes.datasets import synthetic_clips
from stapes.datasets.audacity import read_label_track
from stapes.recipe import load_recipe

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

PAGE = DOCS / "own-sounds.md"
RATE = 44100
SOUNDS = {"doorbell": "rooster", "kettle": "rain", "nothing": "clock_tick"}


def make_recordings(directory: Path, occasions: tuple[str, ...] = ("monday", "kitchen", "evening")) -> None:
    """Occasions with three sounds of four seconds each, a second of silence before each; and label tracks."""
    directory.mkdir()
    for occasion, name in enumerate(occasions):
        parts, lines, time = [], [], 0.0
        for label, sound in SOUNDS.items():
            for clip in synthetic_clips((sound,), 1, RATE, 4.0, seed=len(name) + 10 * occasion):
                parts += [np.zeros(RATE, np.int16), clip.pcm // 2]
                lines.append(f"{time + 1.0:.6f}\t{time + 5.0:.6f}\t{label}")
                time += 5.0
        soundfile.write(directory / f"{name}.wav", np.concatenate(parts), RATE, subtype="PCM_16")
        (directory / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_its_recipe_trains_with_noise_and_level(tmp_path: Path) -> None:
    """A product is heard from far away, from near, and in a hiss: not an option to be found later."""
    (recipe,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "recipe.toml").write_text(recipe)
    training = load_recipe(tmp_path / "recipe.toml").training
    assert training.gain_db >= 20.0
    assert training.noise > 0.0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_page_is_true(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    make_recordings(tmp_path / "recordings")
    make_recordings(tmp_path / "later", occasions=("april",))
    (recipe,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert "steps = 1500" in recipe
    quick = recipe.replace("steps = 1500", "steps = 50\nspeeds = [1.0]\nbatch = 32")
    quick = quick.replace("cut_seconds = 2.0", "cut_seconds = 1.0")  # eight clips to calibrate with
    (tmp_path / "recipe.toml").write_text(quick)
    environment = without_stapes(tmp_path / "cache")

    listed = commands(page)
    assert [" ".join(arguments[:2]) for arguments in listed] == [
        "data check",
        "data stats",
        "train recipe.toml",
        "evaluate own-sounds",
        "evaluate own-sounds",
        "generate own-sounds",
        "build own-sounds",
        "check own-sounds",
        "label later/april.wav",
        "calibrate own-sounds",
    ]
    for arguments in listed:
        run(arguments, tmp_path, environment)

    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["folds"] == [1, 2, 3]
    assert evaluation["labels"] == ["doorbell", "kettle", "nothing", "unknown"]
    assert evaluation["firmware"]["accuracy_mean"] >= 0.6, "sounds this different are soon told apart"
    assert "<html" in (tmp_path / "evaluation.html").read_text()
    assert (tmp_path / "generated" / "stapes_own_sounds_model.c").is_file()
    check = json.loads((tmp_path / "check.json").read_text())
    assert check["passed"]
    assert check["clips"] == 36
    assert check["features_equal"] and check["layers_equal"] and check["scores_equal"]
    assert check["accuracy"] is None, "nothing is left that the final network has not heard"
    live = json.loads((tmp_path / "own-sounds" / "bundle.json").read_text())["live"]
    assert live["other"] == "nothing", "its name says so"
    assert set(live["thresholds"]) == {"doorbell", "kettle"}
    events = read_label_track(tmp_path / "later" / "april.labels.txt")
    assert {event.text for event in events} <= {"doorbell", "kettle"}
    assert "own recordings" in (tmp_path / "own-sounds" / "MODEL_CARD.md").read_text().lower()
