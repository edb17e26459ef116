"""A bundle: the directory that holds everything needed after training.

    recipe.toml      what was asked for
    model.tflite     the full-int8 network
    bundle.json      labels, front end, decision, window, and the SHA-256 of the files beside it
    metrics.json     accuracies (may be absent in a bundle made by hand)
    MODEL_CARD.md    the same for people

`bundle.json` alone says what the device must do; nothing after training reads recipe.toml.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from stapes.errors import BundleError
from stapes.files import canonical_json, sha256, write_atomic, write_json
from stapes.recipe.frontend import FrontendSpec
from stapes.recipe.live import LiveSpec
from stapes.recipe.recipe import DecisionSpec, Normalization, WindowSpec, explain

FORMAT = 1


class BundleManifest(BaseModel):
    """The content of bundle.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    name: str
    labels: tuple[str, ...]
    frontend: FrontendSpec
    normalization: Normalization
    window: WindowSpec
    decision: DecisionSpec
    live: LiveSpec = LiveSpec()
    files: dict[str, str] = Field(default_factory=dict, description="name: SHA-256")

    @model_validator(mode="after")
    def _known_labels(self) -> Self:
        unknown = self.live.unknown_labels(self.labels)
        if unknown:
            raise ValueError(f"live names {', '.join(unknown)}: not among the labels")
        return self

    @model_serializer(mode="wrap")
    def _without_live_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Hashes of bundles that say nothing about listening stay.
        value: dict[str, Any] = handler(self)
        return value if self.live != LiveSpec() else {k: v for k, v in value.items() if k != "live"}


class Bundle:
    """A bundle on disk, checked when it is loaded."""

    def __init__(self, directory: Path, manifest: BundleManifest, model: bytes) -> None:
        self.directory = directory
        self.manifest = manifest
        self.model = model

    @property
    def hash(self) -> str:
        """Hex SHA-256 of all that the device must do: the manifest and the network, not the figures about them."""
        device = self.manifest.model_dump(mode="json")
        device["files"] = {"model.tflite": sha256(self.model)}
        return sha256(canonical_json(device))

    @classmethod
    def load(cls, directory: Path) -> Bundle:
        """Read a bundle; raises `BundleError` when it is incomplete or its files were changed."""
        path = directory / "bundle.json"
        try:
            manifest = BundleManifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise BundleError(
                f"{directory} is not a bundle: {path.name} is missing", hint="make one with `stapes train`"
            ) from error
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
                content[name] = (directory / name).read_bytes()
            except OSError as error:
                raise BundleError(
                    f"{directory / name} is missing", hint="restore the bundle or train it again"
                ) from error
            if sha256(content[name]) != expected:
                raise BundleError(
                    f"{directory / name} is not the file that {path.name} was written for (SHA-256 differs)",
                    hint="restore the bundle or train it again",
                )
        if "model.tflite" not in content:
            raise BundleError(f"{path}: model.tflite is not listed", hint="train the bundle again")
        return cls(directory, manifest, content["model.tflite"])

    @classmethod
    def save(cls, directory: Path, manifest: BundleManifest, files: dict[str, bytes]) -> Bundle:
        """Write a bundle: the files first, the manifest that vouches for them last."""
        for name, data in files.items():
            write_atomic(directory / name, data)
        hashes = {name: sha256(data) for name, data in sorted(files.items())}
        manifest = manifest.model_copy(update={"files": hashes})
        write_json(directory / "bundle.json", manifest.model_dump(mode="json"))
        return cls(directory, manifest, files["model.tflite"])

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json, or an empty dictionary."""
        try:
            value: dict[str, Any] = json.loads((self.directory / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value
