"""`stapes review`: which clips it shows, what a correction writes, who may correct; over HTTP, and in a browser."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_bundle import make_small_bundle
from sound_trees import write_noise

import stapes.review.server
from stapes.datasets import open_dataset
from stapes.errors import DataError, StapesError
from stapes.recipe import Bundle, DatasetSpec
from stapes.reference import Classifier
from stapes.review import Review, ReviewServer

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RECIPE = """
name = "small"
[dataset]
kind = "audacity"
folds = 2
cut_seconds = 1.0
[frontend]
n_mels = 20
[window]
frames = 20
hop_frames = 7
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    one, two = (make_small_bundle(tmp_path / str(seed), seed=seed, min_confidence=0.0) for seed in (1, 2))
    files = {"model.tflite": one.model, "recipe.toml": RECIPE.encode(), "folds/fold2.tflite": two.model}
    return Bundle.save(tmp_path / "bundle", one.manifest, files)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two recordings with two labels each, one of them a label that the bundle does not know; and one without."""
    tree = tmp_path / "Aufnahmen ü"
    for seed, name in enumerate(("a", "sub/b")):
        write_noise(tree / f"{name}.wav", 3.0, seed=seed)
        last = "rain" if seed else "crow"
        (tree / f"{name}.txt").write_text(f"0.0\t1.0\tdog\n1.5\t2.5\t{last}\n")
    write_noise(tree / "new" / "n.wav", 2.0, seed=7)
    return tree


@pytest.fixture
def server(tree: Path, bundle: Bundle) -> Iterator[ReviewServer]:
    with ReviewServer(Review(tree, bundle), bundle.manifest.frontend, "small") as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def ask(
    server: ReviewServer, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """`path` below the token, unless it begins with a slash; POST where there is a body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    full = path if path.startswith("/") else f"/{server.token}/{path}"
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is None:
        connection.request("GET", full, headers=fields)
    else:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", full, data, {"Content-Type": "application/json"} | fields)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.headers)


def clips(server: ReviewServer) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads(ask(server, "clips.json")[1])["clips"]
    return value


def number_of(server: ReviewServer, name: str) -> int:
    return next(int(clip["clip"]) for clip in clips(server) if clip["name"] == name)


def test_doubtful_clips_come_first_with_the_scores_of_the_network_that_left_them_out(
    server: ReviewServer, bundle: Bundle
) -> None:
    found = clips(server)
    assert {clip["name"] for clip in found} == {
        *("a.wav@0.000", "a.wav@1.500", "sub/b.wav@0.000", "sub/b.wav@1.500"),
        *("new/n.wav@0.000", "new/n.wav@1.000"),
    }
    own = [dict(clip["scores"]).get(clip["labels"][0], 2.0) for clip in found if clip["labels"]]
    known = [score for score in own if score < 2.0]
    assert known == sorted(known)
    for clip in found:
        entry = server.review.entries[clip["clip"]]
        network = bundle.files["folds/fold2.tflite"] if clip["fold"] == 2 else bundle.model
        other = Bundle(bundle.directory, bundle.manifest, bundle.files | {"model.tflite": network})
        wanted = Classifier(other).classify(entry.clip.pcm)
        assert dict(clip["scores"]) == dict(wanted.scores) and clip["said"] == wanted.label
        judged = clip["labels"] and clip["labels"][0] != "crow"
        assert clip["right"] == ((clip["said"] in clip["labels"]) if judged else None)
    assert server.review.labels == ["bell", "crow", "dog", "rain"]


def test_sound_and_picture_are_what_the_device_hears(server: ReviewServer) -> None:
    status, content, headers = ask(server, "sound/0")
    assert (status, headers["Content-Type"]) == (200, "audio/wav")
    pcm, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(pcm, server.review.entries[0].clip.pcm)
    status, part, headers = ask(server, "sound/0", Range="bytes=44-143")
    assert (status, part) == (206, content[44:144])
    assert headers["Content-Range"] == f"bytes 44-143/{len(content)}"
    status, content, headers = ask(server, "picture/0")
    assert (status, headers["Content-Type"], content[:4]) == (200, "image/png", b"\x89PNG")
    frames = server.frontend.frames(len(pcm))
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (frames, 20)
    for path in ("sound/99", "picture/99", "sound/x", "../review.py", "page/review.html"):
        assert ask(server, path)[0] == 404


