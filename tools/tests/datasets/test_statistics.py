"""`stapes data check` and `stats`: what is counted, and what is found wrong, all of it at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sound_trees import make_urbansound8k, write_noise
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.datasets import Dataset, open_dataset, synthetic_clips
from stapes.datasets.statistics import describe_dataset, level_db
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")


def test_levels_are_in_db_of_full_scale() -> None:
    assert level_db(np.full(10, -32768, np.int16)) == 0.0
    assert level_db(np.full(10, 3277, np.int16)) == pytest.approx(-20.0, abs=0.01)
    sine = np.rint(32767 * np.sin(np.arange(16000) * 0.1)).astype(np.int16)
    assert level_db(sine) == pytest.approx(-3.01, abs=0.02)
    assert level_db(np.zeros(10, np.int16)) == -np.inf


def test_what_is_counted(tmp_path: Path) -> None:
    tree = make_urbansound8k(tmp_path / "d")
    first = tree / "audio" / "fold1" / "100013-3-0-1.wav"
    soundfile.write(first, np.tile([32767, -32768], 24000).astype(np.int16), 48000, subtype="PCM_16")
    second = tree / "audio" / "fold2" / "100023-3-0-2.wav"
    soundfile.write(second, np.zeros(22050), 22050)
    found = describe_dataset(open_dataset(tree, DatasetSpec(kind="urbansound8k"), 16000), 8000)
    assert found["clips"] == 20
    assert found["seconds"] == pytest.approx(16 * 1.0 + 2 * 0.5 + 2 * 4.0, abs=0.1)
    assert found["classes"][0] == {
        "label": "dog_bark",
        "clips": 10,
        "seconds": pytest.approx(12.5, abs=0.1),
        "per_fold": [1] * 10,
    }
    assert sum(found["sample_rates"].values()) == sum(found["channels"].values()) == 20
    assert found["sample_rates"]["48000"] == 8
    assert (found["foreground"], found["background"]) == (10, 10)
    assert found["silent"] == 1
    assert sum(found["levels"]["counts"]) == 19
    assert found["levels"]["median_db"] == pytest.approx(-24, abs=4)
    assert found["problems"] == []
    assert (found["shortest_seconds"], found["longest_seconds"]) == (0.5, 4.0)


def make_folders(directory: Path) -> Path:
    for number in range(4):
        for label in ("dog", "knock"):
            write_noise(directory / label / f"{number}.wav", 2.0, seed=100 * number + len(label))
    return directory


RECIPE = 'name = "own"\n[dataset]\nkind = "folders"\nfolds = 2\n[window]\nframes = 40\n'


def test_the_commands_name_every_problem_at_once(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    tree = make_folders(tmp_path / "d")
    arguments = [str(tmp_path / "recipe.toml"), "--data", str(tree), "--json", str(tmp_path / "j.json")]
    runner = CliRunner()
    good = runner.invoke(app, ["data", "check", *arguments], catch_exceptions=False)
    assert good.exit_code == 0
    assert "8 clips, 16 s" in good.output

    (tree / "dog" / "1.wav").write_bytes(b"corrupt")
    write_noise(tree / "knock" / "2.wav", 0.3)
    (tree / "dog" / "copy.wav").write_bytes((tree / "dog" / "0.wav").read_bytes())
    bad = runner.invoke(app, ["data", "check", *arguments])
    assert isinstance(bad.exception, DataError)
    for text in (
        "2 bad recordings",
        "dog/1.wav: cannot be decoded",
        "knock/2.wav: 0.30 s, shorter than the 0.81 s",
    ):
        assert text in bad.exception.message
    found = json.loads((tmp_path / "j.json").read_text())
    assert len(found["problems"]) == 2
    assert found["same_content"] == [["dog/0.wav", "dog/copy.wav"]]

    counted = runner.invoke(app, ["data", "stats", *arguments], catch_exceptions=False)
    assert counted.exit_code == 0
    assert "problem:" in counted.output
    found = json.loads((tmp_path / "j.json").read_text())
    assert found["labels"] == ["dog", "knock"]
    assert found["clips"] == 8


def write_at(path: Path, rate: int, seed: int) -> None:
    """Two seconds of noise up to just below half the rate, as a recorder writes it."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=2 * rate) * 0.1)
    spectrum[int(0.95 * len(spectrum)) :] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.fft.irfft(spectrum), rate, subtype="PCM_16")


