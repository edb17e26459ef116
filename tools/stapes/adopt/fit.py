"""Whether the features of a front end are what a network's input was quantised for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.datasets import synthetic_clips
from stapes.errors import BundleError
from stapes.features import FixedFrontend
from stapes.graph import Tensor
from stapes.recipe import Recipe

_LABELS = ("rain", "dog", "crying_baby", "clock_tick", "helicopter")
_GAINS_DB = (0.0, -20.0)
_MOST_OUTSIDE = 0.5
_REMARKABLE = 0.1
_LEAST_USED = 0.15
_SLACK = 0.02
"""Of the range: what lies this little beyond an end, such as the floor of silence, is not lost."""


@dataclass(frozen=True)
class Fit:
    """How features fall into the range of a network's input; shares of cells, 0 to 1."""

    low: float
    high: float
    """What the input can represent, in the unit of the features before normalisation."""
    features: tuple[float, float]
    """The 1st and the 99th percentile of the features."""
    outside: float
    """Cells beyond the range; of MFCC those of the coefficient with the most."""
    used: float
    """Share of the range between the percentiles."""


def measure_fit(recipe: Recipe, source: Tensor) -> Fit:
    """Made sounds of several kinds and levels through the front end, held against the input `source`."""
    spec, normalization = recipe.frontend, recipe.normalization
    frontend = FixedFrontend(spec)
    clips = synthetic_clips(_LABELS, len(_LABELS), spec.sample_rate, 2.0, seed=1)
    values = np.concatenate(
        [frontend.values(_quieter(clip.pcm, gain)) for clip in clips for gain in _GAINS_DB]
    )
    ends = [
        (q - source.zero_point) * source.scale * normalization.std + normalization.mean for q in (-128, 127)
    ]
    low, high = np.percentile(values, [1, 99])
    slack = _SLACK * (ends[1] - ends[0])
    beyond = (values < ends[0] - slack) | (values > ends[1] + slack)
    inside = min(high, ends[1]) - max(low, ends[0])
    return Fit(
        low=ends[0],
        high=ends[1],
        features=(float(low), float(high)),
        outside=float(beyond.mean(axis=0).max() if spec.n_mfcc else beyond.mean()),
        used=max(0.0, float(inside)) / (ends[1] - ends[0]),
    )


def check_fit(recipe: Recipe, source: Tensor, name: str) -> list[str]:
    """What is to be said about the fit; raises `BundleError` where network and front end cannot belong together."""
    fit = measure_fit(recipe, source)
    spec = recipe.frontend
    what = f"log-mel ({spec.log})" if spec.kind == "log-mel" else spec.kind
    text = (
        f"{name}: its input (scale {source.scale:.6g}, zero point {source.zero_point}) reaches from {fit.low:.4g} to "
        f"{fit.high:.4g} in the unit of the features, and this front end's {what} of ordinary sounds from "
        f"{fit.features[0]:.4g} to {fit.features[1]:.4g}"
    )
    if fit.outside > _MOST_OUTSIDE or fit.used < _LEAST_USED:
        raise BundleError(
            text, hint="give the log, spectrum, log_floor and normalization that the network was trained with"
        )
    return [f"{text}: {fit.outside:.0%} of the cells are clipped"] if fit.outside > _REMARKABLE else []


def _quieter(pcm: npt.NDArray[np.int16], decibel: float) -> npt.NDArray[np.int16]:
    return np.asarray(np.rint(pcm * 10.0 ** (decibel / 20.0)), np.int16)
