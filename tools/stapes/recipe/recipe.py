"""The recipe: what the user asked for, typed and validated in one place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stapes.errors import RecipeError
from stapes.recipe.frontend import FrontendSpec


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSpec(_Section):
    """Where clips come from and how they are divided."""

    kind: Literal["esc50", "synthetic"] = "esc50"
    subset: Literal["esc10", "all"] = "esc10"
    test_fold: int = Field(1, ge=1, le=5, description="the fold that model.tflite was never trained on")


class Normalization(_Section):
    """Fixed normalisation: the network sees `(log_mel - mean) / std`, in the log unit of the front end.

    Two constants, chosen by hand and not fitted to recordings: no fold learns of another through them.
    """

    mean: float = -8.0
    std: float = Field(4.0, gt=0.0)


class WindowSpec(_Section):
    """The piece of a clip that the network sees at once, in front-end frames."""

    frames: int = Field(124, ge=1, le=4096)
    hop_frames: int = Field(31, ge=1, le=4096, description="frames between the starts of two windows")


class ModelSpec(_Section):
    """Which network, and how large."""

    architecture: Literal["plain_cnn", "ds_cnn"] = "plain_cnn"
    filters: tuple[int, ...] = (16, 24, 48, 64, 96)
    strides: tuple[int, ...] = (2, 2, 2, 1, 2)
    dropout: float = Field(0.3, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _one_stride_per_layer(self) -> Self:
        if len(self.filters) != len(self.strides) or not self.filters:
            raise ValueError(
                f"filters has {len(self.filters)} entries and strides {len(self.strides)}: give one of each per layer"
            )
        if min(self.filters) < 1 or min(self.strides) < 1:
            raise ValueError("filters and strides must be at least 1")
        return self


class TrainingSpec(_Section):
    """The optimiser's schedule and the augmentation."""

    steps: int = Field(2400, ge=1)
    batch: int = Field(64, ge=1)
    learning_rate: float = Field(3e-3, gt=0.0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.02, ge=0.0)
    seed: int = Field(1, ge=0)
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = Field(
        (0.8, 0.87, 0.93, 1.0, 1.08, 1.16, 1.25),
        min_length=1,
        description="resampling factors, drawn at random",
    )
    mix: float = Field(0.75, ge=0.0, le=1.0, description="share of the batch that is mixed between two clips")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    mask_frames: int = Field(16, ge=0, description="longest time mask, frames")
    mask_bands: int = Field(8, ge=0, description="widest frequency mask, bands")
    gain_db: float = Field(6.0, ge=0.0, description="random gain, plus or minus")
    equaliser_db: float = Field(6.0, ge=0.0, description="random 5-knot equaliser, plus or minus")


class DecisionSpec(_Section):
    """How window scores become one decision for a clip; integers only, the same in Python and C."""

    vote: Literal["mean", "energy"] = Field(
        "energy", description="mean: every window counts the same; energy: weighted by the window's RMS"
    )
    min_confidence: float = Field(0.0, ge=0.0, le=1.0, description="below this the decision is 'unknown'")


class Recipe(_Section):
    """A whole recipe, as read from TOML."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    dataset: DatasetSpec = DatasetSpec()
    frontend: FrontendSpec = FrontendSpec()
    normalization: Normalization = Normalization()
    window: WindowSpec = WindowSpec()
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    decision: DecisionSpec = DecisionSpec()

    @property
    def window_samples(self) -> int:
        """Samples that one window covers."""
        return self.frontend.samples(self.window.frames)


def explain(error: ValidationError) -> str:
    """Everything pydantic found, on one line: `section.key: reason; …`."""
    found = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = "unknown key"
        found.append(f"{where}: {what}" if where else what)
    return "; ".join(found)


def load_recipe(path: Path) -> Recipe:
    """Read and validate a recipe; raises `RecipeError` naming every problem at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"cannot read the recipe {path}: {error}", hint="give the path of a recipe.toml"
        ) from error
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not TOML: {error}", hint="correct that line") from error
    except ValidationError as error:
        raise RecipeError(
            f"{path}: {explain(error)}", hint="see docs/recipe.md for the keys and their ranges"
        ) from error
