"""Bundles side by side: accuracy against size, as a terminal table and as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stapes.bench.pareto import SIZES, Measured, Point
from stapes.errors import StapesError
from stapes.files import write_atomic
from stapes.packages import needed_for

if TYPE_CHECKING:
    from rich.table import Table


def pareto_table(points: Sequence[Point]) -> Table:
    """One row a bundle; a size is bold where no other bundle is both smaller and better."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="accuracy over clips of held-out folds, against size")
    table.add_column("bundle", no_wrap=True)
    table.add_column("accuracy ± sd", justify="right")
    table.add_column("folds", justify="right")
    table.add_column("arithmetic")
    for title in SIZES.values():
        table.add_column(title, justify="right")
    for point in points:
        sizes = [
            Text(f"{getattr(point, size):,}", style="bold" if size in point.best_for else "")
            for size in SIZES
        ]
        accuracy = f"{100 * point.accuracy:.2f} ± {100 * point.accuracy_sd:.2f} %"
        table.add_row(point.name, accuracy, str(point.folds), point.arithmetic, *sizes)
    return table


def draw_pareto(points: Sequence[Measured], path: Path, sizes: Mapping[str, str] = SIZES) -> None:
    """One plot for each size (attribute: title), those that are best for it joined; the suffix of `path` is the format.

    Raises `ToolError` without matplotlib, `StapesError` for a format that it does not know.
    """
    with needed_for("drawing", "matplotlib"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True)
    for panel, (size, title) in zip(panels, sizes.items(), strict=True):
        best = [point for point in points if size in point.best_for]
        best.sort(key=lambda point: getattr(point, size))
        panel.plot(
            [getattr(point, size) for point in best], [100 * point.accuracy for point in best], color="0.7"
        )
        for point in points:
            panel.errorbar(
                getattr(point, size),
                100 * point.accuracy,
                yerr=100 * point.accuracy_sd,
                fmt="o",
                capsize=3,
                label=point.name,
            )
        # Logarithmic from the smallest size on; a forest multiplies nothing at all.
        positive = [getattr(point, size) for point in points if getattr(point, size) > 0]
        panel.set_xscale("symlog", linthresh=min(positive, default=1))
        panel.set_xlabel(title)
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("accuracy of clips ± sd over folds, %")
    panels[-1].legend(loc="lower right")
    stream = io.BytesIO()
    try:
        # Without a date, the same figures give the same file.
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(stream, format=path.suffix.lstrip("."), metadata=metadata)
    except ValueError as error:
        raise StapesError(f"{path}: {error}", hint="choose .svg, .png or .pdf") from error
    write_atomic(path, stream.getvalue())
