"""The [live] section: how a device that listens for ever turns windows into events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from stapes.recipe.section import Section
from stapes.recipe.votes import VOTES

EXPONENTIAL = "exponential"
"""The smoothing that is no vote."""

if TYPE_CHECKING:
    Smoothing = str
else:
    Smoothing = Literal[(*VOTES, EXPONENTIAL)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class LiveSpec(Section):
    """How a listening device turns windows into events; scores are those of the network, 0 to 1 for a softmax."""

    smoothing: Smoothing = Field(
        "mean",
        description="of the last `windows` windows: what the `vote` of this name gives each class; or exponential: a "
        "step of `factor` towards each window",
    )
    windows: int = Field(2, ge=1, le=32, description="windows that are smoothed over")
    factor: float = Field(0.5, gt=0.0, le=1.0, description="of the exponential smoothing")
    multi_label: bool = Field(False, description="several classes at a time; otherwise the best one only")
    threshold: float = Field(0.5, ge=0.0, le=1.0, description="least smoothed score at which an event begins")
    thresholds: dict[str, Probability] = Field({}, description="the same for single classes, by label")
    release: float = Field(
        0.7, gt=0.0, le=1.0, description="an event ends below this share of its threshold (hysteresis)"
    )
    margin: float = Field(
        0.0, ge=0.0, le=1.0, description="least distance of the best class from the second, else unknown"
    )
    other: str = Field(
        "",
        description="label of a class that means none of the others: never an event; empty: `dataset.other`, else "
        "`nothing` where there is such a label",
    )
    min_seconds: float = Field(0.0, ge=0.0, le=3600.0, description="shorter events are dropped")
    merge_seconds: float = Field(
        0.5, ge=0.0, le=3600.0, description="events of one class at most this far apart are one"
    )
    refractory_seconds: float = Field(
        0.0, ge=0.0, le=3600.0, description="after an event, how long no other of its class may begin"
    )
    start_lag_seconds: float = Field(
        0.0,
        ge=0.0,
        le=600.0,
        description="an event began this long before the end of its first window; 0: half a window and half a hop",
    )
    end_lag_seconds: float = Field(
        0.0,
        ge=0.0,
        le=600.0,
        description="an event ended this long before the end of its last window; 0: half a window less half a hop",
    )
    gate: bool = Field(False, description="silence gate: the network rests while it is quiet")
    gate_open_dbfs: float = Field(-50.0, ge=-120.0, le=0.0, description="a frame this loud opens the gate")
    gate_close_dbfs: float = Field(-55.0, ge=-120.0, le=0.0, description="frames below this are quiet")
    gate_hold_seconds: float = Field(
        0.0, ge=0.0, le=600.0, description="quiet for this long closes the gate; 0: for one window"
    )
    level_seconds: float = Field(
        1.0, ge=0.0, le=3600.0, description="period of the energy average of noise monitoring; 0: none"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.gate_close_dbfs > self.gate_open_dbfs:
            raise ValueError(
                f"gate_close_dbfs = {self.gate_close_dbfs:g} is above gate_open_dbfs = {self.gate_open_dbfs:g}"
            )
        return self

    def thresholds_of(self, labels: Sequence[str]) -> list[float]:
        """The least score of each class."""
        return [self.thresholds.get(label, self.threshold) for label in labels]

    def unknown_labels(self, labels: tuple[str, ...]) -> list[str]:
        """Labels named here that are not among the network's."""
        named = [*self.thresholds, *([self.other] if self.other else [])]
        return [label for label in named if label not in labels]