def test_a_click_writes_the_table_and_another_one_takes_it_back(server: ReviewServer, tree: Path) -> None:
    spec = DatasetSpec(kind="csv", folds=2, cut_seconds=1.0)
    before = {
        (clip["name"], clip["fold"], ";".join(clip["labels"])) for clip in clips(server) if clip["labels"]
    }

    def read() -> set[tuple[str, int, str]]:
        found = open_dataset(tree, spec, 16000, for_training=False).clips
        return {(clip.name, clip.fold, ";".join(clip.labels)) for clip in found}

    def post(name: str, *labels: str, **more: object) -> dict[str, Any]:
        status, content, _ = ask(
            server, "label", {"clip": number_of(server, name), "labels": list(labels), **more}
        )
        assert status == 200, content
        value: dict[str, Any] = json.loads(content)
        return value

    assert not (tree / "clips.csv").exists(), "nothing is written before something changes"
    assert post("a.wav@1.500", "bell")["labels"] == ["bell"]
    changed = {(n, f, "bell" if n == "a.wav@1.500" else label) for n, f, label in before}
    assert read() == changed, "folds are kept, the other labels too"
    post("sub/b.wav@0.000", "dog", "rain")
    assert ("dog;rain") in {labels for _, _, labels in read()}
    post("sub/b.wav@0.000", "dog")
    assert server.review.changes() == ["crow -> bell"]
    post("a.wav@1.500", "crow")
    assert server.review.changes() == []
    assert read() == before

    assert post("new/n.wav@1.000", "bell")["fold"] in (1, 2)
    assert {name for name, _, _ in read()} == {name for name, _, _ in before} | {"new/n.wav@1.000"}
    post("a.wav@0.000", "dog", left_out=True)
    assert "a.wav@0.000" not in {name for name, _, _ in read()}
    assert sorted(server.review.changes()) == ["dog left out", "no label -> bell"]


def test_the_next_session_goes_on(tree: Path, bundle: Bundle) -> None:
    first = Review(tree, bundle)
    names = [entry.clip.name for entry in first.entries]
    first.correct(names.index("a.wav@0.000"), ["rain"])
    first.correct(names.index("sub/b.wav@1.500"), ["rain"], left_out=True)
    (tree / "new").rename(tree / "x")
    csv_bundle = Bundle.save(
        bundle.directory,
        bundle.manifest,
        bundle.files | {"recipe.toml": RECIPE.replace("audacity", "csv").encode()},
    )
    table = (tree / "clips.csv").read_bytes()
    second = Review(tree, csv_bundle)
    assert {entry.clip.name: entry.labels for entry in second.entries if entry.labels} == {
        "a.wav@0.000": ("rain",),
        "a.wav@1.500": ("crow",),
        "sub/b.wav@0.000": ("dog",),
    }
    assert {entry.fold for entry in second.entries if entry.labels} == {
        entry.fold for entry in first.entries if entry.labels
    }
    second.correct(0, second.entries[0].labels or ["dog"])
    rows = (tree / "clips.csv").read_text().splitlines()
    assert sum(row.endswith(",yes") for row in rows) == 1, "what was left out stays so"
    assert (tree / "clips.csv.before").read_bytes() == table


def test_a_clip_of_none_of_the_labels_stays_in_the_table(tree: Path, bundle: Bundle) -> None:
    """The empty label is written, read again, and can be taken back."""
    first = Review(tree, bundle)
    at = {entry.clip.name: number for number, entry in enumerate(first.entries)}
    with pytest.raises(StapesError, match="a clip has labels, or none of them"):
        first.correct(at["a.wav@1.500"], ["dog"], nothing=True)
    with pytest.raises(StapesError, match="a clip has a label, or none of them, or is left out"):
        first.correct(at["a.wav@1.500"], [])
    first.correct(at["a.wav@1.500"], [], nothing=True)
    first.correct(at["new/n.wav@1.000"], [], nothing=True)
    assert sorted(first.changes()) == ["crow -> none of them", "no label -> none of them"]
    csv_bundle = Bundle.save(
        bundle.directory.parent / "csv",
        bundle.manifest,
        bundle.files | {"recipe.toml": RECIPE.replace("audacity", "csv").encode()},
    )
    spec = DatasetSpec(kind="csv", folds=2)
    clips = open_dataset(tree, spec, 16000, tagging=True).clips
    assert sorted(clip.name for clip in clips if not clip.labels) == ["a.wav@1.500", "new/n.wav@1.000"]
    second = Review(tree, csv_bundle)
    number, entry = next((n, one) for n, one in enumerate(second.entries) if one.clip.name == "a.wav@1.500")
    assert entry.was_nothing and entry.nothing and entry.fold
    assert second.is_right(entry) == (entry.said is None), "it should have been unknown"
    second.correct(number, ["rain"])
    assert second.changes() == ["none of them -> rain"]
    assert "a.wav,rain,1.5" in (tree / "clips.csv").read_text()


