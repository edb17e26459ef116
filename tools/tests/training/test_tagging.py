"""Tagging from a table with negatives to its figures: `stapes train`, its firmware, its card, and silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")
from stapes import Classifier
from stapes.cli.app import app
from stapes.datasets import Dataset, synthetic_clips
from stapes.recipe import Bundle
from stapes.recipe.recipe import ModelSpec, Recipe, TrainingSpec, WindowSpec
from stapes.training import build_pool
from stapes.training.batches import Batches

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

RATE = 16000
RECIPE = """name = "tags"
[dataset]
kind = "csv"
folds = 2
[frontend]
n_mels = 20
fmin = 100.0
[window]
frames = 40
hop_frames = 20
[model]
scores = "sigmoid"
filters = [8, 12]
strides = [2, 2]
[training]
steps = 120
batch = 24
warmup_steps = 5
speeds = [1.0]
mix = 0.3
"""


def write_table(directory: Path) -> None:
    """Each of two sounds alone, both together, and a third sound that has no label."""
    directory.mkdir()
    sounds = {
        name: synthetic_clips((name,), 12, RATE, 1.5, seed=3)
        for name in ("rooster", "helicopter", "clock_tick")
    }
    rows = ["filename,label,fold"]
    for number, clips in enumerate(zip(*sounds.values(), strict=True)):
        rooster, helicopter, other = (clip.pcm.astype(np.int32) // 2 for clip in clips)
        for name, pcm, label in (
            ("rooster", rooster, "rooster"), ("helicopter", helicopter, "helicopter"),
            ("both", rooster + helicopter, "rooster;helicopter"), ("other", other, ""),
        ):  # fmt: skip
            soundfile.write(directory / f"{name}{number}.wav", pcm.astype(np.int16), RATE, subtype="PCM_16")
            rows.append(f"{name}{number}.wav,{label},{1 + number % 2}")
    (directory / "clips.csv").write_text("\n".join(rows) + "\n")


def test_digital_silence_is_nothing_in_every_batch(tmp_path: Path) -> None:
    """One window in twenty is silent and has no tag; none has a tag that it is too quiet for; choosing has none."""
    sounds = synthetic_clips(("clock_tick", "rooster"), 40, RATE, 1.5, seed=1)
    recipe = Recipe(
        name="tags",
        window=WindowSpec(frames=40, hop_frames=20),
        model=ModelSpec(filters=(4,), strides=(2,), scores="sigmoid"),
        training=TrainingSpec(batch=42, speeds=(1.0,), mix=1.0, mask_frames=0, mask_bands=0),
    )
    pool = build_pool(recipe, Dataset(sounds, RATE), tmp_path)
    assert len(pool.targets) == 42 and list(pool.targets[40:]) == [-1, -1]
    assert all(set(pool.indices(fold, held_out=True)) <= set(range(40)) for fold in range(6))
    features, labels = Batches(recipe, pool, 0).batch(1)
    silent = np.ptp(features, axis=(1, 2, 3)) < 1e-3
    assert silent.sum() == 2
    assert not labels[silent].any() and labels[~silent].any(axis=1).all()
    chooses = recipe.model_copy(update={"model": recipe.model.model_copy(update={"scores": "softmax"})})
    assert len(build_pool(chooses, Dataset(sounds, RATE), tmp_path).targets) == 40


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_tags_are_scored_each_by_itself_and_silence_has_none(tmp_path: Path) -> None:
    data, bundle = tmp_path / "data", tmp_path / "bundle"
    write_table(data)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    train = ["train", str(tmp_path / "recipe.toml"), "--data", str(data), "--out", str(bundle)]
    done = CliRunner().invoke(app, [*train, "--cache", str(tmp_path / "cache")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "clips with all tags right" in " ".join(done.output.split())
    metrics = Bundle.load(bundle).metrics()
    assert metrics["tagging"] is True and metrics["tag_thresholds"] == [0.5, 0.5]
    assert Bundle.load(bundle).manifest.live.multi_label, "a device says all of them too"
    assert metrics["firmware"]["accuracy_mean"] >= 0.7, "of nothing at all a quarter is right"
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "| class | clips | precision | recall | F1 | average precision |" in card
    assert "mean average precision" in card and "names any of its classes, or none" in card

    page, table = tmp_path / "page.html", tmp_path / "e.json"
    evaluate = [
        "evaluate",
        str(bundle),
        "--data",
        str(data),
        "--folds",
        "1",
        "--out",
        str(tmp_path / "build"),
    ]
    done = CliRunner().invoke(
        app, [*evaluate, "--html", str(page), "--json", str(table)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    found = json.loads(table.read_text())
    assert found["firmware"] == found["int8"] and "confusion" not in found["firmware"]
    assert found["firmware"]["accuracy_mean"] == metrics["firmware"]["accuracy_mean"]
    assert found["clips"] == [24] and len(found["wrong"]) == round(
        24 * (1 - found["firmware"]["accuracy_mean"])
    )
    assert [row["clips"] for row in found["classes"]] == [12, 12]
    assert found["mean_average_precision"] == np.mean([row["average_precision"] for row in found["classes"]])
    assert found["mean_average_precision"] >= 0.8
    assert sum(bin["count"] for bin in found["calibration"]["bins"]) == 2 * 24
    assert "average precision" in done.output and "<th>average precision</th>" in page.read_text()

    silence = Classifier(bundle).classify(np.zeros(2 * RATE, np.int16))
    assert max(silence.scores.values()) < 0.2, silence.scores
