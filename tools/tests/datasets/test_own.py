"""One's own recordings: folders, tables, Audacity label tracks; how they are cut and divided."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_trees import write_noise

from stapes.datasets import Span, open_dataset
from stapes.datasets.audacity import read_label_track
from stapes.datasets.division import Piece, cut, divide, widened
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")


def folds_of(directory: Path, spec: DatasetSpec) -> dict[str, int]:
    return {clip.name: clip.fold for clip in open_dataset(directory, spec, 16000).clips}


def test_folders_are_labels_and_sessions_stay_together(tmp_path: Path) -> None:
    for label in ("dog", "knock"):
        for number in range(6):
            write_noise(tmp_path / label / f"{number}.wav", 0.2)
    for number in range(4):
        write_noise(tmp_path / "dog" / "monday" / f"{number}.flac", 0.2)
    write_noise(tmp_path / "dog" / ".hidden.wav", 0.2)
    (tmp_path / "readme.txt").write_text("…")
    spec = DatasetSpec(kind="folders", folds=3)
    dataset = open_dataset(tmp_path, spec, 16000)
    assert dataset.labels == ("dog", "knock")
    assert len(dataset.clips) == 16
    found = folds_of(tmp_path, spec)
    assert len({found[f"dog/monday/{number}.flac"] for number in range(4)}) == 1
    knocks = Counter(fold for name, fold in found.items() if name.startswith("knock"))
    assert knocks == {1: 2, 2: 2, 3: 2}
    assert folds_of(tmp_path, spec) == found


def test_long_recordings_are_cut(tmp_path: Path) -> None:
    rate = 16000
    samples = np.arange(rate * 5, dtype=np.int16)
    for name in ("a", "b"):
        (tmp_path / "fan").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "fan" / f"{name}.wav", samples, rate, subtype="PCM_16")
    spec = DatasetSpec(kind="folders", folds=2, cut_seconds=2.0)
    dataset = open_dataset(tmp_path, spec, rate)
    assert [clip.name for clip in dataset.clips] == [
        f"fan/{name}.wav#{number}" for name in "ab" for number in (1, 2)
    ]
    np.testing.assert_array_equal(np.concatenate([clip.pcm for clip in dataset.clips[:2]]), samples)
    assert dataset.clips[0].fold == dataset.clips[1].fold != dataset.clips[2].fold
    assert len({clip.identity() for clip in dataset.clips}) == 2, "both files hold the same samples"


def test_a_file_outside_of_the_folders_is_refused(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", 0.2)
    with pytest.raises(DataError, match="lies in no folder"):
        open_dataset(tmp_path, DatasetSpec(kind="folders"), 16000)


@pytest.mark.parametrize("kind", ["folders", "audacity", "csv"])
def test_an_empty_directory(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"no labelled recordings|clips\.csv is missing"):
        open_dataset(tmp_path, DatasetSpec(kind=kind), 16000)
    with pytest.raises(DataError, match="no data directory"):
        open_dataset(tmp_path / "none", DatasetSpec(kind=kind), 16000)


def test_a_table_names_files_pieces_groups_and_folds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.arange(32000, dtype=np.int16), 16000, subtype="PCM_16")
    write_noise(tmp_path / "sub" / "b.wav", 0.5)
    (tmp_path / "clips.csv").write_text(
        "filename,label,start,end,fold\nlong.wav,tap,0.5,1.0,1\nlong.wav,tap,1.25,2.0,2\nsub/b.wav,dog,,,1\n"
    )
    with pytest.raises(DataError, match=r"1 groups are in several folds: long\.wav"):
        open_dataset(tmp_path, DatasetSpec(kind="csv"), 16000)
    dataset = open_dataset(tmp_path, DatasetSpec(kind="csv", split="time"), 16000)
    assert [(clip.name, clip.label, clip.fold, len(clip.pcm)) for clip in dataset.clips] == [
        ("long.wav@0.500", "tap", 1, 8000),
        ("long.wav@1.250", "tap", 2, 12000),
        ("sub/b.wav", "dog", 1, 8000),
    ]
    assert dataset.clips[0].pcm[0] == 8000


def test_groups_of_a_table_stay_together(tmp_path: Path) -> None:
    lines = ["filename,label,group"]
    for number in range(12):
        write_noise(tmp_path / f"{number}.wav", 0.1)
        lines.append(f"{number}.wav,{'dog' if number % 2 else 'cat'},visit{number // 3}")
    (tmp_path / "clips.csv").write_text("\n".join(lines) + "\n")
    found = folds_of(tmp_path, DatasetSpec(kind="csv", folds=2))
    for visit in range(4):
        assert len({found[f"{3 * visit + number}.wav"] for number in range(3)}) == 1
    assert Counter(found.values()) == {1: 6, 2: 6}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("filename\na.wav\n", "no column label"),
        ("filename,label\n,x\n", "filename ''"),
        ("filename,label\n../a.wav,x\n", "filename '../a.wav'"),
        ("filename,label\nnone.wav,x\n", "1 of 1 recordings are missing: none.wav"),
        ("filename,label,start,end\na.wav,x,1,\n", "start '1', end ''"),
        ("filename,label,start,end\na.wav,x,2,1\n", "start '2', end '1'"),
        ("filename,label,fold\na.wav,x,1\na.wav,x,\n", "1 of 2 lines have no fold"),
        ("filename,label,fold\na.wav,x,zero\n", "fold 'zero'"),
        ("filename,label\na.wav,x\n", "every clip comes from one recording"),
    ],
)
def test_bad_tables(tmp_path: Path, lines: str, text: str) -> None:
    write_noise(tmp_path / "a.wav", 0.2)
    (tmp_path / "clips.csv").write_text(lines)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, DatasetSpec(kind="csv"), 16000)
    assert text in caught.value.message
    assert caught.value.hint


TRACK = (
    "0.500000\t1.000000\tdog bark\n"
    "\\\t1484.669312\t2969.338523\n"
    "1.500000\t1.500000\tknock\n"
    "\\\t-1.000000\t6334.588867\n"
    "2,000000\t2,250000\t knock \n"
)


def test_label_tracks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeff" + TRACK + "\n", encoding="utf-8")
    assert [(label.span.start, label.span.end, label.text) for label in read_label_track(path)] == [
        (0.5, 1.0, "dog bark"),
        (1.5, 1.5, "knock"),
        (2.0, 2.25, "knock"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0.5\t1.0\n", "line 1: '0.5\\t1.0' is not start, end and label"),
        ("0.5 1.0 dog\n", "is not start, end and label"),
        ("0.5\t1.0\tdog\nx\t1.0\tdog\n", "line 2: ['x', '1.0'] are not numbers"),
        ("nan\t1.0\tdog\n", "are not finite"),
        ("0.5\t1.0\t \n", "the label at 0.500 s has no text"),
        ("1.0\t0.5\tdog\n", "from 1.000 to 0.500 s"),
        ("-1.0\t0.5\tdog\n", "from -1.000 to 0.500 s"),
        ("\\\t1.0\t2.0\n", "a frequency range without a label"),
        ("0.5\t1.0\tdog\n\\\t1.0\n", "a frequency range without a label"),
    ],
)
def test_bad_label_tracks(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        read_label_track(tmp_path / "a.txt")
    assert problem in caught.value.message
    assert "\n" not in str(caught.value)


def test_labels_of_recordings_become_clips(tmp_path: Path) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.arange(48000, dtype=np.int16), 16000, subtype="PCM_16")
        (tmp_path / f"{name}.txt").write_text(TRACK)
    spec = DatasetSpec(kind="audacity", folds=2, pad_seconds=0.5)
    dataset = open_dataset(tmp_path, spec, 16000)
    assert [(clip.name, clip.label) for clip in dataset.clips[:3]] == [
        ("a.wav@0.500", "dog bark"),
        ("a.wav@1.500", "knock"),
        ("a.wav@2.000", "knock"),
    ]
    assert [(int(clip.pcm[0]), len(clip.pcm)) for clip in dataset.clips[:3]] == [
        (8000, 8000),
        (20000, 8000),
        (30000, 8000),
    ], "a point is heard with what surrounds it, not with silence"
    assert {clip.fold for clip in dataset.clips[:3]} != {clip.fold for clip in dataset.clips[3:]}


def test_all_missing_and_wrong_tracks_are_named_together(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_noise(tmp_path / f"{name}.wav", 1.0)
    (tmp_path / "a.txt").write_text("0\t1\n")
    (tmp_path / "b.txt").write_text("3.0\t4.0\tdog\n")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, DatasetSpec(kind="audacity"), 16000)
    for text in (
        "3 bad recordings",
        "a.txt, line 1",
        "dog at 3.000-4.000 s is after the end",
        "c.wav: no label",
    ):
        assert text in caught.value.message


def test_one_long_recording_can_be_divided_by_time(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", 20.0)
    (tmp_path / "a.txt").write_text("0\t10\tfan\n10\t20\ttap\n")
    spec = DatasetSpec(kind="audacity", folds=2, cut_seconds=1.0)
    with pytest.raises(DataError, match="label fan, tap: every clip comes from one recording") as caught:
        open_dataset(tmp_path, spec, 16000)
    assert "dataset.split" in caught.value.hint
    dataset = open_dataset(tmp_path, spec.model_copy(update={"split": "time"}), 16000)
    assert [clip.fold for clip in dataset.clips] == [1] * 5 + [2] * 5 + [1] * 5 + [2] * 5


spans = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 50)).map(lambda x: Span(x[0] / 10, (x[0] + x[1]) / 10)),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(spans, st.integers(0, 60))
def test_widened_spans_hold_the_label_and_leave_the_others_alone(found: list[Span], tenths: int) -> None:
    end, seconds = 60.0, tenths / 10
    for span, wide in zip(found, widened(found, seconds, end), strict=True):
        assert 0.0 <= wide.start <= span.start <= span.end <= wide.end <= end
        length = span.end - span.start
        assert wide.end - wide.start <= max(length, seconds) + 1e-9
        for other in found:
            if other.end < span.start:
                assert wide.start >= (other.end + span.start) / 2 - 1e-9
            if other.start > span.end:
                assert wide.end <= (other.start + span.end) / 2 + 1e-9
    (alone,) = widened([Span(30.0, 30.1)], seconds, end)
    assert alone.end - alone.start == pytest.approx(max(0.1, seconds))


@settings(deadline=None)
@given(st.floats(0.01, 1000), st.floats(0.1, 60))
def test_cut_pieces_cover_the_whole(length: float, seconds: float) -> None:
    pieces = cut(Span(1.0, 1.0 + length), seconds)
    assert pieces[0].start == 1.0
    assert pieces[-1].end == pytest.approx(1.0 + length)
    for first, second in itertools.pairwise(pieces):
        assert first.end == pytest.approx(second.start)
    if len(pieces) > 1:
        assert 0.66 * seconds < length / len(pieces) < 1.34 * seconds


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=30, max_size=80),
    st.integers(2, 5),
)
def test_no_group_is_ever_in_two_folds(content: list[tuple[int, str]], folds: int) -> None:
    pieces = [
        Piece(Path("x.wav"), str(number), label, f"{label if number % 2 else ''}{group}")
        for number, (group, label) in enumerate(content)
    ]
    try:
        found = divide(pieces, folds, "recording")
    except DataError:
        return
    where: dict[str, set[int]] = {}
    for piece, fold in zip(pieces, found, strict=True):
        where.setdefault(piece.group, set()).add(fold)
        assert 1 <= fold <= folds
    assert all(len(seen) == 1 for seen in where.values())


def test_single_recordings_are_dealt_evenly() -> None:
    pieces = [Piece(Path("x"), f"{label}{n}", label, f"{label}{n}") for label in "abc" for n in range(11)]
    counts = Counter(zip((piece.label for piece in pieces), divide(pieces, 5, "recording"), strict=True))
    assert set(counts.values()) == {2, 3}
    totals = Counter(divide(pieces, 5, "recording"))
    assert max(totals.values()) - min(totals.values()) <= 1
