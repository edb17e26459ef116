"""Opening whatever a recipe's [dataset] names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stapes.datasets.dataset import Clip, Dataset, some
from stapes.datasets.esc50 import ESC10_LABELS, esc50_clips
from stapes.datasets.own import own_clips
from stapes.datasets.recording import padded
from stapes.datasets.speech_commands import speech_commands_clips
from stapes.datasets.synthetic import synthetic_clips
from stapes.datasets.urbansound8k import urbansound8k_clips
from stapes.errors import DataError
from stapes.files import sha256
from stapes.recipe import DatasetSpec

_SYNTHETIC_CLIPS_A_LABEL = 10
_SYNTHETIC_SECONDS = 5.0


def open_dataset(directory: Path | None, spec: DatasetSpec, sample_rate: int) -> Dataset:
    """The data set of a recipe; clips are decoded to `sample_rate` Hz when they are read.

    `directory` is where the recordings are; the synthetic data set needs none. Raises `DataError`.
    """
    clips = chosen(_clips(directory, spec, sample_rate), spec)
    if spec.pad_seconds:
        clips = [padded(clip, spec.pad_seconds, sample_rate) for clip in clips]
    return Dataset(tuple(clips), sample_rate)


def _clips(directory: Path | None, spec: DatasetSpec, sample_rate: int) -> Sequence[Clip]:
    if spec.kind == "synthetic":
        labels = spec.labels or ESC10_LABELS
        count = _SYNTHETIC_CLIPS_A_LABEL * len(labels)
        return synthetic_clips(labels, count, sample_rate, _SYNTHETIC_SECONDS, seed=1)
    if directory is None:
        raise DataError("no data directory given", hint="add --data DIR")
    if spec.kind == "esc50":
        return esc50_clips(directory, spec.subset, sample_rate)
    if spec.kind == "urbansound8k":
        return urbansound8k_clips(directory, sample_rate)
    if spec.kind == "speech_commands":
        return speech_commands_clips(directory, spec, sample_rate)
    return own_clips(directory, spec, sample_rate)


def chosen(clips: Sequence[Clip], spec: DatasetSpec) -> list[Clip]:
    """The clips that `labels`, `other`, `other_share` and `skip_folds` leave, with the labels they then have."""
    known = sorted({label for clip in clips for label in clip.labels})
    absent = [label for label in spec.labels if label not in known]
    if absent:
        raise DataError(f"no clip has the label {some(absent)}", hint=f"the labels are {', '.join(known)}")
    kept = [clip for clip in clips if clip.fold not in spec.skip_folds]
    if not kept:
        raise DataError("dataset.skip_folds leaves no clip", hint="skip fewer folds")
    if not spec.labels:
        return kept
    named = {clip.name: [label for label in clip.labels if label in spec.labels] for clip in kept}
    counts = Counter(clip.fold for clip in kept if named[clip.name])
    others = _others([clip for clip in kept if not named[clip.name]], counts, spec)
    found = []
    for clip in kept:
        labels = named[clip.name] or [spec.other] * (clip.name in others)
        if labels:
            found.append(replace(clip, label=labels[0], also=tuple(labels[1:])))
    return found


def _others(clips: Sequence[Clip], counts: Counter[int], spec: DatasetSpec) -> set[str]:
    """Names of the clips that become `other`: in each fold those with the smallest hash of their name."""
    if not spec.other:
        return set()
    found: set[str] = set()
    for fold, count in counts.items():
        names = sorted(
            (clip.name for clip in clips if clip.fold == fold), key=lambda name: sha256(name.encode())
        )
        found.update(names[: max(1, round(spec.other_share * count))])
    return found
