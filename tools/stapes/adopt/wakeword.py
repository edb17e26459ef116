"""microWakeWord's manifest: the JSON file with which ESPHome publishes a streaming wake word beside its network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stapes.adopt.frontends import Settings
from stapes.errors import BundleError
from stapes.files import read_json
from stapes.graph import Tensor
from stapes.recipe.recipe import explain

_MOST_BYTES = 1 << 20
_HINT = "give the .json file of a microWakeWord network, version 1 or 2, as ESPHome publishes them"


class _Micro(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    probability_cutoff: Annotated[float, Field(ge=0.0, le=1.0)]
    sliding_window_size: Annotated[int, Field(ge=1, le=32, strict=True)]
    feature_step_size: Annotated[int, Field(ge=1, le=30, strict=True)]


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    wake_word: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    version: Annotated[int, Field(ge=1, le=2)]
    micro: _Micro

    @model_validator(mode="before")
    @classmethod
    def _second_version(cls, values: Any) -> Any:
        """Version 1 has another name for the window, and steps of 20 ms."""
        micro = values.get("micro") if isinstance(values, dict) else None
        if not isinstance(micro, dict) or values.get("version") != 1:
            return values
        size = micro.get("sliding_window_average_size")
        return {**values, "micro": {"feature_step_size": 20, "sliding_window_size": size, **micro}}


@dataclass(frozen=True)
class WakeWord:
    """What a manifest says."""

    path: Path
    """Of the network."""
    label: str
    cutoff: float
    windows: int
    """That the probability is averaged over."""
    step_ms: int

    def settings(self, given: Settings) -> Settings:
        """`given`, and what the manifest says besides."""
        found = given
        for section, key, value in (
            ("frontend", "hop_length", 16 * self.step_ms),
            ("decision", "vote", "mean"),
            ("live", "smoothing", "mean"),
            ("live", "windows", self.windows),
            ("live", "release", 1.0),
            ("live", "merge_seconds", 0.0),
        ):
            found = found.with_default(section, key, value)
        return found

    def with_threshold(self, settings: Settings, output: Tensor) -> Settings:
        """`settings` with the least mean of scores of `output` that is above the cutoff as threshold: an average that
        is just the cutoff is none yet.
        """
        total = math.floor(self.cutoff * self.windows / output.scale) + 1
        while total > 0 and (total - 1) * output.scale / self.windows > self.cutoff:
            total -= 1
        while total * output.scale / self.windows <= self.cutoff:
            total += 1
        # As the device has it: the mean in 1/256 steps, rounded down.
        threshold = min(1.0, total * 256 // self.windows * output.scale / 256)
        found = settings.with_default("live", "threshold", threshold)
        return found.with_default("decision", "min_confidence", threshold)


def read_manifest(path: Path) -> WakeWord:
    """A manifest of version 1 or 2; raises `BundleError`."""
    try:
        found = _Manifest.model_validate(read_json(path, _MOST_BYTES))
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except ValidationError as error:
        raise BundleError(f"{path}: {explain(error)}", hint=_HINT) from error
    except ValueError as error:
        raise BundleError(f"{path}: {error}", hint=_HINT) from error
    network = Path(found.model)
    if network.is_absolute() or ".." in network.parts:
        raise BundleError(f"{path}: model = {found.model} is not beside it", hint=_HINT)
    micro = found.micro
    return WakeWord(
        path.parent / network,
        found.wake_word.strip(),
        micro.probability_cutoff,
        micro.sliding_window_size,
        micro.feature_step_size,
    )
