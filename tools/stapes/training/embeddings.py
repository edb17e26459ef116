"""Embeddings of every window of every clip: the fixed-point front end, then a backbone's int8 network, as on a device.

Kept on disk by the hash of all that they follow from, a file a clip and speed; what is damaged is computed again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.adopt import Backbone, Embedder
from stapes.datasets import Clip, Dataset
from stapes.datasets.dataset import report, too_short
from stapes.errors import DataError
from stapes.features import FixedFrontend, OutputQuantization
from stapes.files import canonical_json, sha256, write_atomic
from stapes.progress import Progress, no_progress
from stapes.recipe import Recipe
from stapes.reference import vote

_FORMAT = 1

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Embedded:
    """One clip at one speed: embeddings int8 [windows, n], and each window's weight in the vote."""

    embeddings: Int8
    weights: Int64


@dataclass(frozen=True, eq=False)
class EmbeddingPool:
    """Embeddings of a data set: `clips[speed][i]`; `targets` and `folds` int64 [n]; `key` names the content."""

    labels: tuple[str, ...]
    targets: Int64
    folds: Int64
    clips: dict[float, list[Embedded]]
    key: str
    content: dict[int, str]

    def indices(self, fold: int, *, held_out: bool) -> Int64:
        """Clips of the fold (held_out), or of all the others."""
        return np.flatnonzero((self.folds == fold) == held_out)


def build_embeddings(
    recipe: Recipe, dataset: Dataset, backbone: Backbone, cache: Path, progress: Progress = no_progress
) -> EmbeddingPool:
    """The embeddings of `dataset` at speed 1 and every speed of the recipe; from the cache where it can be.

    Raises one `DataError` for all corrupt and too short recordings.
    """
    dataset.require_labels()
    speeds = sorted({1.0, *recipe.training.speeds}, key=lambda speed: (speed != 1.0, speed))
    work = _Work(recipe, backbone, cache / "embeddings")
    problems: list[str] = []
    clips: dict[float, list[Embedded]] = {}
    keys: list[str] = []
    for number, speed in enumerate(speeds):
        found = clips[speed] = []
        for index, clip in enumerate(dataset.clips):
            progress("embeddings", number * len(dataset.clips) + index, len(speeds) * len(dataset.clips))
            try:
                keys.append(work.key(clip, speed))
                found.append(work.embedded(clip, speed, keys[-1]))
            except (DataError, OSError) as error:
                problems.append(error.message if isinstance(error, DataError) else f"{clip.name}: {error}")
        report(problems)
    labels = dataset.labels
    return EmbeddingPool(
        labels=labels,
        targets=dataset.targets,
        folds=np.array([clip.fold for clip in dataset.clips], dtype=np.int64),
        clips=clips,
        key=sha256(canonical_json([sorted(keys), [(clip.label, clip.fold) for clip in dataset.clips]])),
        content={fold: dataset.content(fold) for fold in dataset.folds},
    )


class _Work:
    """One recipe's features and one backbone."""

    def __init__(self, recipe: Recipe, backbone: Backbone, directory: Path) -> None:
        self._recipe, self._directory = recipe, directory
        source = backbone.graph.tensor(backbone.graph.inputs[0])
        normalization = recipe.normalization
        self._output = OutputQuantization(
            normalization.mean, normalization.std, source.scale, source.zero_point
        )
        self._frontend = FixedFrontend(recipe.frontend)
        self._size = backbone.embedding.elements
        self._embedder: Embedder | None = None
        self._backbone = backbone
        parts = (recipe.frontend, normalization, recipe.window, recipe.decision)
        self._identity = [_FORMAT, backbone.sha256, *(part.model_dump(mode="json") for part in parts)]

    def key(self, clip: Clip, speed: float) -> str:
        return sha256(canonical_json([*self._identity, clip.identity(), speed]))

    def embedded(self, clip: Clip, speed: float, key: str) -> Embedded:
        path = self._directory / f"{key}.npz"
        known = self._read(path)
        if known is not None:
            return known
        made = self._made(clip, speed)
        stream = io.BytesIO()
        np.savez(stream, embeddings=made.embeddings, weights=made.weights)
        write_atomic(path, stream.getvalue())
        return made

    def _read(self, path: Path) -> Embedded | None:
        try:
            with np.load(path, allow_pickle=False) as kept:
                embeddings, weights = kept["embeddings"], kept["weights"]
        except Exception:  # a zip archive can be damaged in as many ways
            return None
        whole = embeddings.dtype == np.int8 and embeddings.shape == (len(weights), self._size)
        return Embedded(embeddings, weights.astype(np.int64)) if whole else None

    def _made(self, clip: Clip, speed: float) -> Embedded:
        recipe, pcm = self._recipe, clip.at_speed(speed)
        spec, window = recipe.frontend, recipe.window
        if len(pcm) < recipe.window_samples:
            if speed != 1.0:
                return Embedded(np.empty((0, self._size), np.int8), np.empty(0, np.int64))
            raise DataError(too_short(clip.name, len(pcm), recipe.window_samples, spec.sample_rate))
        rows = self._frontend.features(pcm, self._output)
        embedder = self._embedder = self._embedder or Embedder(self._backbone)
        weigh = vote(recipe.decision.vote).weight
        embeddings, weights = [], []
        for first in range(0, len(rows) - window.frames + 1, window.hop_frames):
            start = first * spec.hop_length
            heard = pcm[start : start + recipe.window_samples].astype(np.int64)
            embeddings.append(embedder(rows[first : first + window.frames]))
            weights.append(weigh(int(np.dot(heard, heard)), recipe.window_samples))
        return Embedded(np.stack(embeddings), np.array(weights, dtype=np.int64))
