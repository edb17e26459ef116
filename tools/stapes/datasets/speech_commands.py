"""The layout of Speech Commands v2: a folder a word, `_background_noise_`, and the two published lists.

Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv:1804.03209.

Fold 1 is testing_list.txt, fold 2 validation_list.txt, fold 3 every other file. One speaker is in one fold.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from stapes.datasets.audacity import nfc
from stapes.datasets.audio import Span, audio_info
from stapes.datasets.dataset import Clip, some
from stapes.datasets.recording import recorded_clip
from stapes.datasets.table import require_directory, require_files
from stapes.errors import DataError
from stapes.files import sha256
from stapes.recipe import DatasetSpec

TESTING, VALIDATION, TRAINING = 1, 2, 3
SILENCE = "silence"
NOISE = "_background_noise_"
LISTS = {"testing_list.txt": TESTING, "validation_list.txt": VALIDATION}

_HINT = "give the directory that holds testing_list.txt, validation_list.txt and a folder for each word"
_PIECE_SECONDS = 1.0
# Each fold has its own part of every noise recording, about as large as its share of the words.
_NOISE_PARTS = {TESTING: (0.0, 0.1), VALIDATION: (0.1, 0.2), TRAINING: (0.2, 1.0)}


def speech_commands_clips(directory: Path, spec: DatasetSpec, sample_rate: int) -> list[Clip]:
    """Every word, and pieces of the background noise as `silence` where `spec.labels` asks for it.

    Raises `DataError` for missing lists, and for listed files that are missing.
    """
    require_directory(directory, _HINT)
    listed = _lists(directory)
    names = sorted(
        f"{word.name}/{file.name}"
        for word in directory.iterdir()
        if word.is_dir() and not word.name.startswith(("_", "."))
        for file in word.iterdir()
        if file.suffix.lower() == ".wav" and not file.name.startswith(".")
    )
    if not names:
        raise DataError(f"{directory}: no folder with recordings", hint=_HINT)
    clips = [
        recorded_clip(
            directory / name,
            name=name,
            label=nfc(name.split("/")[0]),
            fold=listed.get(name, TRAINING),
            sample_rate=sample_rate,
        )
        for name in names
    ]
    if SILENCE in spec.labels:
        clips += _silence(directory / NOISE, clips, spec, sample_rate)
    return clips


def _lists(directory: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, fold in LISTS.items():
        try:
            lines = (directory / name).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{directory / name} cannot be read ({error})", hint=_HINT) from error
        twice = [line for line in lines if line in found]
        if twice:
            raise DataError(
                f"{directory / name}: {some(twice)} also in the other list", hint=f"restore {name}"
            )
        found |= dict.fromkeys(lines, fold)
    require_files([directory / name for name in found], "unpack the archive again")
    return found


def _silence(noise: Path, words: list[Clip], spec: DatasetSpec, sample_rate: int) -> list[Clip]:
    """Second-long pieces of the noise recordings, at random levels; as many in a fold as of an average word.

    Place and level follow from the piece's number alone. Folds take from different parts of every recording.
    """
    recordings = sorted(
        file for file in (noise.iterdir() if noise.is_dir() else ()) if file.suffix.lower() == ".wav"
    )
    if not recordings:
        raise DataError(f"{noise}: no recordings", hint="unpack the archive again")
    seconds = {path: audio_info(path).seconds for path in recordings}
    wanted = [label for label in spec.labels if label != SILENCE]
    counts = Counter(clip.fold for clip in words if clip.label in wanted)
    clips = []
    for fold, count in sorted(counts.items()):
        for number in range(-(-count // len(wanted))):
            path = recordings[number % len(recordings)]
            random = int(sha256(f"{fold}/{number}".encode())[:16], 16)
            place, level = random % 10007 / 10007, random // 10007 % 1009 / 1009
            low, high = (part * seconds[path] for part in _NOISE_PARTS[fold])
            start = low + place * max(0.0, high - low - _PIECE_SECONDS)
            clips.append(
                recorded_clip(
                    path,
                    name=f"{NOISE}/{path.name}@{fold}.{number}",
                    label=SILENCE,
                    fold=fold,
                    sample_rate=sample_rate,
                    span=Span(start, min(start + _PIECE_SECONDS, high)),
                    gain=level,
                )
            )
    return clips
