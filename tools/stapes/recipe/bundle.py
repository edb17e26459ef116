"""A bundle: the directory that holds everything needed after training.

    recipe.toml      what was asked for
    model.tflite     the full-int8 network
    bundle.json      labels, front end, decision, window, and the SHA-256 of the files beside it
    metrics.json     accuracies (may be absent in a bundle made by hand)
    MODEL_CARD.md    the same for people

`bundle.json` alone says what the device must do; after training, recipe.toml only tells how recordings are read.
"""

from __future__ import annotations

import errno
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stapes.errors import BundleError
from stapes.files import canonical_json, json_text, parse_json, read_file, read_json, sha256, write_all
from stapes.recipe.frontend import FrontendSpec
from stapes.recipe.live import LiveSpec
from stapes.recipe.names import FileName, Label, Name
from stapes.recipe.recipe import DecisionSpec, Normalization, WindowSpec, explain
from stapes.recipe.section import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]

FORMAT = 1
_MOST_MANIFEST = 16 << 20


class BundleManifest(Section):
    """The content of bundle.json."""

    later = frozenset({"live"})

    format: int = FORMAT
    name: Name
    labels: Annotated[tuple[Label, ...], Field(min_length=1, strict=False)]
    frontend: FrontendSpec
    normalization: Normalization
    window: WindowSpec
    decision: DecisionSpec
    live: LiveSpec = LiveSpec()
    files: dict[FileName, str] = Field(default_factory=dict, description="name: SHA-256")

    @model_validator(mode="after")
    def _known_labels(self) -> Self:
        unknown = self.live.unknown_labels(self.labels)
        if unknown:
            raise ValueError(f"live names {', '.join(unknown)}: not among the labels")
        twice = sorted(label for label, count in Counter(self.labels).items() if count > 1)
        if twice:
            raise ValueError(f"labels: {', '.join(twice)} more than once")
        return self


class Accuracy(BaseModel):
    """Accuracy over folds, each 0 to 1; `accuracy_sd` is the standard deviation over `per_fold`."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    accuracy_mean: Share
    accuracy_sd: Annotated[float, Field(ge=0.0)]
    per_fold: list[Share]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation over folds, and each fold's figure in the order of the folds."""
    return {
        "accuracy_mean": statistics.fmean(values),
        "accuracy_sd": statistics.pstdev(values),
        "per_fold": [float(value) for value in values],
    }


class Bundle:
    """A bundle on disk, checked when it is loaded."""

    def __init__(self, directory: Path, manifest: BundleManifest, files: Mapping[str, bytes]) -> None:
        self.directory = directory
        self.manifest = manifest
        self.files = dict(files)
        """The content of every file that the manifest lists."""

    @property
    def model(self) -> bytes:
        """The network, a .tflite file."""
        return self.files["model.tflite"]

    @property
    def hash(self) -> str:
        """Hex SHA-256 of all that the device must do: the manifest and the network, not the figures about them."""
        device = self.manifest.model_dump(mode="json")
        device["files"] = {"model.tflite": sha256(self.model)}
        return sha256(canonical_json(device))

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Bundle:
        """Read a bundle; raises `BundleError` when it is incomplete or its files were changed."""
        directory = Path(directory)
        path = directory / "bundle.json"
        try:
            manifest = BundleManifest.model_validate(read_json(path, _MOST_MANIFEST, follow=False))
        except FileNotFoundError as error:
            if not directory.exists():
                raise BundleError(
                    f"{directory}: no such directory", hint="give the directory of a bundle, as models/esc10"
                ) from error
            raise BundleError(
                f"{directory} is not a bundle: {path.name} is missing", hint="make one with `stapes train`"
            ) from error
        except NotADirectoryError as error:
            hint = "give the directory of a bundle, as models/esc10"
            if (directory.parent / path.name).is_file():
                hint = f"give the directory that it lies in, {directory.parent}"
            elif directory.suffix == ".tflite":
                hint = "make a bundle of it with `stapes import`"
            raise BundleError(f"{directory} is not a bundle but a file", hint=hint) from error
        except (OSError, ValueError) as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            raise BundleError(f"{path}: {reason}", hint="restore the bundle or train it again") from error
        if manifest.format != FORMAT:
            raise BundleError(
                f"{path}: format {manifest.format}, this stapes reads {FORMAT}",
                hint="use the stapes that made it",
            )
        content: dict[str, bytes] = {}
        for name, expected in manifest.files.items():
            try:
                content[name] = _read(directory, name)
            except FileNotFoundError as error:
                raise BundleError(
                    f"{directory / name} is missing", hint="restore the bundle or train it again"
                ) from error
            except OSError as error:
                raise BundleError(
                    f"{directory / name}: {error.strerror}", hint="restore the bundle or train it again"
                ) from error
            if sha256(content[name]) != expected:
                raise BundleError(
                    f"{directory / name} is not the file that {path.name} was written for (SHA-256 differs)",
                    hint="restore the bundle or train it again",
                )
        if "model.tflite" not in content:
            raise BundleError(f"{path}: model.tflite is not listed", hint="train the bundle again")
        return cls(directory, manifest, content)

    @classmethod
    def save(cls, directory: Path, manifest: BundleManifest, files: dict[str, bytes]) -> Bundle:
        """Write a bundle: the files first, the manifest that vouches for them last."""
        hashes = {name: sha256(data) for name, data in sorted(files.items())}
        manifest = manifest.model_copy(update={"files": hashes})
        write_all(directory, {**files, "bundle.json": json_text(manifest.model_dump(mode="json"))})
        return cls(directory, manifest, files)

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json, or an empty dictionary where the bundle has none. Raises `BundleError`."""
        if "metrics.json" not in self.files:
            return {}
        try:
            value = parse_json(self.files["metrics.json"])
        except ValueError as error:
            raise self._bad_metrics(str(error)) from error
        if not isinstance(value, dict):
            raise self._bad_metrics("not an object")
        return value

    def accuracy(self, kind: str) -> Accuracy | None:
        """Figures of metrics.json: `kind` is float, int8 or firmware. None where there are none."""
        value = self.metrics().get(kind)
        try:
            return None if value is None else Accuracy.model_validate(value)
        except ValidationError as error:
            raise self._bad_metrics(f"{kind}.{explain(error)}") from error

    def _bad_metrics(self, reason: str) -> BundleError:
        return BundleError(
            f"{self.directory / 'metrics.json'}: {reason}", hint="restore the bundle or train it again"
        )


def _read(directory: Path, name: str) -> bytes:
    """A file of a bundle; nothing on the way to it may be a link."""
    for parent in Path(name).parents[:-1]:
        if (directory / parent).is_symlink():
            raise OSError(errno.ELOOP, f"{parent} is a link")
    return read_file(directory / name, follow=False)
