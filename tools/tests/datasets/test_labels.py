"""What labels may be, and what would train to nonsense without a word."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_trees import write_noise
from typer.testing import CliRunner

from stapes.cli.app import app
from stapes.datasets import Clip, Dataset, Span, open_dataset
from stapes.datasets.audacity import label_line, lost_line, read_label_track
from stapes.datasets.division import together
from stapes.datasets.own import UNREADABLE_SUFFIXES, recordings
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

soundfile = pytest.importorskip("soundfile", reason="the audio packages are not installed")

RATE = 16000
FOLDERS = DatasetSpec(kind="folders", folds=2)
RECIPE = """name = "tiny"
[dataset]
kind = "{kind}"
folds = 2
{more}[window]
frames = 8
[model]
{model}filters = [4]
strides = [2]
"""


def labels_of(directory: Path, spec: DatasetSpec) -> dict[str, tuple[str, ...]]:
    return {clip.name: clip.labels for clip in open_dataset(directory, spec, RATE).clips}


def check(directory: Path, kind: str, more: str = "", model: str = "", command: str = "check") -> str:
    """What `stapes data check` says, an error's message and hint included."""
    recipe = directory.parent / f"{directory.name}.toml"
    recipe.write_text(RECIPE.format(kind=kind, more=more, model=model))
    result = CliRunner().invoke(app, ["data", command, str(recipe), "--data", str(directory)])
    if result.exit_code == 0:
        return result.output
    assert isinstance(result.exception, DataError), result.output
    return f"{result.output}error: {result.exception}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three recordings of dog and of fan, in folders."""
    for label in ("dog", "fan"):
        for number in range(3):
            write_noise(tmp_path / "tree" / label / f"{number}.wav", 0.5)
    return tmp_path / "tree"


def test_every_sound_in_a_folder_is_used_or_named(tree: Path) -> None:
    soundfile.write(tree / "dog/a.mp3", np.zeros(8000) + 0.1, RATE)
    for name in ("b.WAV", "c.w64", "d.caf", "e.au", "f.aifc", "g.oga"):
        write_noise(tree / "dog/x.wav", 0.5)
        (tree / "dog/x.wav").rename(tree / "dog" / name)
    (tree / "dog/notes.txt").write_text("…")
    found = labels_of(tree, FOLDERS)
    assert len(found) == 13
    assert {f"dog/{name}" for name in ("a.mp3", "b.WAV", "c.w64")} <= set(found)
    for suffix in UNREADABLE_SUFFIXES:
        (tree / f"fan/x{suffix.upper()}").write_bytes(b"x")
    said = check(tree, "folders")
    assert f"{len(UNREADABLE_SUFFIXES)} bad recordings" in said
    assert "fan/x.M4A: m4a cannot be read, convert it to WAV or FLAC" in said


def test_linked_folders_are_followed_once(tree: Path, tmp_path: Path) -> None:
    for number in range(2):
        write_noise(tmp_path / "elsewhere" / f"deep{number}" / "a.wav", 0.5)
    (tree / "bell").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tree / "dog/round").symlink_to(tree, target_is_directory=True)
    (tree / "dog/self").symlink_to(".", target_is_directory=True)
    found = labels_of(tree, FOLDERS)
    assert len(found) == 8
    assert found["bell/deep0/a.wav"] == ("bell",)
    (tree / "dog/gone.wav").symlink_to("nowhere.wav")
    with pytest.raises(DataError, match=r"dog/gone\.wav: a link to nothing"):
        recordings(tree)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_one_label_whatever_its_letters_are_composed_of(tmp_path: Path, written: str) -> None:
    bell = {form: unicodedata.normalize(form, "Türglocke") for form in ("NFC", "NFD")}
    for form, name in bell.items():
        for number in range(2):
            write_noise(tmp_path / name / f"{form}{number}.wav", 0.5)
            write_noise(tmp_path / "dog" / f"{form}{number}.wav", 0.5)
    spec = FOLDERS.model_copy(update={"labels": ("dog", unicodedata.normalize("NFC", bell[written]))})
    assert DatasetSpec(kind="folders", folds=2, labels=("dog", bell[written])) == spec
    dataset = open_dataset(tmp_path, spec, RATE)
    assert (
        dataset.labels
        == ("Türglocke", "dog")
        == tuple(unicodedata.normalize("NFC", x) for x in dataset.labels)
    )
    assert len(dataset.clips) == 8
    lines = [f"{bell[form]}/{form}{number}.wav,{bell[written]}" for form in bell for number in range(2)]
    (tmp_path / "clips.csv").write_text("filename,label\n" + "\n".join(lines), encoding="utf-8")
    assert open_dataset(tmp_path, DatasetSpec(kind="csv", folds=2), RATE).labels == ("Türglocke",)
    (tmp_path / "a.txt").write_text(f"0\t1\t{bell[written]}\n", encoding="utf-8")
    assert read_label_track(tmp_path / "a.txt")[0].text == bell["NFC"]


