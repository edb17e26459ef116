"""The ESC-50 layout: what is read from it, and every way in which it can be incomplete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stapes.datasets import open_dataset
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def make_tree(directory: Path, rows: list[tuple[str, int, str, bool]], seconds: float = 1.0) -> Path:
    (directory / "audio").mkdir(parents=True)
    (directory / "meta").mkdir()
    lines = [HEADER]
    for number, (name, fold, label, esc10) in enumerate(rows):
        lines.append(f"{name},{fold},0,{label},{esc10},1000{number},A\n")
        noise = np.random.default_rng(number).normal(size=round(22050 * seconds)) * 0.1
        soundfile.write(directory / "audio" / name, noise, 22050)
    (directory / "meta" / "esc50.csv").write_text("".join(lines))
    return directory


ROWS = [
    ("1-100-A-0.ogg", 1, "dog", True),
    ("2-101-A-1.wav", 2, "rooster", True),
    ("3-102-A-2.flac", 3, "pig", False),
    ("1-103-A-0.wav", 1, "cat", True),
]


def test_clips_labels_and_folds(tmp_path: Path) -> None:
    dataset = open_dataset(make_tree(tmp_path / "d", ROWS), DatasetSpec(), 16000)
    assert [(clip.name, clip.fold, clip.label) for clip in dataset.clips] == [
        ("1-100-A-0.ogg", 1, "dog"),
        ("2-101-A-1.wav", 2, "rooster"),
        ("1-103-A-0.wav", 1, "cat"),
    ]
    assert dataset.labels == ("cat", "dog", "rooster")
    assert dataset.folds == (1, 2)
    assert [clip.name for clip in dataset.fold(1)] == ["1-100-A-0.ogg", "1-103-A-0.wav"]
    assert dataset.clips[0].pcm.dtype == np.int16
    assert len(dataset.clips[0].pcm) == 16000
    assert abs(len(dataset.clips[0].at_speed(0.8)) - 20000) <= 1


def test_subset_all_takes_every_clip(tmp_path: Path) -> None:
    dataset = open_dataset(make_tree(tmp_path / "d", ROWS), DatasetSpec(subset="all"), 16000)
    assert dataset.labels == ("cat", "dog", "pig", "rooster")


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "d", ROWS)
    (tree / "audio" / "2-101-A-1.wav").write_bytes(b"corrupt")
    dataset = open_dataset(tree, DatasetSpec(), 16000)
    assert len(dataset.clips[0].pcm) == 16000
    with pytest.raises(DataError, match=r"2-101-A-1\.wav"):
        _ = dataset.clips[1].pcm


def test_identity_follows_the_content(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "d", ROWS)
    clip = open_dataset(tree, DatasetSpec(), 16000).clips[0]
    before = clip.identity()
    assert before == clip.identity()
    soundfile.write(tree / "audio" / clip.name, np.zeros(100), 22050)
    assert clip.identity() != before


def test_check_names_all_bad_and_short_recordings_together(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "d", ROWS)
    (tree / "audio" / "2-101-A-1.wav").write_bytes(b"corrupt")
    soundfile.write(tree / "audio" / "1-103-A-0.wav", np.zeros(1600), 16000)
    dataset = open_dataset(tree, DatasetSpec(), 16000)
    with pytest.raises(DataError) as caught:
        dataset.check(8000)
    message = caught.value.message
    assert message.startswith("2 bad recordings: ")
    assert "2-101-A-1.wav: cannot be decoded" in message
    assert "1-103-A-0.wav: 0.10 s, shorter than the 0.50 s of one window" in message
    assert "1-100-A-0.ogg" not in message
    (tree / "audio" / "2-101-A-1.wav").write_bytes((tree / "audio" / "1-100-A-0.ogg").read_bytes())
    open_dataset(tree, DatasetSpec(), 16000).check(1600)


def expect_error(directory: Path | None, text: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(directory, DatasetSpec(), 16000)
    assert text in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_missing_directory_and_table(tmp_path: Path) -> None:
    expect_error(None, "no data directory")
    expect_error(tmp_path / "nowhere", "nowhere")
    (tmp_path / "audio").mkdir()
    expect_error(tmp_path, "esc50.csv is missing")


def test_all_missing_recordings_are_named_at_once(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "d", ROWS)
    for name in ("1-100-A-0.ogg", "1-103-A-0.wav"):
        (tree / "audio" / name).unlink()
    expect_error(tree, "2 of 3 recordings are missing: 1-100-A-0.ogg, 1-103-A-0.wav")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "no column"),
        ("filename,fold\na.wav,1\n", "no column category, esc10"),
        (HEADER, "lists no clip"),
        (HEADER + "a.wav,one,0,dog,True,1,A\n", "line 2: category 'dog', fold 'one'"),
        (HEADER + "a.wav,1,0,,True,1,A\n", "line 2: category ''"),
        (HEADER + "../a.wav,1,0,dog,True,1,A\n", "'../a.wav' is not the name of a file"),
        (HEADER + "a.wav\n", "lists no clip"),
        (HEADER + "\xff\xfe", "lists no clip"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, text: str) -> None:
    tree = make_tree(tmp_path / "d", [])
    (tree / "meta" / "esc50.csv").write_text(content, encoding="utf-8")
    expect_error(tree, text)


def test_a_table_that_is_not_text(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "d", [])
    (tree / "meta" / "esc50.csv").write_bytes(b"\xff\xfe\x00\x80" * 10)
    expect_error(tree, "cannot be read")