def test_others_are_refused(server: ReviewServer, tree: Path) -> None:
    here = f"127.0.0.1:{server.server_port}"
    good = {"clip": 0, "labels": ["dog"]}
    refused = [
        ask(server, "/"),
        ask(server, "/clips.json"),
        ask(server, "/" + "x" * len(server.token) + "/clips.json"),
        ask(server, "clips.json", Host="evil.example"),
        ask(server, "clips.json", Host="evil.example:" + str(server.server_port)),
        ask(server, "label", good, Host="evil.example"),
        ask(server, "label", good, Origin="http://evil.example"),
        ask(server, "label", good, Origin="null"),
        ask(server, "label", good, Content_Type="text/plain"),
        ask(server, "label", b" " * (1 << 17)),
        ask(server, "clips.json", good),
    ]
    assert {status for status, _, _ in refused} == {403}
    assert not any(b"dog" in content for _, content, _ in refused)
    for bad in (b"", b"[]", b"{", b"\xff", {"clip": "0", "labels": []}, {"clip": 0, "labels": "dog"},
                {"clip": 99, "labels": ["dog"]}, {"clip": 0, "labels": ["a;b"]}, {"clip": True, "labels": []},
                {"clip": -1, "labels": ["dog"]}, {"clip": 0, "labels": [["dog"]]}):  # fmt: skip
        status, content, _ = ask(server, "label", bad)
        assert status == 400 and json.loads(content)["error"]
    assert not (tree / "clips.csv").exists()
    assert ask(server, "label", good, Origin=f"http://{here}")[0] == 200
    _, _, headers = ask(server, "")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert server.server_address[0] == "127.0.0.1"


def test_what_cannot_be_written_changes_nothing(
    tree: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = Review(tree, bundle)
    number = next(n for n, entry in enumerate(review.entries) if entry.labels == ("crow",))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stapes.review.review.write_all", full)
    with pytest.raises(StapesError, match=r"cannot write .*clips\.csv: No space left"):
        review.correct(number, ["dog"])
    assert review.entries[number].labels == ("crow",) and review.changes() == []


def test_odd_directories(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(DataError, match="no data directory"):
        Review(tmp_path / "none", bundle)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings to review"):
        Review(tmp_path / "empty", bundle)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "broken.wav").write_bytes(b"RIFF")
    write_noise(tmp_path / "odd" / "short.wav", 0.05)
    review = Review(tmp_path / "odd", bundle)
    assert [bool(entry.problem) for entry in review.entries] == [True, False]
    assert review.labels == ["bell", "dog", "rain"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to click with")
def test_a_browser_shows_clips_and_a_click_corrects_one(
    server: ReviewServer, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page as it is, in headless Chromium; a script served beside it clicks, and says what it saw in the title."""
    own = Path(stapes.review.server.__file__).parent / "page"
    click = """
addEventListener("securitypolicyviolation", event => document.title += " VIOLATION " + event.blockedURI);
addEventListener("error", event => document.title += " ERROR " + event.message, true);
const wait = setInterval(() => {
  const clip = clips.find(one => one.name === "a.wav@1.500");
  if (!clip) return;
  const at = document.getElementById("clip" + clip.clip);
  const picture = at.querySelector("img");
  if (!picture.complete || !picture.naturalWidth) { picture.scrollIntoView(); return; }
  if (!changed(clip)) { [...at.querySelectorAll("button")].find(one => one.textContent === "bell").click(); return; }
  clearInterval(wait);
  document.title = "SEEN " + document.querySelectorAll("article").length + " " + picture.naturalHeight + " "
    + at.querySelector(".changed").textContent + document.title;
}, 100);
"""
    page = tmp_path / "page"
    shutil.copytree(own, page)
    (page / "review.js").write_text((own / "review.js").read_text() + click)
    monkeypatch.setattr("stapes.review.server._PAGE", page)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=8000"]
    done = subprocess.run(
        [CHROMIUM or "", *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", server.url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout)
    assert title == "SEEN 6 20 was crowstapes review", done.stderr[-2000:]
    assert "bell" in (tree / "clips.csv").read_text()


def test_the_command_ends_with_what_changed(tree: Path, bundle: Bundle) -> None:
    command = [sys.executable, "-m", "stapes", "review", str(tree), "--bundle", str(bundle.directory)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # Who runs the tests in the background may ignore SIGINT; a program inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"6 clips: http://127\.0\.0\.1:(\d+)/([\w-]+)/", first)
        assert found, first
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        connection.request("GET", f"/{found[2]}/clips.json")
        number = next(
            clip["clip"]
            for clip in json.loads(connection.getresponse().read())["clips"]
            if clip["name"] == "a.wav@1.500"
        )
        body = json.dumps({"clip": number, "labels": ["bell"]})
        connection.request("POST", f"/{found[2]}/label", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"{tree / 'clips.csv'}: crow -> bell." in said and "Traceback" not in wrong
