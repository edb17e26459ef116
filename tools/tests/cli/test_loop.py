"""A product's loop on this computer: record, label, train, build, listen, review, train again; commands all the way."""

from __future__ import annotations

import csv
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (extra 'train')")

from stapes.cli.app import app
from stapes.datasets import synthetic_clips
from stapes.datasets.audacity import label_line, read_label_track
from stapes.recipe import Bundle

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

RATE = 16000
SOUNDS = {"bell": "rooster", "fan": "helicopter"}
SECONDS, PAUSE = 1.2, 0.8
RECIPE = """name = "loop"
[dataset]
kind = "audacity"
folds = 2
[frontend]
n_mels = 20
fmin = 100.0
[window]
frames = 32
hop_frames = 8
[model]
filters = [8, 12]
strides = [2, 2]
[training]
steps = 80
batch = 24
warmup_steps = 5
speeds = [1.0]
mix = 0.3
"""


def stapes(*arguments: object) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def sounding(path: Path, seed: int) -> list[tuple[float, float, str]]:
    """What a microphone will hear: a bell, a fan, and a quiet room around them; and when."""
    random = np.random.default_rng(seed)
    parts, spans, time = [], [], 0.0
    for label, sound in SOUNDS.items():
        (clip,) = synthetic_clips((sound,), 1, RATE, SECONDS, seed)
        parts += [np.zeros(round(PAUSE * RATE)), clip.pcm * 0.8]
        spans += [(time, time + PAUSE, "nothing"), (time + PAUSE, time + PAUSE + SECONDS, label)]
        time += PAUSE + SECONDS
    pcm = np.concatenate(parts) + random.normal(0, 30, round(time * RATE))
    soundfile.write(path, pcm.clip(-32768, 32767).astype(np.int16), RATE)
    return spans


def post(port: str, token: str, correction: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    connection.request(
        "POST", f"/{token}/label", json.dumps(correction), {"Content-Type": "application/json"}
    )
    assert connection.getresponse().status == 200


def reviewed(directory: Path, bundle: Path, labels: dict[str, str]) -> str:
    """Give clips their labels on the page of `stapes review`; what the command says at its end."""
    with subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "stapes",
            "review",
            str(directory),
            "--bundle",
            str(bundle),
            "--no-browser",
        ],
        stdout=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background may ignore SIGINT; a program inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/", first)
        assert found, first
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        connection.request("GET", f"/{found[2]}/clips.json")
        clips = json.loads(connection.getresponse().read())["clips"]
        assert {clip["name"] for clip in clips} > set(labels)
        for clip in clips:
            if clip["name"] in labels:
                assert not clip["labels"], "nobody has labelled it yet"
                post(found[1], found[2], {"clip": clip["clip"], "labels": [labels[clip["name"]]]})
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=30)[0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_from_the_microphone_to_a_network_and_again(tmp_path: Path) -> None:
    recordings, bundle, again = tmp_path / "recordings", tmp_path / "bundle", tmp_path / "again"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)

    for number in range(2):  # two occasions
        spans = sounding(tmp_path / f"heard{number}.wav", seed=20 + number)
        known = tmp_path / "recorded.json"
        stapes(
            "record", "--target", "host", "--microphone", tmp_path / f"heard{number}.wav", "--out", recordings,
            "--seconds", spans[-1][1], "--build", tmp_path / "recorder", "--json", known,
        )  # fmt: skip
        track = Path(json.loads(known.read_text())["path"]).with_suffix(".txt")
        # As a person would label it; what a busy computer lost moves it by less than they would be wrong.
        track.write_text("".join(label_line(*span) for span in spans))
    assert len(list(recordings.glob("*.wav"))) == 2

    train = ["--data", recordings, "--cache", tmp_path / "cache", "--out"]
    stapes("train", recipe, *train, bundle)
    first = Bundle.load(bundle)
    assert first.manifest.live.other == "nothing", "the room is no event, and nobody had to say so"
    assert "nothing" in first.manifest.labels and first.metrics()["clips"] == [4]
    assert first.metrics()["firmware"]["accuracy_mean"] >= 0.75

    built = stapes("build", bundle, "--app", "live", "--out", tmp_path / "build")
    assert "RAM" in built

    truth = sounding(tmp_path / "product.wav", seed=30)
    events = recordings / "product"
    stapes(
        "listen", bundle, "--target", "host", "--microphone", tmp_path / "product.wav", "--plain",
        "--seconds", truth[-1][1], "--save-events", events, "--out", tmp_path / "live",
        "--labels", tmp_path / "track.txt",
    )  # fmt: skip
    heard = read_label_track(tmp_path / "track.txt")
    right = {
        label for start, end, label in truth for one in heard
        if one.text == label and one.span.start < end and one.span.end > start
    }  # fmt: skip
    assert right == {"bell", "fan"}, heard
    assert all(one.span.end - one.span.start > 0.1 for one in heard), "an event lasts a hop at least"
    saved = sorted(events.glob("*.wav"))
    assert saved

    labels = {f"product/{path.name}": path.stem.rpartition("-")[2] for path in saved}
    said = reviewed(recordings, bundle, labels)
    assert "no label -> " in said and (recordings / "clips.csv").is_file()

    rows = [row for row in csv.DictReader((recordings / "clips.csv").open()) if row["filename"] in labels]
    (fold,) = {int(row["fold"]) for row in rows}
    assert len(rows) == len(saved), "one session stays in one fold, and the other one is left out"
    recipe.write_text(RECIPE.replace('kind = "audacity"', f'kind = "csv"\ntest_fold = {3 - fold}'))
    stapes("train", recipe, *train, again)
    second = Bundle.load(again)
    assert second.metrics()["clips"] == [4] and second.manifest.labels == first.manifest.labels
    assert second.metrics()["firmware"]["accuracy_mean"] >= 0.75
    assert second.model != first.model
