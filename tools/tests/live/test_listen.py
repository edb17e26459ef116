"""The commands that listen: the view at 80 x 24, recordings to labels, what is kept, what is lost."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from live_bundle import LABELS, make_live_bundle
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.datasets import open_dataset
from stapes.datasets.audacity import read_label_track
from stapes.datasets.audio import audio_blocks, read_audio
from stapes.errors import BuildError, DataError, LinkError, StapesError, ToolError
from stapes.live import LiveState, audacity_labels, json_line, label_recording, listening
from stapes.live.keep import History, Uncertain, cut_event
from stapes.live.picture import picture
from stapes.live.sources import FileSource, MicrophoneSource
from stapes.live.view import live_view
from stapes.recipe import Bundle, DatasetSpec, LiveSpec
from stapes.reference import LiveEvent, LiveKind, LiveReference, Reference
from stapes.targets import require_target

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

RATE = 16000


def sound(seconds: float, seed: int = 1) -> npt.NDArray[np.int16]:
    random = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        parts.append(random.normal(0, random.choice([2.0, 200.0, 6000.0]), int(random.integers(2000, 20000))))
    return np.clip(np.concatenate(parts)[: round(seconds * RATE)], -32768, 32767).astype(np.int16)


def write_wav(path: Path, pcm: npt.NDArray[np.int16], rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm.tobytes())
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    live = LiveSpec(threshold=0.3, windows=2, min_seconds=0.05)
    return make_live_bundle(tmp_path_factory.mktemp("bundle"), live, seed=0)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


def expected_events(bundle: Bundle, pcm: npt.NDArray[np.int16]) -> list[LiveEvent]:
    python = LiveReference(Reference(bundle, "numpy"))
    python.push(pcm)
    python.flush()
    return python.events


def test_listen_prints_the_events_of_python_and_keeps_sounds(
    bundle: Bundle, build: Path, tmp_path: Path
) -> None:
    pcm = sound(6.0)
    recording = write_wav(tmp_path / "a.wav", pcm)
    lines, track = tmp_path / "events.jsonl", tmp_path / "track.txt"
    result = CliRunner().invoke(
        app,
        ["listen", str(bundle.directory), "--wav", str(recording), "--fast", "--plain", "--out", str(build),
         "--json-lines", str(lines), "--labels", str(track), "--save-events", str(tmp_path / "events"),
         "--save-uncertain", str(tmp_path / "uncertain")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    expected = expected_events(bundle, pcm)
    assert lines.read_text().splitlines() == [json_line(event, LABELS, RATE, 1 / 256) for event in expected]
    assert track.read_text() == "".join(audacity_labels(expected, LABELS, RATE, 1 / 256))
    ends = [event for event in expected if event.kind == LiveKind.END]
    assert ends
    assert f"{len(ends)} events, 0 samples dropped" in result.output
    cuts = sorted((tmp_path / "events").glob("*.wav"))
    assert len(cuts) == len(ends)
    first = read_audio(cuts[0], RATE)
    begin = max(0, ends[0].start - RATE // 4)
    assert np.array_equal(first, pcm[begin : ends[0].end + RATE // 4])
    unsure = list((tmp_path / "uncertain").glob("*.wav"))
    table = (tmp_path / "uncertain/windows.csv").read_text().splitlines()
    assert len(unsure) == len(table) - 1 > 0


def test_label_gives_the_events_of_python_whatever_the_length(
    bundle: Bundle, build: Path, tmp_path: Path
) -> None:
    pcm = sound(40.0, seed=3)
    recording = write_wav(tmp_path / "long.wav", pcm)
    result = label_recording(bundle, recording, tmp_path / "track.txt", build / "label")
    expected = expected_events(bundle, pcm)
    assert (tmp_path / "track.txt").read_text() == "".join(audacity_labels(expected, LABELS, RATE, 1 / 256))
    assert result["seconds"] == 40.0
    assert result["times_real_time"] > 5
    lines = (tmp_path / "track.txt").read_text().splitlines()
    assert all(re.fullmatch(r"\d+\.\d{6}\t\d+\.\d{6}\t\w+\t[01]\.\d{4}", line) for line in lines)
    ends = [event for event in expected if event.kind == LiveKind.END]
    found = read_label_track(tmp_path / "track.txt")
    assert sorted((label.span.start, label.text) for label in found) == sorted(
        (round(event.start / RATE, 6), LABELS[event.class_index]) for event in ends
    )


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A gate and no merging: many short events of the one class that random weights hear everywhere."""
    live = LiveSpec(threshold=0.3, gate=True, gate_hold_seconds=0.2, merge_seconds=0.0)
    return make_live_bundle(tmp_path_factory.mktemp("gated"), live, seed=0)


