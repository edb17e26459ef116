"""docs/own-sounds.md, from its recordings to the check: its recipe and its commands, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stapes.datasets import synthetic_clips

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

PAGE = Path(__file__).parents[3] / "docs" / "own-sounds.md"
RATE = 44100
SOUNDS = {"doorbell": "rooster", "kettle": "rain", "nothing": "clock_tick"}
NEEDS_A_BOARD = ("stapes flash", "stapes record", "--target board:")


def make_recordings(directory: Path) -> None:
    """Three occasions with three sounds of four seconds each, a second of silence before each; and label tracks."""
    directory.mkdir()
    for occasion, name in enumerate(("monday", "kitchen", "evening")):
        parts, lines, time = [], [], 0.0
        for label, sound in SOUNDS.items():
            for clip in synthetic_clips((sound,), 1, RATE, 4.0, seed=occasion + 1):
                parts += [np.zeros(RATE, np.int16), clip.pcm // 2]
                lines.append(f"{time + 1.0:.6f}\t{time + 5.0:.6f}\t{label}")
                time += 5.0
        soundfile.write(directory / f"{name}.wav", np.concatenate(parts), RATE, subtype="PCM_16")
        (directory / f"{name}.txt").write_text("\n".join(lines) + "\n")


def commands(page: str) -> list[list[str]]:
    found = re.findall(r"^    (stapes .*)$", page, flags=re.MULTILINE)
    return [shlex.split(line)[1:] for line in found if not any(part in line for part in NEEDS_A_BOARD)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_the_page_is_true(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    make_recordings(tmp_path / "recordings")
    (recipe,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert "steps = 1500" in recipe
    quick = recipe.replace("steps = 1500", "steps = 50\nspeeds = [1.0]\nbatch = 32")
    (tmp_path / "recipe.toml").write_text(quick)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STAPES_")}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")

    run = commands(page)
    assert [" ".join(arguments[:2]) for arguments in run] == [
        "data check",
        "data stats",
        "train recipe.toml",
        "evaluate own-sounds",
        "report evaluation.json",
        "generate own-sounds",
        "build own-sounds",
        "check own-sounds",
    ]
    for arguments in run:
        done = subprocess.run(
            [sys.executable, "-m", "stapes", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"

    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["folds"] == [1, 2, 3]
    assert evaluation["labels"] == ["doorbell", "kettle", "nothing", "unknown"]
    assert evaluation["firmware"]["accuracy_mean"] >= 0.6, "sounds this different are soon told apart"
    assert "<html" in (tmp_path / "evaluation.html").read_text()
    assert (tmp_path / "generated" / "stapes_own_sounds_model.c").is_file()
    check = json.loads((tmp_path / "check.json").read_text())
    assert check["passed"]
    assert check["clips"] == 18
    assert check["features_equal"] and check["layers_equal"] and check["scores_equal"]
    assert check["accuracy"] is not None
    assert "own recordings" in (tmp_path / "own-sounds" / "MODEL_CARD.md").read_text().lower()
