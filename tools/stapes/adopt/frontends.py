"""Where an outside network's front end is told: by a name, by a file, by single keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stapes.adopt.torchaudio import TABLES, from_torchaudio
from stapes.errors import RecipeError
from stapes.files import read_file
from stapes.recipe import MICRO, Bundle, FrontendSpec, Recipe
from stapes.recipe.recipe import Normalization, explain

_MOST_BYTES = 1 << 20

_PLAIN = {"mean": 0.0, "std": 1.0}
"""The network's input takes the features as they are, unless something else is said."""

NAMED: dict[str, dict[str, dict[str, Any]]] = {
    "yamnet": {
        "frontend": {
            "sample_rate": 16000,
            "frame_length": 400,
            "hop_length": 160,
            "n_fft": 512,
            "spectrum": "magnitude",
            "n_mels": 64,
            "mel_scale": "htk",
            "mel_norm": "none",
            "mel_lines": "mel",
            "fmin": 125.0,
            "fmax": 7500.0,
            "log": "ln",
            "log_floor": 1e-3,
        },
        "window": {"hop_frames": 48},
    },
    "microfrontend": {"frontend": {**MICRO, "hop_length": 160, "micro": True}},
    "kws": {
        "frontend": {
            "sample_rate": 16000,
            "frame_length": 480,
            "hop_length": 320,
            "n_fft": 512,
            "spectrum": "magnitude",
            "n_mels": 40,
            "mel_scale": "htk",
            "mel_norm": "none",
            "mel_lines": "mel",
            "fmin": 20.0,
            "fmax": 4000.0,
            "log": "ln",
            "log_floor": 1e-6,
            "n_mfcc": 10,
            "dct_norm": "tf",
        },
    },
}
"""yamnet: AudioSet's YAMNet and VGGish-like networks. kws: the keyword network of MLPerf Tiny. microfrontend: the micro
front end of TensorFlow Lite Micro, as microWakeWord has it.
"""

_KNOWN = {
    "kws": "kws: training scaled every clip so that its largest sample is 1, which a device that listens cannot do: "
    "quiet sounds stay quiet; record at a level that uses the range",
}

_OF_A_RECIPE = ("name", "model", "training", "budget")
"""What a whole recipe has besides the sections below."""

_SECTIONS = ("frontend", "normalization", "window", "decision", "live", "dataset")


@dataclass(frozen=True)
class Settings:
    """What was told: sections as a recipe has them, and what the user should know about them."""

    source: str
    sections: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    def with_default(self, section: str, key: str, value: Any) -> Settings:
        """The same with one key more, where it says nothing of it."""
        known = self.sections.get(section, {})
        return replace(self, sections={**self.sections, section: {key: value, **known}})

    def recipe(self, name: str, frames: int, hop_frames: int | None = None) -> Recipe:
        """The recipe of a network with windows of `frames`; raises `RecipeError` that names every problem."""
        sections = {key: dict(value) for key, value in self.sections.items()}
        sections["normalization"] = {**_PLAIN, **sections.get("normalization", {})}
        hop = {} if hop_frames is None else {"hop_frames": hop_frames}
        window = sections.get("window", {})
        if window.get("frames", frames) != frames:
            raise RecipeError(
                f"{self.source}: window.frames = {window['frames']}, the network takes {frames}",
                hint=f"leave it out, or set it to {frames}",
            )
        sections["window"] = {**hop, **window, "frames": frames}
        try:
            return Recipe.model_validate({"name": name, **sections, "model": {"architecture": "imported"}})
        except ValidationError as error:
            raise RecipeError(
                f"{self.source}: {explain(error)}", hint="see docs/import.md and docs/recipe.md"
            ) from error

    @property
    def frontend(self) -> FrontendSpec:
        """The front end alone."""
        window = self.sections.get("window", {})
        return self.recipe("network", window.get("frames", 1)).frontend