def cut(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["label", *map(str, arguments)])
    if result.exception:
        assert isinstance(result.exception, StapesError), result.output
        return str(result.exception)
    return result.output


def test_sections_of_a_class_are_files_that_a_table_lists(gated: Bundle, build: Path, tmp_path: Path) -> None:
    """Samples are those of the recording at its own rate; a second recording is added; none is written twice."""
    pcm = sound(20.0, seed=3)
    recording = write_wav(tmp_path / "long.wav", pcm)
    ends = [event for event in expected_events(gated, pcm) if event.kind == LiveKind.END]
    name = LABELS[ends[0].class_index]
    assert len(ends) > 3
    wanted = sorted((event.start, event.end) for event in ends if LABELS[event.class_index] == name)
    rest = ["--bundle", gated.directory, "--segments", name, "--build", build / "gated"]
    out = tmp_path / "found" / name
    said = cut(recording, *rest, "--out", out)
    assert f"{len(wanted)} sections of {name}" in " ".join(said.split())
    clips = open_dataset(out, DatasetSpec(kind="csv", folds=2), RATE, for_training=False).clips
    assert [clip.name for clip in clips] == [
        f"long-{start / RATE:010.2f}-{name}.wav" for start, _ in wanted
    ] and {(clip.label, clip.group) for clip in clips} == {(name, "long.wav")}
    for clip, (start, end) in zip(clips, wanted, strict=True):
        assert np.array_equal(clip.pcm, pcm[start:end])

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "is there already" in cut(recording, *rest, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    other = write_wav(tmp_path / "other.wav", np.repeat(pcm, 2), 2 * RATE)
    cut(other, *rest, "--out", out)
    rows = (out / "clips.csv").read_text().splitlines()
    assert rows[: 1 + len(clips)] == before["clips.csv"].decode().splitlines()
    assert len(rows) > 1 + len(clips) and rows[-1].endswith(f",{name},other.wav")
    assert soundfile.info(out / rows[-1].split(",")[0]).samplerate == 2 * RATE


def test_sections_of_no_class_and_of_a_damaged_recording_leave_nothing(
    gated: Bundle, build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = write_wav(tmp_path / "a.wav", sound(20.0, seed=3))
    rest = [recording, "--bundle", gated.directory, "--build", build / "gated"]
    out = tmp_path / "out"
    assert "none of the bundle's classes" in cut(*rest, "--segments", "whale", "--out", out)
    assert "add --out DIR" in cut(*rest, "--segments", "bell")
    silence = write_wav(tmp_path / "silence.wav", np.zeros(RATE, np.int16))
    said = cut(silence, *rest[1:], "--segments", "bell", "--out", out)
    assert "0 sections of bell, 0.0 s of 1 s" in " ".join(said.split())
    sections = iter([b"RIFF"])

    def section(*arguments: object) -> bytes:
        for content in sections:
            return content
        raise DataError(f"{recording}: is damaged")

    monkeypatch.setattr("stapes.live.label._section", section)
    tried = [cut(*rest, "--segments", label, "--out", out) for label in LABELS]
    assert sum("is damaged" in one for one in tried) == 1 and not out.exists()


@pytest.mark.parametrize("command", ["label", "listen"])
def test_a_recording_with_a_hole_is_refused_by_name(
    bundle: Bundle, build: Path, tmp_path: Path, command: str
) -> None:
    recording, track = tmp_path / "lost.ogg", tmp_path / "track.txt"
    soundfile.write(recording, sound(20.0) / 32768, RATE)
    content = recording.read_bytes()
    starts = [match.start() for match in re.finditer(b"OggS", content)]
    recording.write_bytes(content[: starts[4]] + content[starts[7] :])
    where = str(bundle.directory)
    arguments = {
        "label": [str(recording), "--bundle", where, "--out", str(track), "--build", str(build / "label")],
        "listen": [where, "--wav", str(recording), "--plain", "--labels", str(track), "--out", str(build)],
    }
    result = CliRunner().invoke(app, [command, *arguments[command]])
    assert isinstance(result.exception, DataError)
    assert f"{recording}: has a hole: 3 Ogg pages are missing" in result.exception.message
    assert not track.exists()


def test_a_recording_that_cannot_be_decoded_to_its_end_leaves_no_track(
    bundle: Bundle, build: Path, tmp_path: Path
) -> None:
    recording, track = tmp_path / "damaged.flac", tmp_path / "track.txt"
    soundfile.write(recording, sound(40.0) / 32768, RATE)
    content = bytearray(recording.read_bytes())
    content[-9000:-8000] = b"\xaa" * 1000
    recording.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.flac: "):
        label_recording(bundle, recording, track, build / "label")
    assert list(tmp_path.iterdir()) == [recording]


def test_blocks_are_the_whole_recording(tmp_path: Path) -> None:
    pcm = sound(5.0)
    path = write_wav(tmp_path / "a.wav", pcm)
    assert np.array_equal(np.concatenate(list(audio_blocks(path, RATE, 0.7))), pcm)
    resampled = np.concatenate(list(audio_blocks(write_wav(tmp_path / "b.wav", pcm, 44100), RATE, 0.3)))
    whole = read_audio(tmp_path / "b.wav", RATE)
    assert abs(len(resampled) - len(whole)) <= 1
    count = min(len(resampled), len(whole))
    assert np.abs(resampled[:count].astype(int) - whole[:count]).max() <= 2


def test_a_recording_that_comes_too_fast_is_cut_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    source = FileSource(write_wav(tmp_path / "a.wav", sound(20.0)), RATE)
    got = source.read()
    assert got is not None and len(got[1]) == 0
    now[0] = 1.0
    first = source.read()
    now[0] = 9.0  # the device was busy for eight seconds
    second = source.read()
    assert first is not None and second is not None
    assert (first[0], len(first[1])) == (0, RATE)
    assert (second[0], len(second[1])) == (7 * RATE, 2 * RATE)
    now[0] = 30.0
    while (piece := source.read()) is not None:
        second = piece
    assert second[0] + len(second[1]) == 20 * RATE


@pytest.mark.parametrize("padding", [0.0, 0.5])
def test_samples_lost_before_the_device_are_reported_by_it(
    bundle: Bundle, build: Path, tmp_path: Path, padding: float
) -> None:
    path = write_wav(tmp_path / "a.wav", sound(3.0))
    with listening(bundle, "host", build, wav=path, fast=True) as session:
        client = session._client
        pcm = sound(3.0)
        client.feed(0, pcm[:20_000])
        client.feed(20_000 + round(padding * RATE), pcm[20_000:])
        events, lost = client.events()
        status = client.status()
    gaps = [event for event in events if event.kind == LiveKind.GAP]
    assert [gap.dropped for gap in gaps] == ([] if padding == 0.0 else [8000])
    assert status.dropped == round(padding * RATE)
    assert lost == 0


def test_view_at_80_by_24(bundle: Bundle, build: Path, tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "a.wav", sound(4.0))

    async def drive() -> list[str]:
        with listening(bundle, "host", build, wav=recording, fast=True) as session:
            view = live_view(session)
            async with view.run_test(size=(80, 24)) as pilot:
                for _ in range(100):
                    await pilot.pause(0.1)
                    if session.state.ended:
                        break
                await pilot.pause(0.3)
                lines = [
                    "".join(segment.text for segment in line)
                    for line in view.screen._compositor.render_strips()
                ]
                await pilot.press("q")
            assert view.error is None
        return lines

    lines = asyncio.run(drive())
    assert len(lines) == 24
    assert all(len(line) == 80 for line in lines)
    assert lines[0].startswith(" live on host") and lines[0].rstrip().endswith("0:00:04.0")
    assert "dBFS" in lines[1]
    assert any("▀" in line for line in lines[2:16])
    assert any("scores" in line and "events" in line for line in lines)
    assert sum(any(f" {label} " in line for line in lines[14:]) for label in LABELS) == len(LABELS)
    assert re.search(r"CPU \d+\.\d %  dropped 0  events \d+", lines[23])


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (200, 60), (1, 1)])
def test_picture_fills_its_place_with_anything(width: int, height: int) -> None:
    state = LiveState("x" * 100, tuple(f"label{i}" for i in range(40)), RATE, 1 / 256, (0.5,) * 40, "cycles")
    for rows in (0, 3, 300):
        state.rows.extend(np.full((rows, 64), 127, np.int8))
        state.events.append(LiveEvent(LiveKind.GAP, -1, 0, 10, 0, 0, 10))
        state.events.append(LiveEvent(LiveKind.END, 39, 0, 10**9, 65280, -100, 0))
        lines = picture(state, width, height).plain.split("\n")
        assert len(lines) == max(height, 10)
        assert {len(line) for line in lines} == {max(width, 20)}


