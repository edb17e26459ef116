"""Features of every clip at every speed: computed once by the fixed-point front end, kept on disk.

A cache file's name is the hash of everything its content follows from: the front end's specification, the
speed, and every recording. A file that is damaged is computed again.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.datasets import Clip, Dataset
from stapes.datasets.dataset import report, too_short
from stapes.errors import DataError, RecipeError
from stapes.features import FixedFrontend
from stapes.files import canonical_json, sha256, write_atomic
from stapes.recipe import FrontendSpec, Recipe

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

_FORMAT = 1


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
class Features:
    """What one clip gives at one speed.

    `log_mel` is float32[frames, n_mels] in the front end's log unit. `before[t]` and `after[t]` are sums of
    the squared samples before frame t's first and up to its last: a run's energy is a difference.
    """

    log_mel: Float32
    before: Int64
    after: Int64


@dataclass(frozen=True, eq=False)
class FeaturePool:
    """Features of a data set: `clips[speed][i]`; `targets` and `folds` int64[n]; `key` names the content."""

    spec: FrontendSpec
    labels: tuple[str, ...]
    targets: Int64
    folds: Int64
    clips: dict[float, list[Features]]
    key: str

    def indices(self, fold: int, *, held_out: bool) -> Int64:
        """Clips of the fold (held_out), or of all the others."""
        return np.flatnonzero((self.folds == fold) == held_out)


def build_pool(
    recipe: Recipe, dataset: Dataset, cache: Path, progress: Progress = lambda what, done, total: None
) -> FeaturePool:
    """The pool of `dataset` at speed 1 and every speed of the recipe; from the cache where it holds them.

    Raises one `DataError` for all corrupt and too short recordings, `RecipeError` for a
    front end whose features are not logarithms of mel powers: mixing and filtering work on those powers.
    """
    spec = recipe.frontend
    if spec.pcen or spec.n_mfcc:
        raise RecipeError(
            f"frontend.{'pcen' if spec.pcen else 'n_mfcc'}: training augments log-mel features only",
            hint="train with log-mel features",
        )
    speeds = sorted({1.0, *recipe.training.speeds}, key=lambda speed: (speed != 1.0, speed))
    identities = _identities(dataset)
    keys = {speed: _key(recipe.frontend, speed, identities) for speed in speeds}
    total = len(speeds) * len(dataset.clips)
    clips: dict[float, list[Features]] = {}
    for number, speed in enumerate(speeds):
        path = cache / "features" / f"{keys[speed]}.npz"
        found = _load(path, len(dataset.clips), recipe.frontend.n_mels)
        if found is None:
            minimum = recipe.window_samples if speed == 1.0 else recipe.frontend.frame_length

            def step(done: int, start: int = number * len(dataset.clips)) -> None:
                progress("features", start + done, total)

            found = _compute(recipe.frontend, dataset, speed, minimum, step)
            write_atomic(path, _pack(found))
        elif speed == 1.0:
            _check_lengths(found, dataset, recipe.window.frames, recipe.frontend)
        clips[speed] = found
        progress("features", (number + 1) * len(dataset.clips), total)
    labels = dataset.labels
    return FeaturePool(
        spec=recipe.frontend,
        labels=labels,
        targets=np.array([labels.index(clip.label) for clip in dataset.clips], dtype=np.int64),
        folds=np.array([clip.fold for clip in dataset.clips], dtype=np.int64),
        clips=clips,
        key=sha256(
            canonical_json([sorted(keys.values()), [(clip.label, clip.fold) for clip in dataset.clips]])
        ),
    )


def _identities(dataset: Dataset) -> list[str]:
    problems, found = [], []
    for clip in dataset.clips:
        try:
            found.append(clip.identity())
        except OSError as error:
            problems.append(f"{clip.name}: {error.strerror}")
    report(problems)
    return found


def _key(spec: FrontendSpec, speed: float, identities: list[str]) -> str:
    return sha256(canonical_json([_FORMAT, spec.model_dump(mode="json"), speed, identities]))


def _compute(
    spec: FrontendSpec, dataset: Dataset, speed: float, minimum: int, progress: Callable[[int], None]
) -> list[Features]:
    frontend = FixedFrontend(spec)
    problems: list[str] = []
    found = []
    for done, clip in enumerate(dataset.clips):
        progress(done)
        try:
            found.append(_features(frontend, clip, speed, minimum))
        except DataError as error:
            problems.append(error.message)
    report(problems)
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


def _check_lengths(found: list[Features], dataset: Dataset, frames: int, spec: FrontendSpec) -> None:
    report(
        [
            too_short(clip.name, spec.samples(len(features.log_mel)), spec.samples(frames), spec.sample_rate)
            for clip, features in zip(dataset.clips, found, strict=True)
            if len(features.log_mel) < frames
        ]
    )


def _pack(clips: list[Features]) -> bytes:
    stream = io.BytesIO()
    np.savez(
        stream,
        counts=np.array([len(clip.log_mel) for clip in clips], dtype=np.int64),
        log_mel=np.concatenate([clip.log_mel for clip in clips]),
        before=np.concatenate([clip.before for clip in clips]),
        after=np.concatenate([clip.after for clip in clips]),
    )
    return stream.getvalue()


def _load(path: Path, count: int, n_mels: int) -> list[Features] | None:
    """The content of a cache file; None when there is none or it is damaged (members carry a CRC-32)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            counts, log_mel, before, after = (file[name] for name in ("counts", "log_mel", "before", "after"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    total = int(counts.sum())
    if (
        len(counts) != count
        or log_mel.shape != (total, n_mels)
        or len(before) != total
        or len(after) != total
    ):
        return None
    ends = np.cumsum(counts)
    return [
        Features(log_mel[start:end], before[start:end], after[start:end])
        for start, end in zip(ends - counts, ends, strict=True)
    ]