def read_settings(frontend: str, changes: Sequence[str] = ()) -> Settings:
    """What `frontend` says (a name, or the path of a TOML file), with single keys changed: `n_mels=64`,
    `normalization.mean=-8.0`. A key without a section is one of the front end's.

    A file has the sections of a recipe, or torchaudio's transforms as tables. Raises `RecipeError`.
    """
    if frontend in NAMED:
        sections: dict[str, dict[str, Any]] = {key: dict(value) for key, value in NAMED[frontend].items()}
        notes: list[str] = [_KNOWN[frontend]] if frontend in _KNOWN else []
    elif frontend:
        sections, notes = _of_file(Path(frontend))
    else:
        sections, notes = {}, []
    for change in changes:
        section, key, value = _change(change)
        sections.setdefault(section, {})[key] = value
    return Settings(frontend or "--set", sections, tuple(notes))


def bundle_settings(bundle: Bundle, changes: Sequence[str] = ()) -> Settings:
    """What a bundle says of its features, its windows and its events, with single keys changed."""
    manifest = bundle.manifest
    parts = {
        "frontend": manifest.frontend,
        "normalization": manifest.normalization,
        "window": manifest.window,
        "decision": manifest.decision,
    }
    sections = {name: part.model_dump(exclude_none=True) for name, part in parts.items()}
    for change in changes:
        section, key, value = _change(change)
        sections.setdefault(section, {})[key] = value
    return Settings(str(bundle.directory), sections)


def _of_file(path: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    try:
        read = tomllib.loads(read_file(path, _MOST_BYTES).decode("utf-8"))
    except OSError as error:
        known = ", ".join(NAMED)
        raise RecipeError(
            f"--frontend {path}: neither the name of a front end ({known}) nor a file that can be read",
            hint="give one of the names, or a TOML file as docs/import.md says",
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"{path} is not TOML: {error}", hint="correct that line") from error
    # A whole recipe is a file of settings too; how another network was trained does not matter.
    sections = {key: value for key, value in read.items() if key in _SECTIONS}
    tables = {key: value for key, value in read.items() if key in TABLES}
    unknown = [key for key in read if key not in (*_SECTIONS, *TABLES, *_OF_A_RECIPE)]
    wrong = [key for key, value in {**sections, **tables}.items() if not isinstance(value, dict)]
    if unknown or wrong:
        raise RecipeError(
            f"{path}: {', '.join(unknown + wrong)}: no section that is known here",
            hint=f"the sections are {', '.join(_SECTIONS)}, torchaudio's {', '.join(TABLES)}",
        )
    if not tables:
        if any(key in read for key in _OF_A_RECIPE):
            # What a recipe leaves out is what it means when `stapes train` reads it.
            sections["normalization"] = {**Normalization().model_dump(), **sections.get("normalization", {})}
        return sections, []
    if "frontend" in sections:
        raise RecipeError(
            f"{path}: both [frontend] and torchaudio's [{next(iter(tables))}]", hint="leave one of them out"
        )
    try:
        frontend, scale, offset, notes = from_torchaudio(tables)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.message}", hint=error.hint) from error
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise RecipeError(
            f"{path}: a value is of another type: {error}", hint="see docs/import.md"
        ) from error
    normalization = {**_PLAIN, **sections.get("normalization", {})}
    try:
        mean, std = float(normalization["mean"]), float(normalization["std"])
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"{path}: normalization: mean and std are numbers", hint="one of each for all bands"
        ) from error
    return (
        sections
        | {"frontend": frontend, "normalization": {"mean": (mean - offset) / scale, "std": std / scale}},
        notes,
    )


def _change(text: str) -> tuple[str, str, Any]:
    """Section, key and value of `section.key=value`."""
    name, equals, value = text.partition("=")
    section, _, key = name.strip().rpartition(".")
    section = section or "frontend"
    if not equals or section not in _SECTIONS:
        raise RecipeError(
            f"--set {text}: not KEY=VALUE of {', '.join(_SECTIONS)}",
            hint="as in --set normalization.mean=-8.0",
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return section, key, parsed
