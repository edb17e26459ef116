"""Features of every clip at every speed: computed once by the fixed-point front end, kept on disk.

A cache file's name is the hash of everything its content follows from: the front end's specification, the
speed, and the recordings in it. A file that is damaged is computed again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.datasets import Clip, Dataset
from stapes.datasets.dataset import report, too_short
from stapes.errors import DataError
from stapes.features import FixedFrontend
from stapes.files import canonical_json, sha256
from stapes.progress import Progress, no_progress
from stapes.recipe import FrontendSpec, Recipe
from stapes.training.shards import CLIPS, Features, load, save
from stapes.training.transform import log_mel_of, require_trainable

Int64 = npt.NDArray[np.int64]

_NEVER_LEFT_OUT = -1
"""The fold of what every network learns from, and none is tested with."""

NONE_LEFT_OUT = 0
"""The fold of a network that learns from all recordings: no clip is in it."""

_FORMAT = 2
"""Raised when the same files give other samples: what an older reader made of them is not used."""


def default_cache() -> Path:
    """Where this platform keeps what can be computed again."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "stapes"


@dataclass(frozen=True, eq=False)
class FeaturePool:
    """Features of a data set: `clips[speed][i]`; `targets` (-1: no label) and `folds` int64[n]; `key` names content.

    They are log-mel, those of `spec`, whatever the front end makes of them (see `transform`).
    `noise` are recordings that are no clips, at speed 1. `tags` bool[n, classes] are all classes of each clip.
    `content` is the hash of each fold's recordings and labels. With tagging, clips of digital silence without a label,
    which are in no fold, come last.
    """

    spec: FrontendSpec
    labels: tuple[str, ...]
    targets: Int64
    folds: Int64
    clips: dict[float, list[Features]]
    key: str
    noise: Sequence[Features] = ()
    tags: npt.NDArray[np.bool_] | None = None
    content: Mapping[int, str] = field(default_factory=dict)

    def labels_of(self, clips: Int64) -> npt.NDArray[np.bool_]:
        """Which classes clips have: bool[len(clips), classes]."""
        if self.tags is not None:
            return self.tags[clips]
        classes: npt.NDArray[np.bool_] = np.arange(len(self.labels)) == self.targets[clips][:, None]
        return classes

    def indices(self, fold: int, *, held_out: bool) -> Int64:
        """Clips of the fold (held_out), or of all the others."""
        return np.flatnonzero((self.folds == fold) == held_out)


def build_pool(
    recipe: Recipe,
    dataset: Dataset,
    cache: Path,
    progress: Progress = no_progress,
    *,
    noise: Sequence[Clip] = (),
) -> FeaturePool:
    """The pool of `dataset` at speed 1 and every speed of the recipe, and of `noise`; from the cache where it can be.

    Raises one `DataError` for all corrupt and too short recordings, `RecipeError` for a front end that is not made of
    mel powers: mixing and filtering work on those.
    """
    require_trainable(recipe)
    spec = log_mel_of(recipe.frontend)
    speeds = sorted({1.0, *recipe.training.speeds}, key=lambda speed: (speed != 1.0, speed))
    identities, noises = _identities(dataset.clips), _identities(noise)
    directory = cache / "features"
    done = 0

    def step(more: int) -> None:
        progress("features", done + more, len(speeds) * len(dataset.clips) + len(noise))

    # Noise first: what is wrong with it is said together with what is wrong with the clips.
    problems: list[str] = []
    recorded = _at_speed(spec, noise, 1.0, noises, directory, spec.frame_length, problems, step)
    done += len(noise)
    clips: dict[float, list[Features]] = {}
    for speed in speeds:
        minimum = recipe.window_samples if speed == 1.0 else spec.frame_length
        clips[speed] = _at_speed(spec, dataset.clips, speed, identities, directory, minimum, problems, step)
        report(problems)
        done += len(dataset.clips)
    keys = [_key(spec, speed, identities) for speed in speeds]
    labels = dataset.labels
    content: list[object] = [sorted(keys), [(clip.label, clip.fold, *clip.also) for clip in dataset.clips]]
    silent = _silent_clips(recipe, len(dataset.clips))
    if silent:
        content.append(["silent", silent, recipe.window.frames])
        nothing = _nothing(recipe)
        clips = {speed: found + [nothing] * silent for speed, found in clips.items()}
    return FeaturePool(
        spec=spec,
        labels=labels,
        targets=np.append(dataset.targets, np.full(silent, -1, dtype=np.int64)),
        folds=np.array([*(clip.fold for clip in dataset.clips), *[_NEVER_LEFT_OUT] * silent], dtype=np.int64),
        clips=clips,
        noise=recorded,
        tags=np.array(
            [[label in clip.labels for label in labels] for clip in dataset.clips]
            + [[False] * len(labels)] * silent,
            dtype=np.bool_,
        ),
        content={fold: dataset.content(fold) for fold in dataset.folds},
        key=sha256(canonical_json([*content, *([_key(spec, 1.0, noises)] if noise else [])])),
    )