def test_uncertain_windows_do_not_overlap(tmp_path: Path) -> None:
    history = History(RATE)
    uncertain = Uncertain(tmp_path / "u", LABELS, (0.5,) * 4, RATE)
    for second in range(1, 9):
        history.add((second - 1) * RATE // 2, np.full(RATE // 2, second, np.int16))
        uncertain.add(history, second * RATE // 2, (0.4, 0.35, 0.2, 0.05))
    uncertain.add(history, 10 * RATE, (0.97, 0.01, 0.01, 0.01))
    assert uncertain.saved == 4
    assert len(list((tmp_path / "u").glob("*.wav"))) == 4


def test_uncertain_windows_are_a_table_of_clips(tmp_path: Path) -> None:
    """Whatever the classes are called; another session adds to it, other classes do not."""
    labels = ("door/close", "start", 'a, "b"', "../../x")
    history = History(RATE)
    history.add(0, sound(10.0))
    for session in ("monday.wav", "tuesday.wav"):
        uncertain = Uncertain(tmp_path / "u", labels, (0.5,) * 4, RATE, group=session)
        for second in (2, 4, 6):
            scores = (0.3, 0.1, 0.1, 0.2) if second < 4 else (0.1, 0.2, 0.1, 0.3)
            uncertain.add(history, second * RATE, scores)
    shutil.copy(tmp_path / "u/windows.csv", tmp_path / "u/clips.csv")
    clips = open_dataset(tmp_path / "u", DatasetSpec(kind="csv", folds=2), RATE).clips
    assert [clip.label for clip in clips] == ["door/close", "../../x", "../../x"] * 2
    assert [clip.fold for clip in clips[:3]] != [clip.fold for clip in clips[3:]]
    assert len({clip.fold for clip in clips[:3]}) == 1, "windows of one session stay together"
    assert len({clip.path for clip in clips}) == 6
    assert all(clip.path is not None and clip.path.parent == tmp_path / "u" for clip in clips)
    assert clips[0].name == "0000002.00-door-close-..-..-x.wav"
    with pytest.raises(StapesError, match=r"windows\.csv is of other classes"):
        Uncertain(tmp_path / "u", LABELS, (0.5,) * 4, RATE)


def test_uncertain_windows_of_tags_have_all_that_was_said(tmp_path: Path) -> None:
    """Two tags at a time are nothing odd; a tag near its threshold is, and none may be reached."""
    history = History(RATE)
    history.add(0, sound(10.0))
    uncertain = Uncertain(tmp_path / "u", LABELS, (0.5,) * 4, RATE, multi_label=True)
    for second, scores in enumerate(
        [(0.9, 0.9, 0.1, 0.1), (0.9, 0.8, 0.45, 0.1), (0.4, 0.1, 0.1, 0.1)], start=1
    ):
        uncertain.add(history, 2 * second * RATE, scores)
    rows = (tmp_path / "u/windows.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["bell;dog", ""]


@pytest.mark.parametrize(
    "label", ["door/close", "../../etc/x", "..", "", "a\0b", "x" * 300, "Türglocke", "CON", "a\nb"]
)
def test_events_are_saved_under_safe_names_of_their_own(tmp_path: Path, label: str) -> None:
    history = History(RATE)
    history.add(0, sound(4.0))
    directory = tmp_path / "events"
    event = LiveEvent(LiveKind.END, 0, RATE, 2 * RATE, 100, -1000, 0)
    paths = [cut_event(history, event, label, directory) for _ in range(3)]
    assert len(set(paths)) == 3
    assert sorted(directory.iterdir()) == sorted(path for path in paths if path)
    assert list(tmp_path.iterdir()) == [directory]
    assert "ü" not in label or (paths[0] and "Türglocke" in paths[0].name)


def test_wrong_use_is_one_line(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = str(bundle.directory)
    for arguments, reason in (
        (["--wav", "x.wav", "--mic"], "one source only"),
        (["--wav", "x.wav", "--microphone", "y.wav"], "one source only"),
        (["--microphone", "y.wav", "--port", "auto"], "has a microphone of its own"),
        (["--microphone", "y.wav", "--target", "qemu:netduinoplus2"], "no recording can stand in"),
        (["--wav", "x.wav", "--seconds", "2"], "for the device's own microphone"),
        (["--target", "host"], "has no microphone"),
        (["--save-uncertain", "x", "--target", "host"], "has no microphone"),
    ):
        result = CliRunner().invoke(app, ["listen", where, *arguments])
        assert isinstance(result.exception, StapesError), result.output
        assert reason in result.exception.message
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    with pytest.raises(StapesError, match="needs sounddevice") as caught:
        MicrophoneSource(RATE)
    assert caught.value.hint == "pip install 'stapes[live]'"


@pytest.mark.parametrize(("target", "seconds"), [("host", 5.0), ("qemu:mps2-an386", 3.0)])
def test_sound_of_the_device_s_own_microphone_is_saved(
    bundle: Bundle, build: Path, tmp_path: Path, target: str, seconds: float
) -> None:
    """Every saved sample is that of the stand-in with this number, whatever a busy computer lost."""
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    pcm = sound(3.7)
    recording, lines = write_wav(tmp_path / "a.wav", pcm), tmp_path / "events.jsonl"
    result = CliRunner().invoke(
        app,
        ["listen", str(bundle.directory), "--target", target, "--microphone", str(recording), "--plain",
         "--seconds", str(seconds), "--save-events", str(tmp_path / "ev"), "--json-lines", str(lines),
         "--save-uncertain", str(tmp_path / "un"), "--out", str(build), "--json", str(tmp_path / "r.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "keeps the newest 8,000 samples of sound for the host: 16,000 B of this RAM" in result.output
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    ends = [one for one in told if one["kind"] == "end"]
    known = json.loads((tmp_path / "r.json").read_text())
    cuts = sorted((tmp_path / "ev").glob("*.wav"))
    assert len(cuts) == len(ends) - known["not_kept"] > 0
    assert len(list((tmp_path / "un").glob("*.wav"))) > 0
    stream = np.tile(pcm, 10)
    for cut in cuts:
        (event,) = [one for one in ends if f"{one['start']:010.2f}-{one['class']}" == cut.stem]
        start, end = round(event["start"] * RATE), round(event["end"] * RATE)
        got = read_audio(cut, RATE)
        whole = stream[max(0, start - RATE // 4) : end + RATE // 4]
        assert len(got) >= end - start
        at = next(
            at for at in range(len(whole) - len(got) + 1) if np.array_equal(whole[at : at + len(got)], got)
        )
        assert at <= min(start, RATE // 4), "the event itself is whole"


def test_a_device_that_keeps_no_sound_says_so(bundle: Bundle, build: Path, tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "a.wav", sound(2.0))
    result = CliRunner().invoke(
        app,
        ["listen", str(bundle.directory), "--microphone", str(recording), "--plain", "--seconds", "1",
         "--history-seconds", "0", "--save-events", str(tmp_path / "ev"), "--out", str(build)],
    )  # fmt: skip
    assert isinstance(result.exception, LinkError) and "keeps no sound" in result.exception.message
    assert "--history-seconds 0.5" in result.exception.hint and not (tmp_path / "ev").exists()
    arguments = ["build", str(bundle.directory), "--history-seconds", "1", "--out", str(tmp_path / "b")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, BuildError) and "hil keeps no sound" in result.exception.message


def test_sound_with_a_hole_is_not_cut_out(tmp_path: Path) -> None:
    history = History(RATE)
    pcm = sound(4.0)
    history.add(0, pcm[:RATE])
    history.add(RATE + 100, pcm[RATE + 100 :])
    assert np.array_equal(history.cut(RATE + 100, 2 * RATE, 50), pcm[RATE + 100 : 2 * RATE + 50])
    assert np.array_equal(history.cut(200, RATE, 300), pcm[:RATE])
    assert len(history.cut(500, RATE + 1)) == len(history.cut(RATE + 99, 2 * RATE)) == 0
    event = LiveEvent(LiveKind.END, 0, 500, RATE + 50, 100, -1000, 0)
    assert cut_event(history, event, "dog", tmp_path / "ev") is None and not (tmp_path / "ev").exists()
    history.add(100 * RATE, pcm)
    assert np.array_equal(history.cut(100 * RATE, 102 * RATE, RATE), pcm[: 3 * RATE])


def test_json_lines_are_json() -> None:
    event = LiveEvent(LiveKind.END, 1, 16000, 24000, 128 * 256, -1234, 5)
    value = json.loads(json_line(event, LABELS, RATE, 1 / 256))
    assert value == {
        "kind": "end", "start": 1.0, "end": 1.5, "level_dbfs": -12.34, "dropped": 5, "class": "dog", "score": 0.5
    }  # fmt: skip
