"""Accuracy by fold, as a terminal table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_KINDS = {
    "float": "float network (as trained)",
    "int8": "int8 network, Python reference",
    "firmware": "firmware (compiled C)",
}


def evaluation_table(result: dict[str, Any]) -> Table:
    """One row for float, int8 and firmware; one column a fold, then mean and standard deviation."""
    from rich.table import Table

    table = Table(title="accuracy over clips of the held-out fold")
    table.add_column("")
    for fold in result.get("folds", range(1, 1 + len(result["int8"]["per_fold"]))):
        table.add_column(f"fold {fold}", justify="right")
    table.add_column("mean", justify="right", style="bold")
    table.add_column("sd", justify="right")
    for kind, title in _KINDS.items():
        if kind in result:
            figures = result[kind]
            table.add_row(
                title,
                *(f"{value:.1%}" for value in figures["per_fold"]),
                f"{figures['accuracy_mean']:.1%}",
                f"{figures['accuracy_sd']:.1%}",
            )
    return table
