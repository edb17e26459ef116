"""A bundle as a Python object: what the device would say of a sound, to the last bit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.datasets import read_audio
from stapes.errors import DataError
from stapes.recipe import Bundle
from stapes.reference.pipeline import Reference

Sound = str | os.PathLike[str] | npt.NDArray[np.int16]
"""A recording's path (any format, rate and number of channels), or mono samples at the bundle's rate."""


@dataclass(frozen=True)
class Classification:
    """What a device says after hearing a whole sound.

    `label` is None where the confidence is below the bundle's `min_confidence`; `best` is the likeliest label all the
    same. `confidence` is of `best`, 0 to 1. `scores` gives each label's, 0 to 1: the windows put together by the
    bundle's vote. `windows` holds the network's own int8 output, int8 [windows, labels].
    """

    label: str | None
    best: str
    confidence: float
    scores: Mapping[str, float]
    windows: npt.NDArray[np.int8]


class Classifier:
    """What the device computes, computed here: fixed-point features, int8 network, vote. No device is needed.

    >>> classifier = Classifier("models/esc10-nano")
    >>> classifier.sample_rate
    8000
    >>> silence = np.zeros(2 * classifier.sample_rate, np.int16)
    >>> classifier.features(silence).shape  # frames, features
    (62, 20)
    >>> found = classifier.classify(silence)
    >>> found.best in classifier.labels, 0.0 <= found.confidence <= 1.0
    (True, True)

    Raises `BundleError` where `bundle` is no bundle, `ModelError` where its network does not run.
    """

    def __init__(self, bundle: Bundle | str | os.PathLike[str]) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        self._reference = Reference(self.bundle)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the network's outputs."""
        return self.bundle.manifest.labels

    @property
    def sample_rate(self) -> int:
        """Of the samples that it hears, in Hz."""
        return self.bundle.manifest.frontend.sample_rate

    def samples(self, sound: Sound) -> npt.NDArray[np.int16]:
        """The samples that the device would hear, int16 [n] at `sample_rate`.

        Raises `DataError` for a recording that cannot be read, and for an array of another kind.
        """
        if isinstance(sound, np.ndarray):
            if sound.dtype != np.int16 or sound.ndim != 1 or not len(sound):
                raise DataError(
                    f"samples are {sound.dtype} of shape {sound.shape}, not int16 of shape (n,)",
                    hint="mono, full scale 32767: np.round(32767 * x).astype(np.int16)",
                )
            return sound
        return read_audio(Path(sound), self.sample_rate)

    def features(self, sound: Sound) -> npt.NDArray[np.int8]:
        """What the network is given, int8 [frames, features]: one row a hop, as long as whole frames fit."""
        return self._reference.frontend.features(self.samples(sound), self._reference.output)

    def classify(self, sound: Sound) -> Classification:
        """The verdict over all windows of `sound`; one that is shorter than a window is padded with zeros."""
        clip = self._reference.clip(self.samples(sound))
        rule, verdict = self._reference.rule, clip.verdict
        windows = np.stack([window.scores for window in clip.windows])
        votes = rule.scores(list(windows), [window.weight for window in clip.windows])
        shares = {label: vote / rule.full_score for label, vote in zip(self.labels, votes, strict=True)}
        best = self.labels[verdict.best]
        return Classification(
            label=None if verdict.class_index < 0 else best,
            best=best,
            confidence=verdict.confidence / rule.full_score,
            scores=shares,
            windows=windows,
        )
