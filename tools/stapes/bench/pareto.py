"""Accuracy against size: which bundles are worth having, because no other is both smaller and better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from stapes.compiler import compile_bundle
from stapes.errors import BundleError
from stapes.recipe import Bundle

SIZES = {
    "macs_per_window": "multiplications a window",
    "weights_bytes": "network in flash, bytes",
    "arena_bytes": "working memory, bytes",
}


class Measured(Protocol):
    """What a plot of accuracy against sizes needs, besides one attribute for each size."""

    @property
    def name(self) -> str:
        """In the legend."""
        ...

    @property
    def accuracy(self) -> float:
        """0 to 1."""
        ...

    @property
    def accuracy_sd(self) -> float:
        """Over the folds."""
        ...

    @property
    def best_for(self) -> tuple[str, ...]:
        """The sizes for which no other is both smaller and better."""
        ...


@dataclass(frozen=True)
class Point:
    """One bundle; accuracy over the folds left out, in the firmware's arithmetic where that was measured."""

    name: str
    accuracy: float
    accuracy_sd: float
    folds: int
    arithmetic: str
    macs_per_window: int
    weights_bytes: int
    arena_bytes: int
    best_for: tuple[str, ...] = ()
    """The sizes for which no other bundle is both smaller and better."""


def pareto_points(directories: Sequence[Path]) -> list[Point]:
    """The bundles among `directories` that have figures, from small to large; raises `BundleError` for none."""
    points = [_point(Bundle.load(path)) for path in directories if (path / "bundle.json").is_file()]
    found = [point for point in points if point is not None]
    if not found:
        raise BundleError(
            "no bundle with figures among these", hint="give directories that `stapes train` wrote"
        )
    ranked = [_ranked(point, found) for point in found]
    return sorted(ranked, key=lambda point: point.macs_per_window)


def _point(bundle: Bundle) -> Point | None:
    measured = {kind: bundle.accuracy(kind) for kind in ("firmware", "int8", "float")}
    arithmetic, figures = next(((kind, found) for kind, found in measured.items() if found), (None, None))
    if arithmetic is None or figures is None:
        return None
    plan = compile_bundle(bundle)
    return Point(
        name=bundle.manifest.name,
        accuracy=figures.accuracy_mean,
        accuracy_sd=figures.accuracy_sd,
        folds=len(figures.per_fold),
        arithmetic=arithmetic,
        macs_per_window=plan.macs,
        weights_bytes=plan.weights_bytes,
        arena_bytes=plan.arena_bytes,
    )


def _ranked(point: Point, everyone: Sequence[Point]) -> Point:
    return replace(point, best_for=best_for(point, everyone, SIZES))


def best_for(point: Measured, everyone: Sequence[Measured], sizes: Iterable[str]) -> tuple[str, ...]:
    """The `sizes` (names of attributes) for which nobody is both smaller and better than `point`."""
    return tuple(size for size in sizes if not any(_beats(other, point, size) for other in everyone))


def _beats(other: Measured, point: Measured, size: str) -> bool:
    """At least as good in both, and better in one."""
    mine, theirs = (getattr(point, size), point.accuracy), (getattr(other, size), other.accuracy)
    return theirs[0] <= mine[0] and theirs[1] >= mine[1] and theirs != mine
