"""Opening whatever a recipe's [dataset] names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stapes.datasets.dataset import Clip, Dataset, some
from stapes.datasets.esc50 import ESC10_LABELS, esc50_clips
from stapes.datasets.own import TABLE, layout, own_clips, recordings
from stapes.datasets.recording import padded
from stapes.datasets.speech_commands import speech_commands_clips
from stapes.datasets.synthetic import synthetic_clips
from stapes.datasets.urbansound8k import urbansound8k_clips
from stapes.errors import DataError
from stapes.files import sha256
from stapes.recipe import DatasetSpec

_SYNTHETIC_CLIPS_A_LABEL = 10
_SYNTHETIC_SECONDS = 5.0


def open_dataset(
    directory: Path | None,
    spec: DatasetSpec,
    sample_rate: int,
    *,
    for_training: bool = True,
    tagging: bool = False,
) -> Dataset:
    """The data set of a recipe; clips are decoded to `sample_rate` Hz when they are read.

    `directory` is where the recordings are; the synthetic data set needs none. Recordings that are not `for_training`
    (made later, to be tried on) need no folds: a class may be missing or have one recording only, and they are read by
    the layout that they have. Clips without a label stay so for `tagging`; else they go to the class that means none
    of the others, where there is one. Raises `DataError`.
    """
    if not for_training and directory is not None:
        spec = spec.model_copy(update={"kind": _kind(directory, spec)})
    found = _clips(directory, spec, sample_rate, for_training)
    clips = chosen(found, spec, for_training=for_training, tagging=tagging)
    if spec.pad_seconds:
        clips = [padded(clip, spec.pad_seconds, sample_rate) for clip in clips]
    return Dataset(tuple(clips), sample_rate)


_PUBLISHED = {
    "esc50": "meta/esc50.csv",
    "urbansound8k": "metadata/UrbanSound8K.csv",
    "speech_commands": "testing_list.txt",
}


def _kind(directory: Path, spec: DatasetSpec) -> str:
    """The layout of `directory`: the recipe's, or another one where that is not there."""
    if not directory.is_dir() or (spec.kind == "synthetic" and not recordings(directory)):
        return spec.kind
    if spec.kind in ("folders", "csv", "audacity"):
        return layout(directory, spec.kind)
    published = _PUBLISHED.get(spec.kind)
    if published and (directory / published).is_file():
        return spec.kind
    found = layout(directory, "csv")
    if found == "csv" and not (directory / TABLE).is_file():
        raise DataError(
            f"{directory}: no recordings whose labels are known",
            hint=f"put each class into a folder of its name, or give label tracks or {TABLE} (docs/datasets.md)",
        )
    return found


def _clips(directory: Path | None, spec: DatasetSpec, sample_rate: int, for_training: bool) -> Sequence[Clip]:
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
    return own_clips(directory, spec, sample_rate, for_training=for_training)


def chosen(
    clips: Sequence[Clip], spec: DatasetSpec, *, for_training: bool = True, tagging: bool = False
) -> list[Clip]:
    """The clips that `labels`, `other`, `other_share` and `skip_folds` leave, with the labels they then have.

    Clips without a label are clips with another one, unless for `tagging`: then all of them stay as they are.
    Raises `DataError` for labels that no clip has, if they are `for_training`, and where nothing is left.
    """
    known = sorted({label for clip in clips for label in clip.labels})
    absent = [label for label in spec.labels if label not in known]
    if absent and (for_training or (known and len(absent) == len(spec.labels) and not spec.other)):
        raise DataError(f"no clip has the label {some(absent)}", hint=f"the labels are {', '.join(known)}")
    kept = [clip for clip in clips if clip.fold not in spec.skip_folds]
    if not kept:
        raise DataError("dataset.skip_folds leaves no clip", hint="skip fewer folds")
    rest = "" if tagging else spec.other_of(spec.labels or known)
    if rest and not spec.other:  # one of the labels
        kept = [clip if clip.label else replace(clip, label=rest) for clip in kept]
    if not spec.labels:
        return kept
    named = {clip.name: [label for label in clip.labels if label in spec.labels] for clip in kept}
    counts = Counter(clip.fold for clip in kept if named[clip.name])
    stays = {clip.name for clip in kept if not clip.label and (tagging or not rest)}
    others = _others([clip for clip in kept if not named[clip.name] and clip.name not in stays], counts, spec)
    found = []
    for clip in kept:
        labels = named[clip.name] or [spec.other] * (clip.name in others)
        if labels:
            found.append(replace(clip, label=labels[0], also=tuple(labels[1:])))
        elif clip.name in stays:
            found.append(clip)
    return found


def _others(clips: Sequence[Clip], counts: Counter[int], spec: DatasetSpec) -> set[str]:
    """Names of the clips that become `other`: in each fold those with the smallest hash of their name; all of them
    where `other_share` is infinite.
    """
    if not spec.other:
        return set()
    if math.isinf(spec.other_share):
        return {clip.name for clip in clips}
    found: set[str] = set()
    for fold, count in counts.items():
        names = sorted(
            (clip.name for clip in clips if clip.fold == fold), key=lambda name: sha256(name.encode())
        )
        found.update(names[: max(1, round(spec.other_share * count))])
    return found