def test_a_table_finds_files_however_their_names_are_composed(tmp_path: Path) -> None:
    write_noise(tmp_path / unicodedata.normalize("NFD", "Tür.wav"), 0.5)
    write_noise(tmp_path / "b.wav", 0.5)
    (tmp_path / "clips.csv").write_text("filename,label\nTür.wav,x\nb.wav,x\n", encoding="utf-8")
    assert len(open_dataset(tmp_path, DatasetSpec(kind="csv", folds=2), RATE).clips) == 2


def test_one_class_is_named(tree: Path) -> None:
    for number in range(3):
        (tree / f"fan/{number}.wav").unlink()
    (tree / "fan").rmdir()
    said = check(tree, "folders")
    assert "all 3 clips have the label dog" in said
    assert "add recordings of something else" in said
    assert "all 3 clips have the label dog" in check(tree, "folders", command="stats")


@pytest.mark.parametrize(
    "rows", ["dog/{n}.wav,dog,1\nfan/{n}.wav,fan,2\n", "dog/{n}.wav,dog,1\nfan/{n}.wav,fan,{f}\n"]
)
def test_a_class_in_one_given_fold_is_named(tree: Path, rows: str) -> None:
    lines = "".join(rows.format(n=number, f=1 + number % 2) for number in range(3))
    (tree / "clips.csv").write_text(f"filename,label,fold\n{lines}")
    said = check(tree, "csv")
    assert "all clips are in one fold, of label dog (fold 1)" in said
    assert ("fan (fold 2)" in said) == ("fan,2" in rows)
    assert "spread its recordings over the folds" in said


def test_a_group_is_never_split(tree: Path) -> None:
    rows = "".join(
        f"{label}/{number}.wav,{label},visit{number % 2},{1 + number % 2}\n"
        for label in ("dog", "fan")
        for number in range(3)
    )
    table = tree / "clips.csv"
    table.write_text(f"filename,label,group,fold\n{rows}")
    assert "6 clips" in check(tree, "csv")
    table.write_text(
        f"filename,label,group,fold\n{rows.replace('dog/2.wav,dog,visit0,1', 'dog/2.wav,dog,visit0,2')}"
    )
    assert "1 groups are in several folds: visit0" in check(tree, "csv")
    table.write_text("filename,label,group\n" + rows.replace(",1\n", "\n").replace(",2\n", "\n"))
    assert "has groups, and dataset.split = time would split them" in check(tree, "csv", 'split = "time"\n')


def test_scores_in_a_fourth_column_are_no_label(tmp_path: Path) -> None:
    track = tmp_path / "a.txt"
    track.write_text("0.0\t1.0\tdog\t0.98\n1.0\t2.0\tdog bark\t0.5\t-7,5\n2.0\t3.0\tfan\n")
    assert [label.text for label in read_label_track(track)] == ["dog", "dog bark", "fan"]
    track.write_text("0.0\t1.0\tdog\tbark\n")
    with pytest.raises(DataError, match=r"a\.txt, line 1, after the label: \['bark'\] are not numbers"):
        read_label_track(track)


texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1).map(
    lambda x: " ".join(x.split())
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**7), texts.filter(bool), st.floats(0, 1)),
        max_size=8,
    )
)
def test_a_track_that_stapes_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, labels: list[tuple[int, int, str, float]]
) -> None:
    track = tmp_path_factory.mktemp("track") / "a.txt"
    lines = [label_line(a / 1000, (a + b) / 1000, text, score) for a, b, text, score in labels]
    track.write_text("".join([*lines, lost_line(0.0, 1.0, 16000)]), encoding="utf-8")
    found = sorted((label.span.start, label.span.end, label.text) for label in read_label_track(track))
    wanted = [(a / 1000, (a + b) / 1000, unicodedata.normalize("NFC", text)) for a, b, text, _ in labels]
    assert found == sorted(wanted)


def write_track(directory: Path, name: str, text: str, seconds: float = 10.0) -> None:
    write_noise(directory / f"{name}.wav", seconds)
    (directory / f"{name}.txt").write_text(text)


