"""One self-contained HTML page of any number of results: no script, no other file, nothing from a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from stapes.compiler.plan import Region
from stapes.report.evaluation import columns_of
from stapes.report.heard import Heard
from stapes.report.memory_map import memory_svg
from stapes.report.picture import DIVERGING, HEAT, data_uri
from stapes.report.results import Result, result_kind
from stapes.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

FIGURES = (
    ("instructions_per_window", "instructions a window, network"),
    ("instructions_frontend_per_window", "instructions a window, front end"),
    ("flash_bytes", "flash, bytes"),
    ("ram_bytes", "RAM, bytes"),
    ("stack_bytes", "stack at most, bytes"),
    ("stack_high_water", "stack seen, bytes"),
    ("arena_bytes", "arena of the network, bytes"),
)
"""Keys of `stapes check --json`; 0 is what could not be measured."""


@dataclass(frozen=True)
class Arena:
    """The memory map of a check, as `memory_svg` wants it."""

    name: str
    arena_bytes: int
    events: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Confusion:
    """Counts [true][predicted], with the names of both; `columns` may end with "unknown"."""

    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]

    def shade(self, row: int, column: int) -> int:
        """Percent of the row."""
        total = sum(self.counts[row])
        return round(100 * self.counts[row][column] / total) if total else 0


def html_report(
    results: Iterable[Result],
    heard: Mapping[str, Heard] | None = None,
    *,
    missing: Sequence[tuple[str, str]] = (),
) -> str:
    """The page for results of `stapes check`, `compare`, `evaluate` and `frontend parity`, in any mixture.

    `heard` are pictures and sounds of clips by name: those that were checked, or that an evaluation found wrong.
    `missing` names what has no result, and why: with any, the page says that all together failed.
    """
    kinds: dict[str, list[Result]] = {"check": [], "evaluate": [], "parity": []}
    for result in results:
        kind = result_kind(result)
        if kind == "compare":
            kinds["check"] += result["targets"]
        elif kind is not None:
            kinds[kind].append(result)
    checks, heard = kinds["check"], heard or {}
    named = [result["bundle"] for result in (*checks, *kinds["evaluate"]) if "bundle" in result]
    names = list(dict.fromkeys(named))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=", ".join(names) or ("boards" if missing else "front end and accuracy"),
            version=__version__,
            checks=[_check(check) for check in checks],
            passed=all(check["passed"] for check in checks) and not missing,
            missing=missing,
            figures=[(title, [check[key] or None for check in checks]) for key, title in FIGURES],
            cycles=_cycles(checks),
            arenas=_arenas(checks),
            evaluations=[(value, columns_of(value), _evaluated(value)) for value in kinds["evaluate"]],
            heard=heard,
            seen=_seen(heard, checks),
            silent=any(not clip.sound for clip in heard.values()),
            parities=[_parity(value) for value in kinds["parity"]],
        )
    )


@dataclass(frozen=True)
class _Said:
    """What a target said of a clip; `target` is empty where all targets said the same."""

    target: str
    prediction: str
    confidence: float
    wrong: bool


@dataclass(frozen=True)
class _Seen:
    """A clip of checks, for the caption of its picture."""

    name: str
    label: str | None
    said: Sequence[_Said]
    as_drawn: bool
    """Every target's features equal Python's, of which the picture is."""


def _seen(heard: Mapping[str, Heard], checks: Sequence[Result]) -> list[_Seen]:
    by_name = [{row["clip"]: row for row in check["results"]} for check in checks]
    seen = []
    for name in heard:
        rows = [(check, rows[name]) for check, rows in zip(checks, by_name, strict=True) if name in rows]
        if not rows:
            continue
        said = [
            _Said(
                check["target"],
                row["prediction"],
                row["confidence"],
                wrong=check["source"] != "synthetic" and row["prediction"] != row["label"],
            )
            for check, row in rows
        ]
        if len({replace(each, target="") for each in said}) == 1:
            said = [replace(said[0], target="")]
        seen.append(_Seen(name, rows[0][1]["label"], said, all(row["features_equal"] for _, row in rows)))
    return seen


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stapes.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:,.0f}"
    environment.filters["percent"] = lambda value: "–" if value is None else f"{value:.1%}"
    return environment


def _check(check: Result) -> dict[str, Any]:
    """What the template shows of one check besides its own keys."""
    layers = check["layers"]
    return {
        "value": check,
        "layers": [
            {
                **layer,
                "short": "/".join(layer["name"].split(";")[0].split("/")[-2:]),
                "count_share": _share(layer["count"], [other["count"] for other in layers]),
                "macs_share": _share(layer["macs"], [other["macs"] for other in layers]),
            }
            for layer in layers
        ],
        "confusion": _confusion(check),
        "example": _example(check["example"]),
    }


def _share(value: float | None, everyone: Sequence[float | None]) -> float:
    """Percent of the largest."""
    largest = max((other for other in everyone if other), default=0)
    return round(100 * value / largest, 2) if value and largest else 0.0


def _confusion(check: Result) -> Confusion:
    results, labels = check["results"], check["labels"]
    columns = [*labels, *(["unknown"] if any(r["prediction"] == "unknown" for r in results) else [])]
    rows = [label for label in labels if any(r["label"] == label for r in results)]
    counts = [
        [sum(r["label"] == row and r["prediction"] == column for r in results) for column in columns]
        for row in rows
    ]
    return Confusion(rows, columns, counts)


def _evaluated(value: Result) -> Confusion | None:
    """None of tags: a clip has several, or none."""
    labels, counts = value["labels"], value["firmware"].get("confusion")
    if counts is None:
        return None
    return Confusion(labels[: len(counts)], labels, counts)


def _example(example: Result | None) -> dict[str, Any] | None:
    if example is None:
        return None
    expected, got = (
        np.frombuffer(base64.b64decode(example[key]), np.int8).reshape(example["shape"]).astype(np.int16)
        for key in ("expected", "got")
    )
    low, high = int(min(expected.min(), got.min())), int(max(expected.max(), got.max()))
    difference = got - expected
    worst = int(np.abs(difference).max())
    return {
        "clip": example["clip"],
        "window": example["window"],
        "frames": expected.shape[0],
        "bands": expected.shape[1],
        "differing": int(np.count_nonzero(difference)),
        "pictures": [
            ("device", data_uri(got, low, high, HEAT)),
            ("reference", data_uri(expected, low, high, HEAT)),
            (
                f"difference, at most {worst} step{'' if worst == 1 else 's'}",
                data_uri(difference, -max(worst, 1), max(worst, 1), DIVERGING),
            ),
        ],
    }


def _arenas(checks: Sequence[Result]) -> list[Markup]:
    """One memory map for each bundle: the plan is the same on every target."""
    drawn: dict[str, Markup] = {}
    for check in checks:
        regions = tuple(Region(**region) for region in check["memory"]["regions"])
        arena = Arena(check["bundle"], check["arena_bytes"], check["memory"]["events"], regions)
        drawn.setdefault(check["bundle_hash"], Markup(memory_svg(arena)))
    return list(drawn.values())


def _cycles(checks: Sequence[Result]) -> tuple[str, list[float | None]] | None:
    """Cycles for each instruction of boards, by the first target that counted instructions of the same bundle."""
    counted = {c["bundle_hash"]: c for c in reversed(checks) if c["instructions_per_window"]}
    ratios = [
        check["counts_per_window"] / counted[check["bundle_hash"]]["instructions_per_window"]
        if check["counter"] == "cycles" and check["counts_per_window"] and check["bundle_hash"] in counted
        else None
        for check in checks
    ]
    by = next((c["target"] for c in counted.values()), "")
    return (by, ratios) if any(ratios) else None


def _parity(value: Result) -> dict[str, Any]:
    edges = value["histogram"]["edges_nat"]
    counts = value["histogram"]["counts"]
    total = sum(counts) or 1
    return {
        "value": value,
        "bins": [
            {"text": f"{low:g} to {high:g}", "share": round(100 * count / total, 2), "count": count}
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
        ],
    }
