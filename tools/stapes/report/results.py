"""What a page reads of a result's JSON, checked before anything is drawn: results can come from strangers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stapes.errors import StapesError
from stapes.recipe.bundle import Accuracy, Share
from stapes.recipe.recipe import explain

Result = Mapping[str, Any]
Count = Annotated[int, Field(ge=0, le=2**63)]
Number = Annotated[float, Field(ge=-1e18, le=1e18)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Layer(_Part):
    name: str
    macs: Count
    count: Number | None


class _Region(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    offset: Count
    bytes: Count
    first: Count
    last: Count


class _Memory(_Part):
    events: Annotated[int, Field(ge=1, le=2**31)]
    regions: list[_Region]


class _Difference(_Part):
    clip: str
    window: int | None
    stage: str
    layer: str | None
    index: list[int] | None
    expected: int
    got: int
    differing: Count
    total: Count
    looks_like: str


class _Example(_Part):
    clip: str
    window: int
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 20)]], Field(min_length=2, max_length=2)]
    expected: str
    got: str

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for text in (self.expected, self.got):
            try:
                data = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise ValueError("features are no base64") from error
            if len(data) != self.shape[0] * self.shape[1]:
                raise ValueError(f"{len(data)} features, the shape says {self.shape[0]} x {self.shape[1]}")
        return self


class _Clip(_Part):
    clip: str
    label: str | None
    prediction: str
    confidence: Number
    windows: Count
    pcm_equal: bool
    features_equal: bool
    layers_equal: bool
    scores_equal: bool
    decision_equal: bool
    counts_per_window: Number | None


class _Link(_Part):
    retries: Count | None
    requests: Count | None


class _SelfTest(_Part):
    passed: bool | None
    problem: str | None


class _Check(_Part):
    target: str
    bundle: str
    bundle_hash: str
    labels: list[str]
    reference: str
    source: str
    passed: bool
    interrupted: bool
    clips: Count
    windows: Count
    features_equal: bool
    layers_equal: bool
    scores_equal: bool
    decisions_equal: Count
    first_difference: _Difference | None
    accuracy: Share | None
    accuracy_clips: Count
    counter: str | None
    instructions_per_window: Number | None
    instructions_frontend_per_window: Number | None
    counts_per_window: Number | None
    board: str | None
    build_id: str | None
    self_test: _SelfTest | None = None
    flash_bytes: Count | None
    ram_bytes: Count | None
    stack_bytes: Count | None
    stack_high_water: Count | None
    arena_bytes: Annotated[int, Field(ge=1, le=2**63)]
    layers: list[_Layer]
    memory: _Memory
    example: _Example | None
    link: _Link
    results: list[_Clip]


class _Comparison(_Part):
    targets: list[_Check]
    equal: bool


class _Firmware(Accuracy):
    confusion: list[list[Count]] | None = None
    """None of tags."""


class _Counted(_Part):
    accuracy: Share
    clips: Count


class _ClassFigures(_Part):
    label: str
    clips: Count
    precision: Share | None
    recall: Share | None
    f1: Share | None
    average_precision: Share | None = None


class _Bin(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, populate_by_name=True)

    from_: Share = Field(alias="from")
    to: Share
    count: Count
    confidence: Share | None
    accuracy: Share | None

    @model_validator(mode="after")
    def _filled(self) -> Self:
        if self.count and (self.confidence is None or self.accuracy is None):
            raise ValueError("clips without confidence or accuracy")
        return self


class _Calibration(_Part):
    ece: Share
    bins: list[_Bin]


class _Condition(_Part):
    group: str
    condition: str
    accuracy_mean: Share


class _Wrong(_Part):
    clip: str
    fold: int
    label: str
    said: str
    confidence: Number


class _Robustness(_Part):
    conditions: list[_Condition]


_LEFT_OUT = (
    "bundle", "bundle_hash", "test", "float", "windows", "foreground", "background", "calibration", "robustness",
)  # fmt: skip


class _Evaluation(_Part):
    bundle: str | None = None
    bundle_hash: str | None = None
    folds: list[int]
    clips: list[Count] = []
    test: str | None = None
    labels: list[str]
    tagging: bool = False
    mean_average_precision: Share | None = None
    float: Accuracy | None = None
    int8: Accuracy
    firmware: _Firmware
    windows: Accuracy | None = None
    foreground: _Counted | None = None
    background: _Counted | None = None
    classes: list[_ClassFigures] = []
    wrong: list[_Wrong] = []
    calibration: _Calibration | None = None
    robustness: _Robustness | None = None

    @model_validator(mode="after")
    def _square(self) -> Self:
        counts = self.firmware.confusion or []
        if self.firmware.confusion is None and not self.tagging:
            raise ValueError("no confusion, and no tags either")
        if len(counts) > len(self.labels) or any(len(row) != len(self.labels) for row in counts):
            raise ValueError(f"the confusion is not one of {len(self.labels)} labels")
        if self.test is not None and len(self.clips) != 1:
            raise ValueError("clips of a test are one number")
        return self

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        for key in _LEFT_OUT:
            if isinstance(value, dict) and key in value and value[key] is None:
                raise ValueError(f"{key} is null: leave it out")
        return value


class _Histogram(_Part):
    edges_nat: list[Number]
    counts: list[Count]


class _Parity(_Part):
    int8_equal_fraction: Share
    histogram: _Histogram


KINDS: dict[str, tuple[set[str], type[_Part]]] = {
    "check": ({"first_difference", "results", "target", "example", "memory"}, _Check),
    "compare": ({"targets", "equal"}, _Comparison),
    "evaluate": ({"folds", "int8", "firmware", "labels"}, _Evaluation),
    "parity": ({"int8_equal_fraction", "histogram"}, _Parity),
}
"""By command: the keys that tell whose JSON a value is, and what the page reads of it."""


def result_kind(value: Any) -> str | None:
    """`check`, `compare`, `evaluate` or `parity`: whose JSON `value` is; None when it is none of these."""
    if not isinstance(value, dict):
        return None
    return next((kind for kind, (keys, _) in KINDS.items() if keys <= value.keys()), None)


def checked_result(value: Any, where: str) -> Result:
    """`value` as a result that the page can show; raises `StapesError`, one line, naming `where` and what is wrong."""
    kind = result_kind(value)
    if kind is None:
        raise StapesError(
            f"{where} is no result of check, compare, evaluate or frontend parity",
            hint="run the command again with --json: this stapes may need newer keys",
        )
    try:
        KINDS[kind][1].model_validate(value)
    except ValidationError as error:
        raise StapesError(
            f"{where} is no whole result of {kind}: {explain(error)}",
            hint="run the command again with --json",
        ) from error
    result: Result = value
    return result
