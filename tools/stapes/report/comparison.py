"""Several targets side by side, as a terminal table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stapes.check import CheckReport
from stapes.report.check import UNITS, kib, mark, millions

if TYPE_CHECKING:
    from rich.table import Table


def comparison_table(reports: Sequence[CheckReport]) -> Table:
    """One column a target: what was equal, decisions, counts a window, flash, RAM, stack."""
    from rich import box
    from rich.table import Table

    table = Table(title=f"{reports[0].bundle.manifest.name} on {len(reports)} targets", box=box.SIMPLE_HEAD)
    table.add_column("")
    for report in reports:
        table.add_column(report.target, justify="right")
    values = [report.as_json() for report in reports]
    table.add_row("sound arrived", *(mark(value["pcm_equal"]) for value in values))
    table.add_row("features equal", *(mark(value["features_equal"]) for value in values))
    table.add_row("layers equal", *(mark(value["layers_equal"]) for value in values))
    table.add_row("scores equal", *(mark(value["scores_equal"]) for value in values))
    table.add_row("decisions equal", *(f"{value['decisions_equal']} of {value['clips']}" for value in values))
    table.add_row(
        "a window",
        *(f"{millions(value['counts_per_window'])} {UNITS.get(value['counter'], '')}" for value in values),
    )
    for key, title in (
        ("flash_bytes", "flash, KiB"),
        ("ram_bytes", "RAM, KiB"),
        ("stack_bytes", "stack, KiB"),
    ):
        table.add_row(title, *(kib(value[key]) for value in values))
    for number, layer in enumerate(reports[0].plan.layers):
        name = layer.name.split(";")[0].split("/")[-2:]
        table.add_row(
            "/".join(name), *(millions(value["layers"][number]["count"]) for value in values), style="dim"
        )
    return table