def test_points_without_padding_are_named_as_what_they_are(tmp_path: Path) -> None:
    directory = tmp_path / "tracks"
    for name in "ab":
        write_track(directory, name, "1.0\t1.0\tdog\n3.0\t3.0\tfan\n")
    said = check(directory, "audacity")
    assert "4 labels are points, of no length: dog (a.wav@1.000), fan (a.wav@3.000)" in said
    assert "set dataset.pad_seconds" in said
    assert "4 clips, 4 s" in check(directory, "audacity", "pad_seconds = 1.0\n")


def test_labels_beyond_the_end_are_named(tmp_path: Path) -> None:
    directory = tmp_path / "tracks"
    write_track(directory, "a", "1.0\t10.3\tdog\n")
    write_track(directory, "b", "1.0\t30.0\tdog\n11.0\t12.0\tfan\n")
    said = check(directory, "audacity")
    assert "2 bad recordings: b.txt: fan at 11.000-12.000 s is after the end" in said
    assert "b.txt: dog at 1.000-30.000 s ends after the end" in said


def test_a_track_of_stapes_label_is_pointed_at(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", 1.0)
    (tmp_path / "a.labels.txt").write_text("0\t1\tdog\t0.9\n")
    with pytest.raises(
        DataError, match=r"no label track a\.txt beside it \(a\.labels\.txt is there: look through it"
    ):
        open_dataset(tmp_path, DatasetSpec(kind="audacity"), RATE)


@pytest.mark.parametrize("end", ["inf", "nan", "-inf", "1e999"])
def test_an_end_that_is_no_time_is_named(tree: Path, end: str) -> None:
    (tree / "clips.csv").write_text(f"filename,label,start,end\ndog/0.wav,dog,0,{end}\n")
    said = check(tree, "csv")
    assert f"clips.csv, line 2: start '0', end '{end}'" in said


def test_overlapping_labels_are_sets_with_tagging_and_named_without(tmp_path: Path) -> None:
    directory = tmp_path / "tracks"
    for name in "ab":
        write_track(directory, name, "0.0\t4.0\tmusic\n2.0\t6.0\tspeech\n5.95\t8.0\tdog\n")
    said = check(directory, "audacity")
    assert (
        "4 clips have labels that overlap: a.wav@0.000 (music, speech), a.wav@2.000 (speech, music)" in said
    )
    assert 'set model.scores to "sigmoid"' in said
    assert "6 clips" in check(directory, "audacity", "pad_seconds = 0.2\n", 'scores = "sigmoid"\n')
    cut = labels_of(directory, DatasetSpec(kind="audacity", folds=2, cut_seconds=1.0))
    assert cut["a.wav@0.000#1"] == ("music",)
    assert cut["a.wav@0.000#2"] == ("music",)
    assert cut["a.wav@0.000#3"] == ("music", "speech"), "each place once, with all that sounds there"
    assert "a.wav@2.000#1" not in cut
    assert cut["a.wav@2.000#3"] == ("speech",)
    assert cut["a.wav@5.950#1"] == ("dog",)


def test_one_file_with_two_labels_in_a_table(tree: Path) -> None:
    rows = "".join(f"dog/{number}.wav,{label}\n" for number in range(3) for label in ("dog", "rain"))
    (tree / "clips.csv").write_text(f"filename,label\n{rows}fan/0.wav,fan\nfan/1.wav,fan\n")
    spec = DatasetSpec(kind="csv", folds=2)
    assert labels_of(tree, spec) == {
        **{f"dog/{number}.wav": ("dog", "rain") for number in range(3)},
        "fan/0.wav": ("fan",),
        "fan/1.wav": ("fan",),
    }
    assert "3 clips have labels that overlap" in check(tree, "csv")
    assert open_dataset(tree, spec, RATE).labels == ("dog", "fan", "rain")
    only = spec.model_copy(update={"labels": ("rain", "fan")})
    assert set(labels_of(tree, only).values()) == {("rain",), ("fan",)}


spans = st.tuples(st.integers(0, 40), st.integers(0, 20)).map(lambda x: Span(x[0] / 4, (x[0] + x[1]) / 4))


@given(spans, spans)
def test_together_is_mutual_and_no_mere_touch(first: Span, second: Span) -> None:
    assert together(first, second) == together(second, first)
    assert together(first, first)
    assert together(first, None)
    if first.end <= second.start and first != second:
        assert not together(first, second)
    if first.start < second.start <= second.end < first.end:
        assert together(first, second)


@pytest.mark.parametrize("label", ["a\nb", "x" * 101, "bell\x1b[31m", " padded"])
def test_labels_that_no_bundle_could_hold_are_named_before_training(label: str) -> None:
    clips = [
        Clip(f"{number}", name, number, lambda: "", lambda speed: np.zeros(1, np.int16))
        for number in (1, 2)
        for name in ("dog", label)
    ]
    with pytest.raises(DataError) as caught:
        Dataset(tuple(clips), RATE).require_trainable(tagging=False)
    assert caught.value.message.startswith(f"label {label!r}: ")
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_looked_at_and_recordings_that_it_lacks_are_named(tree: Path) -> None:
    assert "warning" not in check(tree, "folders")
    rows = "".join(f"{label}/{number}.wav,{label},\n" for label in ("dog", "fan") for number in range(2))
    (tree / "clips.csv").write_text(f"filename,label,leave_out\n{rows}fan/2.wav,fan,yes\n")
    assert f'{tree / "clips.csv"} is not used: set dataset.kind to "csv"' in check(tree, "folders")
    said = check(tree, "csv")
    assert "4 clips" in said, "a line that is left out is not used"
    assert "1 recordings are in no line of clips.csv: dog/2.wav" in said


NEGATIVES = "dog/0.wav,dog\ndog/1.wav,dog\ndog/2.wav,\nfan/0.wav,fan\nfan/1.wav,fan\nfan/2.wav, ;\n"


def test_clips_without_a_label_are_negatives_of_tagging(tree: Path) -> None:
    (tree / "clips.csv").write_text(f"filename,label\n{NEGATIVES}")
    spec = DatasetSpec(kind="csv", folds=2)
    dataset = open_dataset(tree, spec, RATE, tagging=True)
    assert [clip.labels for clip in dataset.clips] == [("dog",), ("dog",), (), ("fan",), ("fan",), ()]
    assert dataset.labels == ("dog", "fan") and list(dataset.targets) == [0, 0, -1, 1, 1, -1]
    assert {clip.fold for clip in dataset.clips if not clip.label} == {1, 2}, "they are dealt like a class"
    dataset.require_trainable(tagging=True)
    one = spec.model_copy(update={"labels": ("dog",)})
    only = open_dataset(tree, one, RATE, tagging=True)
    assert [clip.labels for clip in only.clips] == [("dog",), ("dog",), (), ()]
    only.require_trainable(tagging=True)  # one class against nothing
    said = check(tree, "csv", model='scores = "sigmoid"\n', command="stats")
    assert re.search(r"\(no label\) +│ +2 │ +1 │ +1 │ +1 ", said), said
    assert "6 clips" in check(tree, "csv", model='scores = "sigmoid"\n')


def test_without_tagging_clips_without_a_label_go_to_the_class_that_means_it(tree: Path) -> None:
    (tree / "clips.csv").write_text(f"filename,label\n{NEGATIVES}")
    said = check(tree, "csv")
    assert "2 clips have no label: dog/2.wav, fan/2.wav" in said
    assert 'set dataset.other, the class that they go to, or model.scores to "sigmoid"' in said
    others = 'labels = ["dog", "fan"]\nother = "rest"\n'
    assert "6 clips" in check(tree, "csv", others)
    spec = DatasetSpec(kind="csv", folds=2, labels=("dog", "fan"), other="rest")
    assert labels_of(tree, spec)["dog/2.wav"] == ("rest",)
    write_noise(tree / "room.wav", 0.5)
    (tree / "clips.csv").write_text(f"filename,label\n{NEGATIVES}room.wav,nothing\n")
    plain = DatasetSpec(kind="csv", folds=2)
    found = {clip.name: clip.labels for clip in open_dataset(tree, plain, RATE, for_training=False).clips}
    assert found["dog/2.wav"] == found["fan/2.wav"] == ("nothing",)


def test_a_sound_has_a_label_or_none(tree: Path) -> None:
    rows = "dog/0.wav,,0.0,0.2\ndog/0.wav,dog,0.2,0.5\ndog/1.wav,dog,,\ndog/1.wav,,0.1,0.4\n"
    (tree / "clips.csv").write_text(f"filename,label,start,end\n{rows}")
    said = check(tree, "csv")
    assert "1 lines without a label are of sounds that have one: dog/1.wav@0.100 (dog)" in said
    (tree / "clips.csv").write_text("filename,label\n,dog\n")
    assert "filename '', label 'dog'" in check(tree, "csv")


def test_several_labels_in_one_cell(tree: Path) -> None:
    (tree / "clips.csv").write_text(
        "filename,label\ndog/0.wav,dog; rain;dog\ndog/1.wav,rain;dog\nfan/0.wav,fan\nfan/1.wav,fan\n"
    )
    found = labels_of(tree, DatasetSpec(kind="csv", folds=2).model_copy(update={"labels": ("dog", "rain")}))
    assert found == {"dog/0.wav": ("dog", "rain"), "dog/1.wav": ("rain", "dog")}
