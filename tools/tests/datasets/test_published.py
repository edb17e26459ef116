"""UrbanSound8K and Speech Commands, on small trees in the published layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sound_trees import SPEAKERS, make_speech_commands, make_urbansound8k

from stapes.datasets import open_dataset
from stapes.errors import DataError
from stapes.recipe import DatasetSpec, load_recipe

pytest.importorskip("soundfile", reason="the audio packages are not installed")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def urban(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_urbansound8k(tmp_path_factory.mktemp("UrbanSound8K"))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_speech_commands(tmp_path_factory.mktemp("speech_commands"))


def test_urbansound8k_keeps_the_official_folds_and_salience(urban: Path) -> None:
    dataset = open_dataset(urban, DatasetSpec(kind="urbansound8k"), 16000)
    assert dataset.folds == tuple(range(1, 11))
    assert dataset.labels == ("dog_bark", "siren")
    assert len(dataset.clips) == 20
    for clip in dataset.clips:
        assert clip.path is not None
        assert clip.path.parent.name == f"fold{clip.fold}", "as the folders say, never reshuffled"
        assert clip.foreground == (clip.fold % 2 == 0)
    lengths = {clip.fold: len(clip.pcm) for clip in dataset.clips}
    assert abs(lengths[4] - 64000) <= 2
    assert abs(lengths[3] - 8000) <= 2


def test_short_clips_are_heard_in_the_middle_of_silence(urban: Path) -> None:
    spec = DatasetSpec(kind="urbansound8k", pad_seconds=4.0)
    padded = open_dataset(urban, spec, 16000)
    plain = open_dataset(urban, DatasetSpec(kind="urbansound8k"), 16000)
    for long, short in zip(padded.clips, plain.clips, strict=True):
        pcm = long.pcm
        start = (len(pcm) - len(short.pcm)) // 2
        end = start + len(short.pcm)
        assert abs(len(pcm) - 64000) <= 1
        np.testing.assert_array_equal(pcm[start:end], short.pcm)
        assert not pcm[:start].any()
        assert not pcm[end:].any()
        assert long.identity() != short.identity(), "caches must tell them apart"
        assert long.foreground == short.foreground
    assert abs(len(padded.clips[0].at_speed(1.25)) - 51200) <= 1


def test_urbansound8k_with_other_clips_only(urban: Path) -> None:
    spec = DatasetSpec(kind="urbansound8k", labels=("siren",), other="other", other_share=1.0)
    dataset = open_dataset(urban, spec, 16000)
    assert dataset.labels == ("other", "siren")
    assert all(len(dataset.fold(fold)) == 2 for fold in dataset.folds)
    dropped = open_dataset(urban, DatasetSpec(kind="urbansound8k", labels=("siren",)), 16000)
    assert dropped.labels == ("siren",)
    with pytest.raises(DataError, match="no clip has the label crow"):
        open_dataset(urban, DatasetSpec(kind="urbansound8k", labels=("crow",)), 16000)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("1-3-0-0.wav,1,0,4,1,11,3,dog_bark", "fold 11"),
        ("1-3-0-0.wav,1,0,4,3,1,3,dog_bark", "salience '3'"),
        ("1-3-0-0.wav,1,0,4,1,,3,dog_bark", "fold '' is not a whole number"),
        ("1-3-0-0.wav,1,0,4,1,1,3,", "class ''"),
        ("../1.wav,1,0,4,1,1,3,dog_bark", "is not the name of a file"),
        ("1-3-0-0.wav,1,0,4,1,1,3,dog_bark", "1 of 1 recordings are missing"),
    ],
)
def test_bad_lines_of_urbansound8k(tmp_path: Path, line: str, text: str) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "UrbanSound8K.csv").write_text(
        f"slice_file_name,fsID,start,end,salience,fold,classID,class\n{line}\n"
    )
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, DatasetSpec(kind="urbansound8k"), 16000)
    assert text in caught.value.message
    assert caught.value.hint


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "UrbanSound8K.csv").write_text("slice_file_name,fold,class\n")
    with pytest.raises(DataError, match="no column fsID, start, end, salience, classID"):
        open_dataset(tmp_path, DatasetSpec(kind="urbansound8k"), 16000)


def test_speech_commands_uses_its_own_lists(speech: Path) -> None:
    dataset = open_dataset(speech, DatasetSpec(kind="speech_commands"), 16000)
    assert dataset.labels == ("bed", "cat", "no", "yes")
    assert dataset.folds == (1, 2, 3)
    speakers = {
        fold: {clip.name.split("/")[1].split("_")[0] for clip in dataset.fold(fold)} for fold in (1, 2, 3)
    }
    assert speakers == {1: set(SPEAKERS[:2]), 2: set(SPEAKERS[2:3]), 3: set(SPEAKERS[3:])}
    assert len(dataset.clips) == 40


def test_unknown_words_and_silence(speech: Path) -> None:
    spec = DatasetSpec(
        kind="speech_commands",
        labels=("yes", "no", "silence"),
        other="unknown",
        other_share=0.5,
        pad_seconds=1.0,
    )
    dataset = open_dataset(speech, spec, 16000)
    assert dataset.labels == ("no", "silence", "unknown", "yes")
    for fold, speakers in ((1, 2), (2, 1), (3, 7)):
        counts = Counter(clip.label for clip in dataset.fold(fold))
        words = 3 * speakers  # yes, no, and as much silence as one of them
        assert counts == {"yes": speakers, "no": speakers, "silence": speakers, "unknown": round(words / 2)}
    assert {len(clip.pcm) for clip in dataset.clips} == {16000}
    again = open_dataset(speech, spec, 16000)
    assert [clip.name for clip in again.clips] == [clip.name for clip in dataset.clips]
    assert len({clip.name for clip in dataset.clips}) == len(dataset.clips)


def test_no_piece_of_noise_is_in_two_folds(speech: Path) -> None:
    spec = DatasetSpec(kind="speech_commands", labels=("yes", "silence"))
    dataset = open_dataset(speech, spec, 16000)
    parts: dict[int, list[tuple[float, float]]] = {1: [], 2: [], 3: []}
    for clip in dataset.clips:
        if clip.label == "silence":
            start, end = clip.identity().split()[1].split("-")
            parts[clip.fold].append((float(start), float(end)))
    assert max(end for _, end in parts[1]) <= 2.0 <= min(start for start, _ in parts[2])
    assert max(end for _, end in parts[2]) <= 4.0 <= min(start for start, _ in parts[3])
    assert max(end for _, end in parts[3]) <= 20.0


def test_a_validation_list_can_be_left_alone(speech: Path) -> None:
    dataset = open_dataset(speech, DatasetSpec(kind="speech_commands", skip_folds=(2,)), 16000)
    assert dataset.folds == (1, 3)
    with pytest.raises(DataError, match="leaves no clip"):
        open_dataset(speech, DatasetSpec(kind="speech_commands", skip_folds=(2, 3, 1), test_fold=4), 16000)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("no list", "validation_list.txt cannot be read"),
        ("both lists", "also in the other list"),
        ("missing file", "1 of 12 recordings are missing"),
        ("no noise", "_background_noise_: no recordings"),
        ("no words", "no folder with recordings"),
    ],
)
def test_bad_trees_of_speech_commands(tmp_path: Path, damage: str, text: str) -> None:
    tree = make_speech_commands(tmp_path / "tree")
    if damage == "no list":
        (tree / "validation_list.txt").unlink()
    elif damage == "both lists":
        (tree / "validation_list.txt").write_text((tree / "testing_list.txt").read_text())
    elif damage == "missing file":
        (tree / "testing_list.txt").read_text()
        (tree / "yes" / f"{SPEAKERS[0]}_nohash_0.wav").unlink()
    elif damage == "no noise":
        for path in (tree / "_background_noise_").glob("*.wav"):
            path.unlink()
    else:
        for path in tree.glob("*/*.wav"):
            path.unlink()
        for name in ("testing_list.txt", "validation_list.txt"):
            (tree / name).write_text("")
    with pytest.raises(DataError) as caught:
        open_dataset(tree, DatasetSpec(kind="speech_commands", labels=("yes", "silence")), 16000)
    assert text in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["urbansound8k", "speech-commands"])
def test_the_recipes_fit_the_layouts(name: str, urban: Path, speech: Path) -> None:
    recipe = load_recipe(ROOT / "models" / name / "recipe.toml")
    if name == "urbansound8k":
        tree = urban
    else:
        spec = recipe.dataset.model_copy(update={"labels": ("yes", "no", "silence")})
        recipe = recipe.model_copy(update={"dataset": spec})
        tree = speech
    dataset = open_dataset(tree, recipe.dataset, recipe.frontend.sample_rate)
    dataset.check(recipe.window_samples)
    assert recipe.dataset.test_fold in dataset.folds


def test_speech_commands_in_capital_letters(tmp_path: Path) -> None:
    """As other systems unpack them; and a word that is a link."""
    tree = make_speech_commands(tmp_path / "tree")
    before = len(open_dataset(tree, DatasetSpec(kind="speech_commands"), 16000).clips)
    listed = set(
        "".join((tree / f"{name}_list.txt").read_text() for name in ("testing", "validation")).split()
    )
    renamed = [path for path in sorted(tree.glob("yes/*.wav")) if f"yes/{path.name}" not in listed]
    for path in [*renamed, *(tree / "_background_noise_").glob("*.wav")]:
        path.rename(path.with_suffix(".WAV"))
    (tree / "no").rename(tmp_path / "no")
    (tree / "no").symlink_to(tmp_path / "no", target_is_directory=True)
    spec = DatasetSpec(kind="speech_commands", labels=("yes", "no", "bed", "cat", "silence"))
    clips = open_dataset(tree, spec, 16000).clips
    assert len([clip for clip in clips if clip.label != "silence"]) == before
    assert len([clip for clip in clips if clip.name.endswith(".WAV")]) == len(renamed) > 0
    assert any(clip.label == "silence" and len(clip.pcm) for clip in clips)
