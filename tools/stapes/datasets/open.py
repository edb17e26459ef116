"""Opening whatever a recipe's [dataset] names."""

from __future__ import annotations

from pathlib import Path

from stapes.datasets.dataset import Dataset
from stapes.datasets.esc50 import ESC10_LABELS, open_esc50
from stapes.datasets.synthetic import synthetic_clips
from stapes.errors import DataError
from stapes.recipe import DatasetSpec

_SYNTHETIC_CLIPS = 100
_SYNTHETIC_SECONDS = 5.0


def open_dataset(directory: Path | None, spec: DatasetSpec, sample_rate: int) -> Dataset:
    """The data set of a recipe; clips are decoded to `sample_rate` Hz when they are read.

    `directory` is where the recordings are; the synthetic data set needs none. Raises `DataError`.
    """
    if spec.kind == "synthetic":
        clips = synthetic_clips(ESC10_LABELS, _SYNTHETIC_CLIPS, sample_rate, _SYNTHETIC_SECONDS, seed=1)
        return Dataset(clips, sample_rate)
    if directory is None:
        raise DataError("no data directory given", hint="add --data DIR")
    return open_esc50(directory, spec.subset, sample_rate)