def _silent_clips(recipe: Recipe, clips: int) -> int:
    """How many clips of digital silence `clips` are joined by, so that tagging learns that nothing sounds in it."""
    share = recipe.training.silent if recipe.tagging else 0.0
    return max(1, round(clips * share / (1.0 - share))) if share else 0


def _nothing(recipe: Recipe) -> Features:
    """A window of digital silence, the same at every speed."""
    frontend = FixedFrontend(log_mel_of(recipe.frontend))
    log_mel = frontend.log_mel_float(np.zeros(recipe.window_samples, np.int16))
    squares = np.zeros(len(log_mel), dtype=np.int64)
    return Features(log_mel, squares, squares)


def _identities(clips: Sequence[Clip]) -> list[str]:
    problems, found = [], []
    for clip in clips:
        try:
            found.append(clip.identity())
        except OSError as error:
            problems.append(f"{clip.name}: {error.strerror}")
    report(problems)
    return found


def _key(spec: FrontendSpec, speed: float, identities: Sequence[str]) -> str:
    return sha256(canonical_json([_FORMAT, spec.model_dump(mode="json"), speed, identities]))


def _at_speed(
    spec: FrontendSpec,
    clips: Sequence[Clip],
    speed: float,
    identities: Sequence[str],
    directory: Path,
    minimum: int,
    problems: list[str],
    progress: Callable[[int], None],
) -> list[Features]:
    """The features of every clip, file by file: what the cache holds, and what it lacks computed and added.

    What is wrong with clips, shorter than `minimum` samples included, is added to `problems`.
    """
    found: list[Features] = []
    for first in range(0, len(clips), CLIPS):
        part = clips[first : first + CLIPS]
        path = directory / f"{_key(spec, speed, identities[first : first + CLIPS])}.npy"
        known = load(path, len(part), spec.n_mels)
        if known is None:
            known = []
            before = len(problems)
            frontend = FixedFrontend(spec)
            for clip in part:
                progress(first + len(known))
                try:
                    known.append(_features(frontend, clip, speed, minimum))
                except DataError as error:
                    problems.append(error.message)
            if len(problems) == before:
                save(path, known)
                # From here on it is on disk only, as it is the next time.
                known = load(path, len(part), spec.n_mels) or known
        else:
            problems += _too_short(known, part, minimum, spec)
        found += known
        progress(first + len(part))
    return found


def _features(frontend: FixedFrontend, clip: Clip, speed: float, minimum: int) -> Features:
    pcm, spec = clip.at_speed(speed), frontend.spec
    if len(pcm) < minimum:
        raise DataError(too_short(clip.name, len(pcm), minimum, spec.sample_rate))
    log_mel = frontend.log_mel_float(pcm)
    wide = pcm.astype(np.int64)
    squares = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(wide * wide)])
    start = np.arange(len(log_mel)) * spec.hop_length
    return Features(log_mel, squares[start], squares[start + spec.frame_length])


def _too_short(
    found: Sequence[Features], clips: Sequence[Clip], minimum: int, spec: FrontendSpec
) -> list[str]:
    lengths = [spec.samples(len(features.log_mel)) for features in found]
    return [
        too_short(clip.name, samples, minimum, spec.sample_rate)
        for clip, samples in zip(clips, lengths, strict=True)
        if samples < minimum
    ]