@pytest.mark.parametrize(
    "rates", [(8000, 16000), (16000, 16000), (8000, 8000), (44100, 16000), (11025, 48000)]
)
def test_classes_that_a_recorder_tells_apart_are_named(tmp_path: Path, rates: tuple[int, int]) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for index, (label, rate) in enumerate(zip(("engine", "traffic"), rates, strict=True)):
        for number in range(4):
            write_at(tmp_path / "d" / label / f"{number}.wav", rate, 10 * index + number)
    for command in ("check", "stats"):
        done = CliRunner().invoke(
            app,
            ["data", command, str(tmp_path / "recipe.toml"), "--data", str(tmp_path / "d")],
            catch_exceptions=False,
        )
        assert done.exit_code == 0
        assert ("class engine has nothing above" in done.output) == (rates[0] < min(rates[1], 16000))
        assert "class traffic has" not in done.output
        if rates[0] == 8000 < rates[1]:
            assert "nothing above 4.1 kHz, others reach 7.9 kHz" in done.output


def test_natural_classes_are_not_told_apart_by_a_recorder() -> None:
    """The sounds made by arithmetic, tones and clicks among them, end at many frequencies or at none."""
    clips = synthetic_clips(("dog", "rain", "clock_tick", "rooster", "sea_waves"), 20, 16000, 1.0, 1)
    assert describe_dataset(Dataset(tuple(clips), 16000), 1000)["warnings"] == []


def write_occasion(directory: Path, name: str, gain_db: float, silence: float = 0.0) -> None:
    """Two labelled seconds of noise, `gain_db` above -40 dBFS, and zeros for a share of the second one."""
    noise = np.random.default_rng(len(name)).normal(size=48000) * 0.01 * 10 ** (gain_db / 20)
    noise[48000 - round(16000 * silence) :] = 0
    directory.mkdir(parents=True, exist_ok=True)
    soundfile.write(directory / f"{name}.wav", noise, 16000, subtype="PCM_16")
    (directory / f"{name}.txt").write_text("0.0\t1.0\tdog\n2.0\t3.0\tknock\n")


@pytest.mark.parametrize("gain_db", [9.0, 22.0])
def test_levels_silence_and_folds_of_recordings(tmp_path: Path, gain_db: float) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("folders", "audacity"))
    write_occasion(tmp_path / "d", "monday", 0.0)
    write_occasion(tmp_path / "d", "späť", gain_db, silence=0.5)
    arguments = [str(tmp_path / "recipe.toml"), "--data", str(tmp_path / "d")]
    done = CliRunner().invoke(
        app, ["data", "stats", *arguments, "--json", str(tmp_path / "j.json")], catch_exceptions=False
    )
    found = json.loads((tmp_path / "j.json").read_text())
    rows = {row["recording"]: row for row in found["recordings"]}
    assert {row["fold"] for row in rows.values()} == {1, 2}
    assert [row["clips"] for row in rows.values()] == [2, 2]
    assert rows["monday.wav"]["level_db"] == pytest.approx(-40, abs=0.2)
    assert rows["späť.wav"]["level_db"] == pytest.approx(-40 + gain_db, abs=0.2), "of what sounds"
    assert rows["späť.wav"]["silent_share"] == pytest.approx(0.25, abs=0.01)
    assert rows["monday.wav"]["silent_share"] == 0.0
    assert rows["monday.wav"]["bandwidth_hz"] > 7000
    assert ("recordings differ by 22 dB in level: monday.wav -40 dBFS" in done.output) == (gain_db > 10)
    assert "1 recordings are digital silence for more than 20%: späť.wav" in done.output
    assert "späť.wav" in done.output.split("warning")[0]


def test_folds_of_single_clips_that_differ_in_level_are_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("folders", "csv"))
    lines = []
    for fold, gain in ((1, 1.0), (2, 0.1)):
        for number in range(23):
            name = f"{number % 2}-{fold}-{number}.wav"
            noise = np.random.default_rng(number).normal(size=16000) * 0.1 * gain
            (tmp_path / "d").mkdir(exist_ok=True)
            soundfile.write(tmp_path / "d" / name, noise, 16000)
            lines.append(f"{name},{'ab'[number % 2]},{fold}")
    (tmp_path / "d" / "clips.csv").write_text("\n".join(["filename,label,fold", *lines]))
    done = CliRunner().invoke(
        app,
        ["data", "stats", str(tmp_path / "recipe.toml"), "--data", str(tmp_path / "d")],
        catch_exceptions=False,
    )
    assert "recordings differ by 20 dB in level: fold 2 -40 dBFS, fold 1 -20 dBFS" in done.output
    assert "set training.gain_db to about 2" in done.output
    assert "the quietest and the loudest of each fold, of 46 recordings" in " ".join(done.output.split())


def test_the_list_of_published_data_sets(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["data", "list", "--json", str(tmp_path / "j.json")], catch_exceptions=False
    )
    assert done.exit_code == 0
    names = [item["name"] for item in json.loads((tmp_path / "j.json").read_text())["datasets"]]
    assert names == ["esc50", "urbansound8k", "speech-commands"]
    assert all(name in done.output for name in names)
