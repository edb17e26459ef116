"""Regression: a check's figures and bits against those of the last accepted run, kept in one JSON file a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stapes.check.run import CheckReport
from stapes.errors import StapesError
from stapes.files import read_json, safe_name, write_json

FORMAT = 1

FIGURES = {
    "instructions_per_window": "instructions a window",
    "instructions_frontend_per_window": "instructions of the front end a window",
    "cycles_per_window": "cycles a window",
    "flash_bytes": "flash bytes",
    "ram_bytes": "RAM bytes",
    "stack_bytes": "stack bytes",
    "accuracy": "accuracy",
}
"""Compared figures by key of `stapes check --json`; less is better of all but the accuracy."""

TOLERANCES = {key: 1.0 for key in FIGURES} | {"accuracy": 0.0}
"""Percent of the baseline's figure; of the accuracy, percentage points. Bits have none."""

STAGES = ("features", "layers", "scores", "decisions")


class Clips(BaseModel):
    """Which clips the figures are of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    hash: str


class Baseline(BaseModel):
    """The content of a baseline file. A person may edit the tolerances; an update keeps them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    bundle: str
    bundle_hash: str
    target: str
    compiler: str | None
    clips: Clips
    tolerances_percent: dict[str, float] = Field(default_factory=lambda: dict(TOLERANCES))
    figures: dict[str, float | int | None]
    bits: dict[str, str]


@dataclass
class Outcome:
    """One line each: what became worse, and what else a person should know."""

    path: Path
    regressions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The keys that a baseline adds to `stapes check --json`."""
        return {"baseline": str(self.path), "regressions": self.regressions, "baseline_notes": self.notes}


def baseline_path(given: Path, bundle: str, target: str) -> Path:
    """The file itself where `given` ends in .json, else the one for this bundle and target in that directory."""
    return given if given.suffix == ".json" else given / f"{safe_name(bundle)}-{safe_name(target)}.json"


def compiler_of(elf: Path) -> str | None:
    """What the image's `.comment` section says of its compiler."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
        section = ELFFile(stream).get_section_by_name(".comment")
        text: str = section.data().split(b"\0")[0].decode(errors="replace") if section else ""
    return text or None


def measured(report: CheckReport, tolerances: Mapping[str, float] | None = None) -> Baseline:
    """This run as a baseline. The host's program has no sizes worth keeping: no device runs it."""
    value = report.as_json()
    if value["counter"] == "cycles" and value["counts_per_window"] is not None:
        value["cycles_per_window"] = round(value["counts_per_window"])
    on_host = report.target == "host"
    sizes = {"flash_bytes", "ram_bytes", "stack_bytes"}
    return Baseline(
        bundle=report.bundle.manifest.name,
        bundle_hash=report.bundle.hash,
        target=report.target,
        compiler=compiler_of(report.build.elf) if report.build and not on_host else None,
        clips=Clips(count=len(report.results), hash=report.clips_hash),
        tolerances_percent=dict(tolerances or TOLERANCES),
        figures={key: None if on_host and key in sizes else value.get(key) for key in FIGURES},
        bits=report.bits,
    )


def load_baseline(path: Path) -> Baseline:
    """Read a baseline; one clear error when it is missing or is none."""
    try:
        loaded = Baseline.model_validate(read_json(path))
    except FileNotFoundError as error:
        raise StapesError(
            f"there is no baseline {path}", hint="accept this run as the first one with --update-baseline"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise StapesError(
            f"{path} is no baseline: {reason}", hint="restore it, or write it anew with --update-baseline"
        ) from error
    if loaded.format != FORMAT:
        raise StapesError(
            f"{path}: format {loaded.format}, this stapes reads {FORMAT}", hint="use --update-baseline"
        )
    return loaded


def compare_with_baseline(report: CheckReport, given: Path, *, update: bool = False) -> Outcome:
    """Compare a check with the accepted run in `given` (see `baseline_path`), or accept this one with `update`.

    A check that failed or was interrupted is never accepted.
    """
    path = baseline_path(given, report.bundle.manifest.name, report.target)
    if update:
        if not report.passed:
            raise StapesError(
                f"the check on {report.target} did not pass: {path} is left as it was",
                hint="correct it first",
            )
        kept = load_baseline(path).tolerances_percent if path.is_file() else None
        try:
            write_json(path, measured(report, kept).model_dump(mode="json"))
        except OSError as error:
            raise StapesError(
                f"cannot write {path}: {error.strerror}", hint="choose another --baseline FILE"
            ) from error
        return Outcome(path, notes=[f"baseline accepted: {path}"])
    accepted, now = load_baseline(path), measured(report)
    _require_same_subject(path, accepted, now)
    outcome = Outcome(path)
    for stage in STAGES:
        if accepted.bits.get(stage) != now.bits.get(stage):
            outcome.regressions.append(f"{stage}: other bits than the baseline's")
    for key in FIGURES:
        _compare_figure(key, accepted, now, outcome)
    if (outcome.regressions or outcome.notes) and accepted.compiler != now.compiler:
        outcome.notes.append(
            f"built with {now.compiler}, the baseline with {accepted.compiler}: sizes and counts fail nothing"
        )
    return outcome


def _require_same_subject(path: Path, accepted: Baseline, now: Baseline) -> None:
    hint = "compare with its own baseline, or accept this run with --update-baseline"
    for name, of in (("bundle", "bundle_hash"), ("target", "target")):
        was, is_now = getattr(accepted, of), getattr(now, of)
        if was != is_now:
            raise StapesError(f"{path} is of another {name} ({was[:40]}, not {is_now[:40]})", hint=hint)
    if accepted.clips != now.clips:
        raise StapesError(
            f"{path} is of {accepted.clips.count} other clips than these {now.clips.count}",
            hint="give the same --clips and --data, or accept this run with --update-baseline",
        )


def _compare_figure(key: str, accepted: Baseline, now: Baseline, outcome: Outcome) -> None:
    was, value = accepted.figures.get(key), now.figures.get(key)
    name, tolerance = FIGURES[key], accepted.tolerances_percent.get(key, TOLERANCES[key])
    if was is None:
        if value is not None:
            outcome.notes.append(f"{name}: {_text(key, value)}, not in the baseline yet; update the baseline")
        return
    if value is None:
        outcome.regressions.append(f"{name}: not measured, the baseline has {_text(key, was)}")
        return
    if key == "accuracy":
        worse, unit = 100 * (was - value), "points"
    else:
        worse, unit = 100 * (value - was) / was if was else 100.0 * bool(value), "%"
    change = f"{_text(key, was)} -> {_text(key, value)} ({-worse if key == 'accuracy' else worse:+.2f} {unit}"
    if worse > tolerance + 1e-9:
        # Another compiler's code is neither better nor worse than it should be.
        same = key == "accuracy" or accepted.compiler == now.compiler
        (outcome.regressions if same else outcome.notes).append(f"{name}: {change}, tolerance {tolerance:g})")
    elif worse < -max(tolerance, 1e-9):
        outcome.notes.append(f"{name}: {change}); better: update the baseline")


def _text(key: str, value: float) -> str:
    return f"{value:.1%}" if key == "accuracy" else f"{value:,.0f}"
