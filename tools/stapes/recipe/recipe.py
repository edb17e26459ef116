"""The recipe: what the user asked for, typed and validated in one place."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from stapes.errors import RecipeError
from stapes.files import read_file
from stapes.recipe.frontend import FrontendSpec
from stapes.recipe.live import LiveSpec
from stapes.recipe.names import Name
from stapes.recipe.section import Section
from stapes.recipe.votes import VOTES

NOTHING = "nothing"
"""The label that docs/own-sounds.md gives to what is none of the others."""


class DatasetSpec(Section):
    """Where clips come from and how they are divided. The layouts are described in docs/datasets.md."""

    later = frozenset(
        {
            "labels",
            "other",
            "other_share",
            "folds",
            "split",
            "cut_seconds",
            "pad_seconds",
            "skip_folds",
            "credits",
        }
    )

    kind: Literal["esc50", "urbansound8k", "speech_commands", "folders", "csv", "audacity", "synthetic"] = (
        Field("esc50", description="layout of the data directory; synthetic: sounds made by arithmetic")
    )
    subset: Literal["esc10", "all"] = Field("esc10", description="of esc50: the clips marked `esc10`, or all")
    labels: tuple[str, ...] = Field((), strict=False, description="the classes; empty: every label there is")
    other: str = Field("", description="class of the clips with any other label; empty: they are left out")
    other_share: float = Field(
        1.0,
        gt=0.0,
        le=100.0,
        description="of each fold: most clips of `other`, as a share of the clips of `labels`",
    )
    folds: int = Field(5, ge=2, le=20, description="of folders, csv and audacity: into how many to divide")
    split: Literal["recording", "time"] = Field(
        "recording",
        description="what stays in one fold: a whole recording, or only neighbours in time (optimistic figures)",
    )
    cut_seconds: float = Field(
        0.0,
        ge=0.0,
        le=3600.0,
        description="of folders, csv and audacity: longer clips are cut into pieces of about this; 0: never",
    )
    pad_seconds: float = Field(
        0.0,
        ge=0.0,
        le=60.0,
        description="shorter clips are heard in the middle of this much silence; 0: never",
    )
    skip_folds: tuple[int, ...] = Field(
        (), strict=False, description="folds that are neither trained on nor tested with"
    )
    test_fold: int = Field(1, ge=1, le=20, description="the fold that model.tflite was never trained on")
    credits: str = Field(
        "",
        max_length=1000,
        description="of folders, csv and audacity, for the model card: whose recordings they are, under which licence",
    )

    def other_of(self, labels: Collection[str]) -> str:
        """Which of the classes `labels` means none of the others: `other`, else `nothing`; empty where none does."""
        return self.other or (NOTHING if NOTHING in labels else "")

    @field_validator("labels", "other", mode="after")
    @classmethod
    def _composed(cls, value: Any) -> Any:
        # As the labels of recordings are: what looks the same is the same.
        def nfc(label: str) -> str:
            return unicodedata.normalize("NFC", label)

        return nfc(value) if isinstance(value, str) else tuple(map(nfc, value))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.test_fold in self.skip_folds:
            raise ValueError(f"test_fold = {self.test_fold} is one of skip_folds")
        if len(set(self.labels)) != len(self.labels) or not all(self.labels):
            raise ValueError("labels holds an empty or a repeated label")
        if self.other and not self.labels:
            raise ValueError(
                f"other = {self.other!r} needs labels: the others are those that labels does not name"
            )
        if self.other in self.labels:
            raise ValueError(f"other = {self.other!r} is one of labels")
        return self


class Normalization(Section):
    """Fixed normalisation: the network sees `(log_mel - mean) / std`, in the log unit of the front end.

    Two constants, chosen by hand and not fitted to recordings: no fold learns of another through them.
    """

    mean: float = Field(-8.0, description="subtracted from the log-mel features")
    std: float = Field(4.0, gt=0.0, description="what they are divided by then")


class WindowSpec(Section):
    """The piece of a clip that the network sees at once, in front-end frames."""

    later = frozenset({"stateful"})

    frames: int = Field(124, ge=1, le=4096, description="frames that the network sees")
    hop_frames: int = Field(31, ge=1, le=4096, description="frames between the starts of two windows")
    stateful: bool = Field(
        False,
        description="of a network with state, such as a streaming wake word: it goes on from the window before "
        "(hop_frames = frames); else every window begins anew",
    )

    @model_validator(mode="after")
    def _contiguous(self) -> Self:
        if self.stateful and self.hop_frames != self.frames:
            raise ValueError(
                f"stateful windows follow each other without gap or overlap: hop_frames = {self.hop_frames} is not "
                f"frames = {self.frames}"
            )
        return self


_PADDED = {
    "res_ds_cnn": "adds maps of equal size",
    "bc_resnet": "adds maps of equal size",
    "crnn": "begins every window with an empty state, so windows cannot share rows",
}


_CONVOLUTIONAL = ("plain_cnn", "ds_cnn", "res_ds_cnn", "bc_resnet")


class ModelSpec(Section):
    """Which network, and how large."""

    later = frozenset({"frequency", "pooling"})

    architecture: Literal[
        "plain_cnn", "ds_cnn", "res_ds_cnn", "bc_resnet", "crnn", "forest", "dense", "imported"
    ] = Field(
        "plain_cnn",
        description="what follows the first 3x3 convolution: 3x3 convolutions; depthwise and pointwise ones; these "
        "with residuals; broadcasted residuals; 3x3 convolutions and a recurrent layer (crnn). Or a forest: decision "
        "trees on statistics of the bands, no network; with `--backbone`, on its embeddings. dense: one dense layer on "
        "the embeddings of `--backbone`. imported: a network that `stapes import` brought, nothing to train",
    )
    filters: tuple[int, ...] = Field((16, 24, 48, 64, 96), strict=False, description="channels of each layer")
    strides: tuple[int, ...] = Field(
        (2, 2, 2, 1, 2), strict=False, description="stride of each layer, in both directions"
    )
    time_padding: Literal["same", "valid"] = Field(
        "same",
        description="same: zeros before the first and after the last frame; valid: none, so that windows which "
        "follow each other can share their rows",
    )
    dropout: float = Field(0.3, ge=0.0, lt=1.0, description="share of values dropped before the dense layer")
    frequency: Literal["mean", "conv"] = Field(
        "mean",
        description="what ends the frequency axis: the mean over the bands that remain, or a convolution over all of "
        "them, which knows where in frequency energy lies (words). crnn sees all bands by itself",
    )
    pooling: Literal["mean_max", "attention"] = Field(
        "mean_max",
        description="what ends the time axis: mean and maximum over the rows; or their mean weighted by a softmax over "
        "time of learned scores, which needs all rows, so that windows share none. crnn ends it by itself",
    )
    recurrent: Literal["lstm", "gru"] = Field(
        "lstm",
        description="of crnn: lstm, one layer of the device whatever the window; gru: its steps one after the other",
    )
    units: int = Field(32, ge=1, le=1024, description="of crnn: values of the recurrent layer's state")
    scores: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="softmax: one of the classes; sigmoid: each class by itself (tagging)"
    )
    trees: int = Field(50, ge=1, le=1000, description="of a forest")
    min_samples_leaf: int = Field(
        20, ge=1, description="of a forest: fewest training windows at a leaf; more make a smaller forest"
    )
    head_c: float = Field(
        0.01,
        gt=0.0,
        le=1e6,
        description="of dense: scikit-learn's C, the inverse strength of the regularisation",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(self.filters) != len(self.strides) or not self.filters:
            raise ValueError(
                f"filters has {len(self.filters)} entries and strides {len(self.strides)}: give one of each per layer"
            )
        if min(self.filters) < 1 or min(self.strides) < 1:
            raise ValueError("filters and strides must be at least 1")
        if self.time_padding == "valid" and self.architecture in _PADDED:
            raise ValueError(
                f'time_padding = "valid" is for plain_cnn and ds_cnn: {self.architecture} {_PADDED[self.architecture]}'
            )
        if self.frequency != "mean" and self.architecture not in _CONVOLUTIONAL:
            raise ValueError(
                f'frequency = "{self.frequency}" is for {", ".join(_CONVOLUTIONAL)}, not for {self.architecture}'
            )
        if self.pooling != "mean_max" and self.architecture not in _CONVOLUTIONAL:
            raise ValueError(
                f'pooling = "{self.pooling}" is for {", ".join(_CONVOLUTIONAL)}, not for {self.architecture}'
            )
        if self.pooling == "attention" and self.time_padding == "valid":
            raise ValueError(
                'time_padding = "valid" is for windows that share rows: pooling = "attention" needs all rows'
            )
        return self

    def unused(self) -> frozenset[str]:
        """A network has no trees; a head, and a network from elsewhere, no layers; most have no recurrent one."""
        trees, head, state = {"trees", "min_samples_leaf"}, {"head_c"}, {"recurrent", "units"}
        layers = {"filters", "strides", "time_padding", "dropout", "scores"}
        found = {
            "crnn": trees | head,
            "forest": head | state,
            "dense": trees | layers | state,
            "imported": trees | layers | head | state,
        }
        return super().unused() | found.get(self.architecture, trees | head | state)


class TrainingSpec(Section):
    """The optimiser's schedule and the augmentation."""

    later = frozenset(
        {
            "optimizer",
            "silence",
            "whole",
            "silent",
            "noise_sampled",
            "bag",
            "teachers",
            "distill",
            "temperature",
            "quantize_steps",
            "weights",
        }
    )

    steps: int = Field(2400, ge=1, description="batches")
    batch: int = Field(64, ge=1, description="windows in a batch")
    bag: int = Field(
        1,
        ge=1,
        le=64,
        description="windows of one clip that are judged together, as the device decides a clip; 1: each by itself",
    )
    learning_rate: float = Field(3e-3, gt=0.0, description="the highest; it falls to 0 along half a cosine")
    warmup_steps: int = Field(50, ge=0, description="steps in which it rises")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="muon: orthogonal steps for convolution kernels (fewer do; give weight_decay about 0.5), Adam for "
        "the rest",
    )
    weight_decay: float = Field(
        0.02, ge=0.0, description="times the learning rate: share that a step takes off"
    )
    seed: int = Field(1, ge=0, le=1_000_000, description="of everything random")
    speeds: tuple[Annotated[float, Field(ge=0.5, le=2.0)], ...] = Field(
        (0.8, 0.87, 0.93, 1.0, 1.08, 1.16, 1.25),
        min_length=1,
        strict=False,
        description="resampling factors, drawn at random",
    )
    stretch: float = Field(
        0.0, ge=0.0, le=0.5, description="random tempo at the same pitch: up to this share slower or faster"
    )
    shift_bands: float = Field(
        0.0, ge=0.0, le=16.0, description="random pitch at the same tempo: up to this many bands up or down"
    )
    noise: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the batch that gets noise of a random colour"
    )
    noise_sampled: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="share of the batch that gets a random piece of a recording of `--noise DIR`",
    )
    noise_snr_db: tuple[float, float] = Field(
        (0.0, 30.0), strict=False, description="least and greatest distance of that noise below the sound"
    )
    silence: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="share of windows of which only a random piece is left between digital silence",
    )
    whole: bool = Field(
        False,
        description="a sound between digital silence that fits into the window is heard whole, at a random place; "
        "false: windows go round, so that it may be heard in two halves",
    )
    silent: float = Field(
        0.05,
        ge=0.0,
        le=0.5,
        description="of tagging: share of the training windows that are digital silence, in which nothing sounds",
    )
    class_weights: bool = Field(False, description="rare classes count more, so that all count the same")
    mix: float = Field(0.75, ge=0.0, le=1.0, description="share of the batch that is mixed between two clips")
    start: str = Field(
        "",
        pattern=r"^([a-z0-9_-]+\.(toml|tflite))?$",
        description="what lies beside this recipe and training begins with: a recipe, which is trained first, or an "
        "outside network (.tflite), whose first layers are taken",
    )
    freeze: bool = Field(
        False,
        description="train the dense layer only; the network in front of it is that of `start` or `--from`",
    )
    teachers: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_-]+\.toml$")], ...] = Field(
        (),
        strict=False,
        description="recipes beside this one that are trained first; the network learns from their answers",
    )
    distill: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="with teachers: weight of their answers in the loss; the rest is the labels'",
    )
    temperature: float = Field(
        2.0,
        gt=0.0,
        le=100.0,
        description="with teachers: what all logits are divided by before they are compared",
    )
    quantize_steps: int = Field(
        0,
        ge=0,
        description="the last so many steps are trained with weights and activations rounded as in the int8 network",
    )
    weights: Literal["int8", "int4"] = Field(
        "int8",
        description="int4: four bits, half the flash, for the largest layers, which hold most weights",
    )
    average: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="decay a step of the running average of the weights that becomes the network; 0: the last weights",
    )
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="share of a label given to all classes")
    mask_frames: int = Field(16, ge=0, description="longest time mask, frames")
    mask_bands: int = Field(8, ge=0, description="widest frequency mask, bands")
    gain_db: float = Field(6.0, ge=0.0, le=60.0, description="random gain, plus or minus")
    equaliser_db: float = Field(6.0, ge=0.0, le=60.0, description="random 5-knot equaliser, plus or minus")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(set(self.teachers)) != len(self.teachers):
            raise ValueError("teachers holds a repeated recipe")
        if self.batch % self.bag:
            raise ValueError(f"batch = {self.batch} is not a multiple of bag = {self.bag}")
        if self.quantize_steps > self.steps:
            raise ValueError(f"quantize_steps = {self.quantize_steps} is more than steps = {self.steps}")
        return self


if TYPE_CHECKING:
    Vote = str
else:
    Vote = Literal[tuple(VOTES)]


class DecisionSpec(Section):
    """How window scores become one decision for a clip; integers only, the same in Python and C."""

    vote: Vote = Field(
        "energy", description="; ".join(f"{vote.name}: {vote.text}" for vote in VOTES.values())
    )
    min_confidence: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="below this score in the vote (of a majority the share of the windows) the decision is 'unknown'",
    )


_SIZE = r"^[1-9][0-9]* (B|KiB|MiB)$"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}


class BudgetSpec(Section):
    """What the firmware may cost, checked before training; what is not given is not limited.

    The whole application counts: start-up, front end, network, link and stack.
    """

    board: str = Field("stm32f4_discovery", description="the board's folder that is built to find out")
    flash: str | None = Field(None, pattern=_SIZE, description='most code and constants, as in `"256 KiB"`')
    ram: str | None = Field(None, pattern=_SIZE, description="most static data and stack")
    cpu: float | None = Field(
        None, gt=0.0, le=1.0, description="largest share of the clock while classifying live"
    )
    clock_mhz: float = Field(
        80.0, gt=0.0, le=2000.0, description="the clock, one instruction a cycle assumed"
    )

    @property
    def flash_bytes(self) -> int | None:
        """`flash` as a number."""
        return _bytes(self.flash)

    @property
    def ram_bytes(self) -> int | None:
        """`ram` as a number."""
        return _bytes(self.ram)

    @property
    def instructions_per_second(self) -> float | None:
        """What `cpu` of the clock can execute."""
        return None if self.cpu is None else self.cpu * self.clock_mhz * 1e6


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    number, unit = size.split()
    return int(number) * _UNITS[unit]


class Recipe(Section):
    """A whole recipe, as read from TOML."""

    later = frozenset({"live", "budget"})

    name: Name = Field(description="of the bundle")
    dataset: DatasetSpec = DatasetSpec()
    frontend: FrontendSpec = FrontendSpec()
    normalization: Normalization = Normalization()
    window: WindowSpec = WindowSpec()
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    decision: DecisionSpec = DecisionSpec()
    live: LiveSpec = LiveSpec()
    budget: BudgetSpec = BudgetSpec()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model.architecture == "forest":
            if self.training.teachers:
                raise ValueError("training.teachers: a forest learns from no teachers")
            if self.training.bag > 1:
                raise ValueError("training.bag: a forest learns from single windows")
        if self.training.quantize_steps and self.model.architecture not in ("plain_cnn", "ds_cnn"):
            raise ValueError(
                f"training.quantize_steps is for plain_cnn and ds_cnn, not for {self.model.architecture}"
            )
        if self.training.quantize_steps and self.model.pooling == "attention":
            raise ValueError('training.quantize_steps is not for pooling = "attention"')
        if self.training.weights == "int4" and self.model.architecture not in _CONVOLUTIONAL:
            raise ValueError(
                f'training.weights = "int4" is for {", ".join(_CONVOLUTIONAL)}, not for {self.model.architecture}'
            )
        return self

    @property
    def tagging(self) -> bool:
        """Whether each class is judged by itself: several may sound at a time, or none."""
        if self.model.architecture == "imported":
            return self.live.multi_label
        return self.model.scores == "sigmoid" and self.model.architecture not in ("forest", "dense")

    @property
    def window_samples(self) -> int:
        """Samples that one window covers."""
        return self.frontend.samples(self.window.frames)


_MOST_FOUND = 12
_MOST_BYTES = 1 << 20


def explain(error: ValidationError) -> str:
    """What pydantic found, on one line: `section.key: reason; …`."""
    found = []
    for item in error.errors(include_url=False)[:_MOST_FOUND]:
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = "unknown key"
        found.append(f"{where}: {what}" if where else what)
    more = error.error_count() - _MOST_FOUND
    return "; ".join(found) + (f"; and {more} more" if more > 0 else "")


def load_recipe(path: Path) -> Recipe:
    """Read and validate a recipe; raises `RecipeError` naming every problem at once."""
    try:
        text = read_file(path, _MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        inside = path / "recipe.toml"
        hint = f"give {inside}" if inside.is_file() else "give the path of a recipe.toml"
        raise RecipeError(f"cannot read the recipe {path}: {reason}", hint=hint) from error
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"{path} is not TOML: {error}", hint="correct that line") from error
    except ValidationError as error:
        raise RecipeError(
            f"{path}: {explain(error)}", hint="see docs/recipe.md for the keys and their ranges"
        ) from error
